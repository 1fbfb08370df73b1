import socket

import pytest

from tests.acceptance.ground import BUCKET, OTHER, Ground, names_of, start_humble
from tests.support.daemon import Daemon
from tests.support.gate import Gate
from tests.support.strict_s3.access import Denial
from tests.support.strict_s3.faults import (
    Fail,
    Fault,
    HalfAnswer,
    Reset,
    Stage,
    Wait,
    WrongChecksum,
)
from tests.support.strict_s3.server import StrictS3

FILES = 20
REQUESTS_MAX = 450
"""Twenty files and the retry budget's hundred, each of which may be sent, sent again by the HTTP
client on a fresh connection, and read back; and some probes."""
REQUESTS_OF_A_PROBE_MAX = 30

STORMS: dict[str, Fault] = {
    "slow down": Fault(Fail("SlowDown"), key="images/*"),
    "error after the commit": Fault(
        Fail("InternalError", stage=Stage.AFTER_COMMIT), operation="PutObject"
    ),
    "reset before the commit": Fault(Reset(Stage.BEFORE_COMMIT), operation="PutObject"),
    "reset after the commit": Fault(Reset(Stage.AFTER_COMMIT), operation="PutObject"),
    "reset of everything": Fault(Reset(Stage.AFTER_COMMIT), key="images/*"),
    "half an answer": Fault(HalfAnswer(), operation="PutObject"),
    "wrong checksum in the answer": Fault(WrongChecksum(etag=True), operation="PutObject"),
    "wrong checksum in every answer": Fault(WrongChecksum(etag=True), key="images/*"),
    "bad digest": Fault(Fail("BadDigest"), operation="PutObject"),
}


@pytest.mark.parametrize("storm", STORMS.values(), ids=list(STORMS))
def test_a_storm_costs_a_bounded_number_of_requests_and_nothing_else(
    ground: Ground, storm: Fault
) -> None:
    """Whatever S3 answers: nothing is lost, nothing sent twice, and it goes on by itself."""
    for name in names_of(FILES):
        ground.put(name, name.encode())
    ground.s3.faults.add(storm)

    daemon = ground.ready(interval=0.2)
    daemon.wait_passes(2)
    before = ground.s3.count()
    daemon.wait_passes(1)

    assert ground.s3.faults.struck(storm) > 0
    assert before <= REQUESTS_MAX
    assert ground.s3.count() - before <= REQUESTS_OF_A_PROBE_MAX
    ground.s3.faults.clear()
    daemon.wait_until(ground.is_empty)
    assert daemon.stop() == 0
    ground.check()


@pytest.mark.parametrize("stage", [Stage.BEFORE_COMMIT, Stage.AFTER_COMMIT])
@pytest.mark.parametrize("operation", ["CreateM*", "UploadPart", "CompleteM*"])
def test_a_broken_multipart_step_leaves_no_upload_open(
    ground: Ground, operation: str, stage: Stage
) -> None:
    """Parts cost money for as long as their upload is open, and a large file is sent once."""
    broken = ground.s3.faults.add(Fault(Reset(stage), operation=operation, nth=1))
    ground.put("large.bin", bytes(9_000_000))

    daemon = ground.ready("--multipart-from", "5")
    daemon.wait_until(ground.is_empty)

    assert ground.s3.faults.struck(broken) == 1
    assert daemon.stop() == 0
    ground.check()
    # Whoever never learns an upload's id cannot abort it: a lifecycle rule is for those.
    unknown = operation == "CreateM*" and stage is Stage.AFTER_COMMIT
    assert len(ground.s3.open_uploads()) == int(unknown)


def test_bad_digest_is_an_error_and_the_file_stays_until_it_succeeds(ground: Ground) -> None:
    """S3 saw other bytes than were sent: somebody should know, and the file is still ours."""
    ground.s3.faults.add(Fault(Fail("BadDigest"), operation="PutObject"))
    place = ground.put("a.png", b"picture")

    daemon = ground.ready()
    failed = daemon.wait_for("file_failed", level="error", key="a.png", code="BadDigest")

    assert "a.png" in str(failed.fields["reason"])
    assert place.exists()
    ground.s3.faults.clear()
    daemon.wait_for("file_uploaded", key="a.png")
    ground.check()


REFUSALS = {
    "missing": ("NoSuchBucket", "absent-bucket"),
    "denied": ("AccessDenied", OTHER),
}


