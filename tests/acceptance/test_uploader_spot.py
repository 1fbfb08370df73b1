import pytest

from tests.acceptance.ground import BUCKET, Ground, Writer
from tests.support.imds import Imds


@pytest.fixture
def spot(imds: Imds, ground: Ground) -> dict[str, str]:
    """The environment of a spot instance."""
    return {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        **imds.environment(),
        "AWS_ENDPOINT_URL": ground.s3.url,
    }


def test_a_spot_notice_sends_everything_that_is_whole_and_names_the_rest(
    ground: Ground, imds: Imds, spot: dict[str, str]
) -> None:
    """Two minutes are left: no interval and no minute of stability is waited for any more."""
    names = [f"fresh/{number}.png" for number in range(50)]
    for name in names:
        ground.put(name, name.encode(), age=0)
    busy = ground.put("busy.log", b"first\n", age=0)
    daemon = ground.start("-s", "60", interval=3600, env=spot)
    daemon.wait_for("pass_finished")
    assert ground.s3.keys(BUCKET) == []

    with Writer(busy):
        imds.interrupt()
        daemon.wait_for("spot_notice", level="warning", action="terminate")
        daemon.wait_for("flush_finished", left_behind=1)
        daemon.wait_for("file_uploaded", count=len(names))

    assert ground.s3.keys(BUCKET) == sorted(names)
    left = daemon.events("file_left_behind", level="warning")
    assert [event.fields["path"] for event in left] == [f"{BUCKET}/busy.log"]
    assert busy.exists()
    ground.produced[BUCKET].pop("busy.log")
    assert daemon.stop() == 0


def test_a_spot_notice_skips_the_pause_of_a_bucket_that_refused(
    ground: Ground, imds: Imds, spot: dict[str, str]
) -> None:
    """There is no later: a bucket that was closed for an hour is tried once more."""
    ground.s3.access.deny("s3:PutObject")
    for number in range(20):
        ground.put(f"{number}.png", b"x")
    daemon = ground.start(interval=3600, env=spot)
    daemon.wait_for("bucket_refused", files=20)
    ground.s3.access.denials.clear()

    imds.interrupt()

    daemon.wait_until(ground.is_empty)
    ground.check()
