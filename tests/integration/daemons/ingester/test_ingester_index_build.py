import stat
import sys
from pathlib import Path

import pytest

from daemons.ingester.phases.index_build import IndexNotBuilt, build_index
from daemons.ingester.syncing.place import SitePlace, prepare_place, site_place

PYTHON = sys.executable
OLD = b"old index"


@pytest.fixture
def place(tmp_path: Path) -> SitePlace:
    """A site with an index from before."""
    found = site_place("hardfork", "bucket", tmp_path / "data", tmp_path / "state")
    prepare_place(found)
    (found.root / "search-index").mkdir()
    index_of(found).write_bytes(OLD)
    return found


def index_of(place: SitePlace) -> Path:
    """Return where the index lies."""
    return place.root / "search-index" / "orama_index.msp"


def builder(text: str) -> tuple[str, ...]:
    """Return a command that runs a program with {site}, {root} and {index}."""
    return (PYTHON, "-I", "-S", "-c", f"import sys, os\n{text}", "{site}", "{root}", "{index}")


def left_in_work(place: SitePlace) -> list[Path]:
    """Return what was left lying about."""
    return [path for path in place.work.parents[1].rglob("*") if path.is_file()]


@pytest.mark.asyncio
async def test_command_is_told_where_everything_is(place: SitePlace) -> None:
    """It is the operator's own program, called without a shell."""
    writes = "open(sys.argv[3], 'w').write('|'.join([*sys.argv[1:3], os.getcwd()]))"

    changed = await build_index(builder(writes), place)

    assert changed
    assert index_of(place).read_text() == f"hardfork|{place.root}|{place.root}"
    assert stat.S_IMODE(index_of(place).stat().st_mode) == 0o644
    assert left_in_work(place) == []


@pytest.mark.asyncio
async def test_index_appears_in_one_step(place: SitePlace) -> None:
    """What is uploaded at any moment is a whole index."""
    before = index_of(place).stat().st_ino
    looks = (
        "index = open(sys.argv[3], 'w'); index.write('half'); index.flush()\n"
        "seen = open(sys.argv[2] + '/search-index/orama_index.msp').read()\n"
        "index.write(seen)"
    )

    await build_index(builder(looks), place)

    assert index_of(place).read_bytes() == b"half" + OLD
    assert index_of(place).stat().st_ino != before


@pytest.mark.asyncio
async def test_equal_index_is_not_written_again(place: SitePlace) -> None:
    """A second run with nothing changed writes nothing below the data folder."""
    before = index_of(place).stat()

    changed = await build_index(builder("open(sys.argv[3], 'w').write('old index')"), place)

    assert not changed
    after = index_of(place).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert left_in_work(place) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ((), "no command is configured"),
        (("no-such-program",), "'no-such-program' not found on PATH"),
        (builder("open(sys.argv[3], 'w').write('half'); sys.exit('no memory')"), "no memory"),
        (builder("open(sys.argv[3], 'w').write('x'); sys.exit(3)"), "exit status 3"),
        (builder("pass"), "has not written"),
        (builder("open(sys.argv[3], 'w')"), "empty"),
        (builder("os.mkdir(sys.argv[3])"), "left no file"),
    ],
)
async def test_failed_build_leaves_the_old_index(
    place: SitePlace, command: tuple[str, ...], reason: str
) -> None:
    """Half an index on the web is no search at all."""
    with pytest.raises(IndexNotBuilt, match=reason):
        await build_index(command, place)

    assert index_of(place).read_bytes() == OLD
    assert left_in_work(place) == []


@pytest.mark.asyncio
async def test_link_is_not_followed(place: SitePlace, tmp_path: Path) -> None:
    """What is uploaded is public."""
    (tmp_path / "secret").write_text("secret")
    links = f"os.symlink({str(tmp_path / 'secret')!r}, sys.argv[3])"

    with pytest.raises(IndexNotBuilt, match="cannot be put in its place"):
        await build_index(builder(links), place)

    assert index_of(place).read_bytes() == OLD


@pytest.mark.asyncio
async def test_build_that_hangs_is_ended(place: SitePlace) -> None:
    """The other sites wait for a place."""
    with pytest.raises(IndexNotBuilt, match=r"time limit of 0\.5 s"):
        await build_index(builder("import signal; signal.pause()"), place, seconds=0.5)

    assert index_of(place).read_bytes() == OLD


@pytest.mark.asyncio
async def test_first_index_makes_its_folder_and_leftovers_do_no_harm(place: SitePlace) -> None:
    """A new site has no index, and a killed run has left half of one."""
    index_of(place).unlink()
    index_of(place).parent.rmdir()
    leftover = place.work.parents[1] / "index" / "hardfork"
    leftover.mkdir(parents=True)
    (leftover / "orama_index.msp").write_bytes(b"half")
    appends = "open(sys.argv[3], 'a').write('whole')"

    await build_index(builder(appends), place)

    assert index_of(place).read_bytes() == b"whole"
    assert list(leftover.parent.iterdir()) == []
