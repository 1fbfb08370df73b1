"""The watcher among trees of the bash scripts, and the names under which they were called."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handshake.layout import JobFolder, Runout, closest_name, quality_name
from tests.support.daemon import Nursery, clean_environment
from tests.support.strict_s3.server import StrictS3
from tests.support.watcher_ground import WatcherGround, table
from tests.support.watching import BUCKET, DAY, LAYOUT, STAMP

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "automation"
_QUALITY = b"rows=1\ncolumns=row_id,in_ra,in_dec,sep_arcsec\n"


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[WatcherGround]:
    """A machine, and an S3 with an empty bucket."""
    with WatcherGround.opened(tmp_path, nursery) as made:
        yield made


def test_seeds_in_transit_are_not_taken_and_their_marker_completes_them(
    ground: WatcherGround,
) -> None:
    """The scripts wrote `cid.txt` last, and their own watcher did not wait for it."""
    ground.send("00001", marker=False)
    ground.send("00002")

    assert ground.command("--once").status == 0
    assert ground.recorded() == ["00002"]

    marker = LAYOUT.marker(JobFolder(DAY, "00001"))
    ground.s3.seed(BUCKET, {marker.key: b"00001\n"})
    assert ground.command("--once").status == 0
    assert sorted(ground.recorded()) == ["00001", "00002"]


def test_a_whole_result_of_the_scripts_is_recorded_and_not_computed_again(
    ground: WatcherGround,
) -> None:
    """A machine that takes over from the scripts does not repeat their months of work."""
    ground.send("00001")
    runout = Runout(STAMP, "00001")
    ground.s3.seed(
        BUCKET,
        {
            LAYOUT.result(runout, closest_name("00001")).key: table("00001"),
            LAYOUT.result(runout, quality_name("00001")).key: _QUALITY,
        },
    )

    assert ground.command("--once").status == 0

    assert ground.recorded() == ["00001"]
    assert ground.results() == {}


def test_a_result_lies_where_the_scripts_look_for_it(ground: WatcherGround) -> None:
    """Their collector copies everything below `aws_compare_out/`: two files, and no others."""
    ground.send("02104")

    assert ground.command("--once").status == 0

    ((runout,),) = ground.results().values()
    folder = LAYOUT.result(runout, "").key
    found = {
        key.removeprefix(folder): body
        for key, body in ground.s3.objects(BUCKET).items()
        if key.startswith(folder)
    }
    assert found == {closest_name("02104"): table("02104"), quality_name("02104"): _QUALITY}


def test_a_torn_ledger_of_the_scripts_is_honoured(ground: WatcherGround) -> None:
    """`echo >>` was interrupted: the whole lines count, the torn one is mended."""
    ground.send("00001", "00002", "00003")
    (ground.root() / ".processed_cids").write_bytes(b"00001\n\n00001\n000")

    assert ground.command("--once").status == 0

    lines = (ground.root() / ".processed_cids").read_text().split("\n")
    assert sorted(ground.results()) == ["00002", "00003"]
    assert {"00001", "00002", "00003"} <= set(lines)
    assert lines[-1] == ""


@pytest.mark.parametrize(
    ("script", "service"),
    [
        ("prod_dispatch_cids.sh", "dispatcher"),
        ("prod_collect_results.sh", "collector"),
        ("ec2_watch_and_process.sh", "watcher"),
    ],
)
def test_the_old_names_are_the_new_commands(script: str, service: str) -> None:
    """Names that people have in their fingers and in their crontabs."""
    done = _run(script, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: towpath {service}")


@pytest.mark.parametrize("script", ["prod_dispatch_cids.sh", "prod_collect_results.sh"])
def test_prods_scripts_do_one_pass_where_they_are_started(tmp_path: Path, script: str) -> None:
    """Nothing to do is a success, and the project root is the working directory."""
    (tmp_path / "data/local-cats/tmp/positions/new").mkdir(parents=True)
    with StrictS3([BUCKET]) as s3:
        done = _run(script, cwd=tmp_path, env={**s3.environment(), "BUCKET": BUCKET})

    assert done.returncode == 0, done.stderr


def _run(
    script: str, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [str(_SCRIPTS / script), *arguments],
            cwd=cwd or home,
            env={**clean_environment(), "HOME": home, "STATE_DIRECTORY": home, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