@pytest.mark.parametrize(("code", "bucket"), REFUSALS.values(), ids=list(REFUSALS))
def test_a_bucket_that_refuses_is_one_error_a_scan_with_the_count(
    ground: Ground, code: str, bucket: str
) -> None:
    """A hundred thousand lines a minute help nobody; other buckets are not held up."""
    ground.s3.access.deny("s3:PutObject", OTHER)
    for name in names_of(FILES):
        ground.put(name, name.encode(), bucket=bucket)
    ground.put("fine.png", b"fine")

    daemon = ground.ready()
    passes = daemon.wait_passes(3)
    errors = [event for event in daemon.events() if event.level == "error"]

    assert ground.s3.objects(BUCKET) == {"fine.png": b"fine"}
    assert {error.name for error in errors} == {"bucket_refused"}
    assert {error.fields["bucket"] for error in errors} == {bucket}
    assert errors[-1].fields["files"] == FILES
    assert code in str(errors[-1].fields["code"]) + str(errors[-1].fields["reason"])
    assert all(one.fields["held_back"] == FILES for one in passes)
    assert len(errors) <= len(daemon.events("pass_finished")) + 1
    if bucket not in ground.produced or bucket == OTHER:
        ground.s3.access.denials.clear()
    else:
        ground.s3.create_bucket(bucket)
    daemon.wait_until(ground.is_empty)
    ground.check()


def test_a_refusal_is_probed_by_one_file_and_less_and_less_often(ground: Ground) -> None:
    """A bucket that nobody mends for a week must not cost a request for each file and scan."""
    ground.s3.access.denials.append(Denial("s3:PutObject"))
    for name in names_of(FILES):
        ground.put(name, name.encode())

    daemon = ground.ready(interval=0.2)
    daemon.wait_passes(1)
    before = ground.s3.count()
    daemon.wait_passes(12)

    assert ground.s3.count() - before <= 12


def test_an_endpoint_that_is_down_at_the_start_is_waited_for(ground: Ground) -> None:
    """At boot the network may come later than the daemon; nothing was refused, so it goes on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    ground.put("a.png", b"picture")

    daemon = ground.ready(env={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    daemon.wait_passes(1)

    assert daemon.events("identity_unknown", level="warning")
    with StrictS3([BUCKET], port=port) as revived:
        daemon.wait_for("file_uploaded", key="a.png")
        assert revived.objects(BUCKET) == {"a.png": b"picture"}
        assert daemon.stop() == 0


def test_a_file_that_vanishes_before_its_upload_is_no_error(ground: Ground) -> None:
    """Simulations delete what they no longer need; that is their business."""
    held = Gate()
    ground.s3.faults.add(Fault(Wait(held), operation="PutObject", nth=1))
    ground.put("1-first.png", b"first")
    second = ground.put("2-second.png", b"second")
    ground.produced[BUCKET].pop("2-second.png")

    daemon = ground.start("--files-in-flight", "1", "--log-level", "debug", interval=60)
    held.reached_blocking()
    second.unlink()
    held.open()

    daemon.wait_for("file_left", level="debug", key="2-second.png", reason="vanished")
    assert {event.level for event in daemon.events()} <= {"debug", "info"}
    ground.check()


def test_an_unreadable_file_is_parked_and_the_others_go_on(ground: Ground) -> None:
    """One bad file delays nothing, is named once with its reason, and is tried once mended."""
    bad = ground.put("bad.png", b"bad")
    bad.chmod(0)
    ground.put("good.png", b"good")

    daemon = Daemon(ground.birth(), start_humble)
    ground.daemons.append(daemon)
    daemon.wait_for("file_uploaded", key="good.png")
    daemon.wait_passes(2)

    parked = daemon.events("file_parked", level="error")
    assert [event.fields["path"] for event in parked] == [f"{BUCKET}/bad.png"]
    assert "Permission denied" in str(parked[0].fields["reason"])
    bad.chmod(0o600)
    daemon.wait_for("file_uploaded", key="bad.png")
    ground.check()


def test_a_folder_that_cannot_be_read_holds_up_no_other(ground: Ground) -> None:
    """The scan goes round what it may not enter, says so, and comes back."""
    shut = ground.put("shut/a.png", b"a").parent
    shut.chmod(0)
    ground.put("open/b.png", b"b")

    daemon = Daemon(ground.birth(), start_humble)
    ground.daemons.append(daemon)
    daemon.wait_for("file_uploaded", key="open/b.png")
    daemon.wait_for("file_parked", path=f"{BUCKET}/shut")

    shut.chmod(0o700)
    daemon.wait_for("file_uploaded", key="shut/a.png")
    ground.check()
