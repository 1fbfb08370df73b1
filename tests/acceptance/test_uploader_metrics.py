from collections.abc import Iterator

import anyio
import pytest

from shared.aws.cloudwatch import open_cloudwatch
from tests.acceptance.ground import BUCKET, Ground
from tests.support.moto_server import MotoServer, running_moto


@pytest.fixture
def moto() -> Iterator[MotoServer]:
    """A CloudWatch; S3 is the strict one."""
    with running_moto() as server:
        yield server


def stored(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of what CloudWatch holds of the service, whatever the host."""
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)

    async def look() -> set[str]:
        async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
            client = await sink._clients.client("cloudwatch")
            listed = (await client.list_metrics(Namespace="Towpath"))["Metrics"]
        service = [{"Name": "Service", "Value": "uploader"}]
        return {one["MetricName"] for one in listed if one["Dimensions"] == service}

    return anyio.run(look)


def test_what_alarms_look_at_is_in_cloudwatch_after_a_pass(
    ground: Ground, moto: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is an alarm, on AWS too; the files are written as ever."""
    ground.put("a.png", b"picture")
    (ground.root / BUCKET / b"\xff".decode(errors="surrogateescape")).write_bytes(b"no key")

    daemon = ground.start(
        "--once", "--metrics", "cloudwatch", env={"AWS_ENDPOINT_URL_CLOUDWATCH": moto.url}
    )

    assert daemon.wait() == 4, daemon.tail()
    assert not daemon.events("metrics_not_sent")
    assert {
        "files_uploaded",
        "last_report_age_seconds",
        "last_success_age_seconds",
        "oldest_pending_age_seconds",
        "parked_files",
    } <= stored(moto, monkeypatch)
    assert (ground.state / "metrics.prom").is_file()


def test_a_cloudwatch_that_refuses_is_one_warning_and_nothing_else(ground: Ground) -> None:
    """Files must go on, and the exit status is that of the work."""
    ground.put("a.png", b"picture")

    # What answers here is the S3 of the test, which knows no metrics.
    daemon = ground.start("--once", "--metrics", "cloudwatch")

    assert daemon.wait() == 0, daemon.tail()
    assert len(daemon.events("metrics_not_sent", level="warning")) == 1
    assert ground.is_empty()
    ground.check()
