from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.acceptance.ground import BUCKET, Ground
from tests.support.daemon import Daemon
from tests.support.gate import Gate
from tests.support.strict_s3.faults import Fault, Wait

BACKLOG = 100_000
FOLDERS = 20
PEAK_KIBIBYTES_MAX = 300 * 1024
FIRST_UPLOAD_SECONDS_MAX = 5.0
"""Two on an idle machine."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def crowd() -> Iterator[Path]:
    """A folder with a root of a hundred thousand empty files, in memory where that is possible."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for number in range(FOLDERS):
            inside = Path(folder) / "output" / "s3" / BUCKET / f"folder-{number:02d}"
            inside.mkdir(parents=True)
            for inner in range(BACKLOG // FOLDERS):
                (inside / f"{inner:05d}.bin").touch()
        yield Path(folder)


@pytest.fixture
def backlog(ground: Ground, crowd: Path) -> Iterator[Ground]:
    """A ground with that root."""
    made = Ground(crowd, ground.s3, ground.nursery)
    yield made
    made.close()


def test_a_hundred_thousand_waiting_files_cost_a_bounded_memory(backlog: Ground) -> None:
    """S3 takes none of them for an hour: the daemon holds some and the disk holds the rest."""
    held = Gate()
    backlog.s3.faults.add(Fault(Wait(held), operation="PutObject", nth=range(257, BACKLOG)))

    daemon = backlog.start("-s", "0", "--grace", "0", interval=60, fresh=True)
    ready = daemon.wait_for("ready")
    first = daemon.wait_for("file_uploaded")
    held.reached_blocking(200)
    daemon.wait_for("file_uploaded", count=256)

    assert first.at - ready.at < FIRST_UPLOAD_SECONDS_MAX
    assert peak_kibibytes(daemon) <= PEAK_KIBIBYTES_MAX
    assert daemon.stop() == 0
    held.open()


def test_a_hundred_thousand_unsettled_files_cost_a_bounded_memory(backlog: Ground) -> None:
    """All were written a moment ago: each is remembered until it settles, within the bound."""
    present = len(backlog.left())

    daemon = backlog.start("-s", "3600", interval=60, fresh=True)

    finished = daemon.wait_for("pass_finished", limit=120)

    assert finished.fields["unsettled"] == present > 0.9 * BACKLOG
    assert peak_kibibytes(daemon) <= PEAK_KIBIBYTES_MAX
    assert daemon.stop() == 0
    assert backlog.s3.count("Put*") == 0


def peak_kibibytes(daemon: Daemon) -> int:
    """Return the most memory the daemon ever had."""
    status = Path(f"/proc/{daemon.pid}/status")
    if not status.exists():
        pytest.skip("the peak of another process's memory is known on Linux only")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])
