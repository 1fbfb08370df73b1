"""Results down to a disk: which, into what, and that nothing here is lost."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.transfer import pulling as module
from pipelines.glacier.transfer.pulling import NoRoom, Pull
from pipelines.glacier.transfer.reports import PullReport
from pipelines.glacier.transfer.results import Fate, Filter, Item, Pulled, region_of
from shared.errors import ExitStatus, SuiteError
from shared.s3.errors import AccessDenied
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_transfer import BUCKET, TransferGround

_PREFIX = "1_download_merge_and_clip/sentinel2/"
_TILE = "S2B_MSIL2A_20240801T143749_N0511_R039_T22VFP_20240801T201519_B08.tif"
_OTHER_TILE = _TILE.replace("22VFP", "23VNH")
_ACQ = "S2B_MSIL2A_20240801T143749_N0511_R039"
_OLD = (
    f"134_Arsuk/download/2024/{_TILE}",
    f"134_Arsuk/clipped/{_ACQ}.tif",
    "134_Arsuk/template/134_Arsuk.tif",
    f"134_Arsuk/metadata/individual_csv/{_ACQ}.csv",
    "134_Arsuk/metadata/combined_csv/134_Arsuk.csv",
)
_NEW = (
    f"download/2024/{_TILE}",
    f"clipped/134_Arsuk/{_ACQ}.tif",
    "template/134_Arsuk.tif",
    f"metadata/individual_csv/134_Arsuk/{_ACQ}.csv",
    "metadata/combined_csv/134_Arsuk.csv",
)
_LANDSAT = (
    "134_Arsuk/20240704142514_LC8_ortho.tif",
    "_reference/134_Arsuk.tif",
    "_reference/134_Arsuk_stac_query_results.csv",
)
_RECORD = "_runs/aws-sentinel2-20240801-134_Arsuk.json"


@pytest.fixture
def ground(tmp_path: Path) -> TransferGround:
    """An empty bucket."""
    return TransferGround(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where results go; not there yet."""
    return tmp_path / "data/sentinel2"


async def _pull(
    ground: TransferGround, folder: Path, wanted: Filter | None = None, *, replace: bool = False
) -> tuple[Sequence[Item], Pulled]:
    pull = Pull(ground.store, S3Uri(BUCKET, _PREFIX), folder)
    items, _ = await pull.look("sentinel2", wanted or Filter(), replace=replace)
    return items, await pull.carry_out(items)


