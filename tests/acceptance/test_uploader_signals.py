import dataclasses
import signal
import time

import pytest

from tests.acceptance.ground import BUCKET, Ground, names_of
from tests.support.gate import Gate
from tests.support.strict_s3.faults import Fault, Stage, Wait

IN_FLIGHT = 200
LARGE = bytes(9_000_000)


def hold(ground: Ground, operation: str, stage: Stage = Stage.BEFORE_COMMIT) -> Gate:
    """Hold every request of a kind."""
    gate = Gate()
    ground.s3.faults.add(Fault(Wait(gate, stage), operation=operation))
    return gate


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_finished_within_the_grace_time(
    ground: Ground, number: signal.Signals
) -> None:
    """Two hundred uploads are nearly done: they end properly, nothing new begins, exit 0."""
    held = hold(ground, "PutObject")
    for name in names_of(IN_FLIGHT):
        ground.put(name, name.encode())

    daemon = ground.start("--files-in-flight", str(IN_FLIGHT))
    held.reached_blocking(IN_FLIGHT)
    daemon.signal(number)
    daemon.wait_for("stopping", signal=number.name)
    ground.put("later.png", b"later")
    held.open()

    assert daemon.wait() == 0
    assert ground.left() == [f"{BUCKET}/later.png"]
    assert daemon.events()[-1].name == "closed"
    ground.check()


def test_what_does_not_end_within_the_grace_time_is_given_up_unharmed(ground: Ground) -> None:
    """S3 hangs: exit 0 in time, every file stays on disk, and no multipart upload stays open."""
    held = hold(ground, "PutObject")
    parts = hold(ground, "UploadPart")
    for name in names_of(IN_FLIGHT):
        ground.put(name, name.encode())
    ground.put("large.bin", LARGE)

    daemon = ground.start("--grace", "1", "--multipart-from", "5")
    held.reached_blocking(IN_FLIGHT)
    parts.reached_blocking()
    began = time.monotonic()
    status = daemon.stop()

    assert status == 0
    assert time.monotonic() - began < 15
    assert len(ground.left()) == IN_FLIGHT + 1
    assert ground.s3.open_uploads() == []
    assert list((ground.state / "multipart").iterdir()) == []
    held.open()
    parts.open()
    ground.s3.faults.clear()
    again = ground.ready("--multipart-from", "5")
    again.wait_until(ground.is_empty)
    ground.check()


def test_a_second_signal_ends_it_at_once(ground: Ground) -> None:
    """Somebody is in a hurry: 130, and still nothing unverified is removed."""
    held = hold(ground, "PutObject")
    for name in names_of(10):
        ground.put(name, name.encode())

    daemon = ground.start("--grace", "60")
    held.reached_blocking(10)
    daemon.signal(signal.SIGTERM)
    daemon.wait_for("stopping")
    daemon.signal(signal.SIGTERM)

    assert daemon.wait() == 130
    assert len(ground.left()) == 10


def test_a_signal_before_it_is_ready_ends_it(ground: Ground) -> None:
    """STS hangs at boot; `systemctl stop` does not wait for it."""
    held = hold(ground, "GetCallerIdentity", Stage.ARRIVAL)

    daemon = ground.start()
    held.reached_blocking()

    assert daemon.stop(limit=15) == 0
    assert not daemon.events("ready")


def test_one_pass_that_is_interrupted_says_so(ground: Ground) -> None:
    """A script that runs `--once` must not take half a pass for a whole one."""
    held = hold(ground, "PutObject")
    ground.put("a.png", b"picture")

    daemon = ground.start("--once", "--grace", "1")
    held.reached_blocking()

    assert daemon.stop() == 130
    assert len(ground.left()) == 1


def test_a_killed_multipart_is_aborted_at_the_next_start_and_nobody_elses(ground: Ground) -> None:
    """Own orphans are known from the journal; a listing would show other machines' work too."""
    stranger = dataclasses.replace(ground, folder=ground.folder / "stranger", produced={})
    parts = hold(ground, "UploadPart")
    for number, place in enumerate((stranger, ground), start=1):
        place.put(f"large-{number}.bin", LARGE)
        daemon = place.start("--multipart-from", "5")
        parts.reached_blocking(2 * number)
        daemon.kill()
    assert len(ground.s3.open_uploads()) == 2
    parts.open()
    ground.s3.faults.clear()

    again = ground.ready("--multipart-from", "5")

    assert len(again.events("upload_aborted", key="large-2.bin")) == 1
    # Only now: until then the new daemon has an upload of its own under way.
    again.wait_for("file_uploaded", key="large-2.bin")
    assert [upload.key for upload in ground.s3.open_uploads()] == ["large-1.bin"]
    assert ground.s3.count("AbortMultipartUpload") == 1
    ground.check()


def test_a_file_in_the_hidden_folder_of_a_killed_daemon_comes_back(ground: Ground) -> None:
    """A crash between renaming and unlinking leaves it there; it may be a newer file."""
    hidden = ground.root / BUCKET / "sub" / ".towpath-removing"
    hidden.mkdir(parents=True)
    (hidden / "a.png").write_bytes(b"content")
    ground.note("sub/a.png", b"content")

    daemon = ground.ready()
    daemon.wait_for("removal_resumed", level="warning", name="a.png")
    daemon.wait_for("file_uploaded", key="sub/a.png")
    daemon.wait_passes(1)

    assert not hidden.exists()
    assert ground.is_empty()
    ground.check()