def _files(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _state(folder: Path) -> dict[Path, tuple[int, ...]]:
    """What a write changes; a time of access changes by looking."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {
        path: (each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns)
        for path, each in found.items()
    }


def _seed(ground: TransferGround, *paths: str, content: bytes = b"content\n") -> None:
    for path in paths:
        ground.object(path, content, prefix=_PREFIX)


@pytest.mark.parametrize(
    ("path", "satellite", "region"),
    [
        *((path, "sentinel2", "134_Arsuk") for path in (*_OLD, *_NEW[1:])),
        *((path, "landsat", "134_Arsuk") for path in _LANDSAT),
        ("stray.txt", "sentinel2", ""),
        ("clipped/stray.tif", "sentinel2", "stray"),
    ],
)
def test_a_path_tells_its_region_in_either_layout(
    path: str, satellite: SatelliteName, region: str
) -> None:
    """Whoever asks for one glacier wants all of it and nothing else."""
    assert region_of(path, satellite) == region


def test_raw_tiles_are_left_out_in_either_layout() -> None:
    """The pattern of the original only matched layout new, and gigabytes came."""
    wanted = Filter(downloads=False)

    left = [path for path in (*_OLD, *_NEW) if not wanted.wants(path, "sentinel2")]

    assert left == [_OLD[0], _NEW[0]]


def test_a_region_has_its_own_files_and_the_shared_tiles_of_its_grid() -> None:
    """In layout new raw tiles lie together, whichever region they were fetched for."""
    wanted = Filter(regions={"134_Arsuk": frozenset({"22VFP"})})
    others = (
        f"download/2024/{_OTHER_TILE}",
        "download/2024/unknown.tif",
        f"101_sermiligarssuk/download/2024/{_TILE}",
        f"101_sermiligarssuk/clipped/{_ACQ}.tif",
        "template/101_sermiligarssuk.tif",
        _RECORD,
    )

    assert all(wanted.wants(path, "sentinel2") for path in (*_OLD, *_NEW))
    assert all(wanted.wants(path, "landsat") for path in _LANDSAT)
    assert not any(wanted.wants(path, "sentinel2") for path in others)


def test_records_of_jobs_come_only_if_asked_for() -> None:
    """They are no results, and a folder of that name is no region to the next steps."""
    assert not Filter().wants(_RECORD, "sentinel2")
    assert Filter(runs=True).wants(_RECORD, "sentinel2")


@pytest.mark.asyncio
async def test_everything_comes_whole_under_its_name(ground: TransferGround, folder: Path) -> None:
    """Names and folders are frozen: later steps read them."""
    _seed(ground, *_OLD)

    _, done = await _pull(ground, folder)

    assert _files(folder) == dict.fromkeys(sorted(_OLD), b"content\n")
    assert (set(done.fates.values()), done.size) == ({Fate.FETCHED}, len(_OLD) * 8)


@pytest.mark.asyncio
async def test_what_is_here_is_never_touched(ground: TransferGround, folder: Path) -> None:
    """The original overwrote every file of another size, corrected ones as well."""
    _seed(ground, *_OLD)
    await _pull(ground, folder)
    corrected = folder / _OLD[1]
    corrected.write_bytes(b"corrected by hand")
    before = _state(folder)
    ground.requests.seen.clear()

    items, done = await _pull(ground, folder)

    assert _state(folder) == before
    assert set(done.fates.values()) == {Fate.KEPT}
    assert [item.path for item in items if item.differs] == [_OLD[1]]
    assert ground.requests.keys(Verb.GET) == []


@pytest.mark.asyncio
async def test_force_replaces_what_differs_by_size_or_content(
    ground: TransferGround, folder: Path
) -> None:
    """And leaves alone what is the same, whatever its time says."""
    _seed(ground, *_OLD)
    await _pull(ground, folder)
    (folder / _OLD[1]).write_bytes(b"longer than it was")
    (folder / _OLD[2]).write_bytes(b"CONTENT\n")
    os.utime(folder / _OLD[3], (1, 1))

    _, done = await _pull(ground, folder, replace=True)

    replaced = [path for path, fate in done.fates.items() if fate is Fate.REPLACED]
    assert sorted(replaced) == sorted([_OLD[1], _OLD[2]])
    assert {(folder / path).read_bytes() for path in _OLD} == {b"content\n"}
    assert (folder / _OLD[3]).stat().st_mtime == 1


@pytest.mark.asyncio
async def test_a_file_that_appears_meanwhile_wins(ground: TransferGround, folder: Path) -> None:
    """A cluster job may write the same scene while the download runs."""
    _seed(ground, _OLD[1])
    target = folder / _OLD[1]

    def appear(verb: Verb, _key: str) -> SuiteError | None:
        if verb is Verb.GET:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"theirs")
        return None

    ground.requests.fault = appear

    _, done = await _pull(ground, folder)

    assert target.read_bytes() == b"theirs"
    assert done.fates == {_OLD[1]: Fate.KEPT}
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.asyncio
async def test_what_a_killed_pull_left_is_swept(ground: TransferGround, folder: Path) -> None:
    """Half a raw tile has a hundred megabytes; one that is being written is another pull's."""
    _seed(ground, _OLD[1])
    left, busy = (folder / _OLD[1]).with_name(".a.towpath-tmp"), folder / ".b.towpath-tmp"
    left.parent.mkdir(parents=True)
    for path in (left, busy, left.with_name(".c.towpath-tmp")):
        path.write_bytes(b"half")
    os.utime(left, (1, 1))

    await _pull(ground, folder)

    assert sorted(_files(folder)) == sorted(
        [".b.towpath-tmp", "134_Arsuk/clipped/.c.towpath-tmp", _OLD[1]]
    )


@pytest.mark.asyncio
async def test_one_failure_stops_no_other_file_and_leaves_nothing(
    ground: TransferGround, folder: Path
) -> None:
    """Nothing partial lies under a final name, or beside it."""
    _seed(ground, *_OLD)
    ground.requests.fault = lambda verb, key: (
        AccessDenied(S3Uri(BUCKET, key)) if verb is Verb.GET and "clipped" in key else None
    )

    _, done = await _pull(ground, folder)

    assert list(done.failed) == [_OLD[1]]
    assert sorted(_files(folder)) == sorted({*_OLD} - {_OLD[1]})


@pytest.mark.parametrize(
    "path", ["../../outside.tif", "/etc/x.tif", "134_Arsuk/../../x.tif", "a\\b.tif", "link/x.tif"]
)
@pytest.mark.asyncio
async def test_a_key_that_would_leave_the_folder_is_refused(
    ground: TransferGround, folder: Path, tmp_path: Path, path: str
) -> None:
    """Whoever may write into the bucket must not write anywhere on this machine."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data/sentinel2").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    _seed(ground, path, _OLD[1])

    items, done = await _pull(ground, folder)

    assert [item.path for item in items if item.fate is Fate.FAILED] == [path]
    assert list(done.failed) == [path]
    assert (folder / _OLD[1]).exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "outside.tif").exists()


@pytest.mark.asyncio
async def test_a_folder_in_the_way_is_told(ground: TransferGround, folder: Path) -> None:
    """S3 can have a key and others below it; a disk cannot."""
    _seed(ground, "134_Arsuk", "134_Arsuk/clipped/a.tif")
    (folder / "134_Arsuk").mkdir(parents=True)

    _, done = await _pull(ground, folder)

    assert list(done.failed) == ["134_Arsuk"]
    assert "is no file" in done.failed["134_Arsuk"]


@pytest.mark.asyncio
async def test_a_folder_that_appears_meanwhile_is_told(
    ground: TransferGround, folder: Path
) -> None:
    """Of a key and others below it only one can be here; it was counted as here all the same."""
    _seed(ground, "134_Arsuk/A.tif")

    def put_in_the_way(verb: Verb, _key: str) -> None:
        if verb is Verb.GET:
            (folder / "134_Arsuk/A.tif").mkdir(parents=True)

    ground.requests.fault = put_in_the_way

    _, done = await _pull(ground, folder)

    assert list(done.failed) == ["134_Arsuk/A.tif"]
    assert f"has the name of '{folder}/134_Arsuk/A.tif'" in done.failed["134_Arsuk/A.tif"]
    assert _files(folder) == {}


@pytest.mark.asyncio
async def test_a_pull_that_is_cut_short_knows_what_came(
    ground: TransferGround, folder: Path
) -> None:
    """And does not count what never came."""
    _seed(ground, *(f"134_Arsuk/clipped/{number}.tif" for number in range(20)))
    pull, done = Pull(ground.store, S3Uri(BUCKET, _PREFIX), folder), Pulled()
    items, _ = await pull.look("sentinel2", Filter(), replace=False)

    with anyio.CancelScope() as scope:

        def cancel(_verb: Verb, _key: str) -> None:
            if done.fates:
                scope.cancel()

        ground.requests.fault = cancel
        await pull.carry_out(items, done)

    report = PullReport("sentinel2", str(folder), items, done)
    document = report.to_document()
    assert scope.cancelled_caught
    assert document["fetched"] == len(_files(folder)) == len(done.fates)
    assert document["unfinished"] == len(items) - len(done.fates)
    assert f"cut short, {document['unfinished']} not done" in report.to_text()


@pytest.mark.asyncio
async def test_a_name_tells_a_terminal_nothing_but_itself(
    ground: TransferGround, folder: Path
) -> None:
    """Whoever writes to the bucket must not write on the screen of who reads it."""
    _seed(ground, "134_Arsuk/\x1b]0;title\x07.tif")
    pull = Pull(ground.store, S3Uri(BUCKET, _PREFIX), folder)

    items, _ = await pull.look("sentinel2", Filter(), replace=False)

    text = PullReport("sentinel2", str(folder), items).to_text()
    assert "title" in text
    assert "\x1b" not in text


@pytest.mark.asyncio
async def test_nothing_is_fetched_where_not_all_fits(
    ground: TransferGround, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full stops everybody on the machine."""
    _seed(ground, *_OLD)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=39))

    with pytest.raises(NoRoom, match="39 bytes free, and 40 are to be fetched") as caught:
        await _pull(ground, folder)

    assert caught.value.status is ExitStatus.SAFETY_STOP
    assert _files(folder) == {}


@pytest.mark.asyncio
async def test_a_disk_that_fills_up_ends_the_pull(
    ground: TransferGround, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would fit either."""
    _seed(ground, _OLD[1])

    def full(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "place_without_overwriting", full)

    with pytest.raises(ExceptionGroup) as caught:
        await _pull(ground, folder)

    assert caught.group_contains(OSError, match="No space left")
    assert _files(folder) == {}
