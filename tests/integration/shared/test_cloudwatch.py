import socket
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from shared.aws import cloudwatch
from shared.aws.cloudwatch import CloudWatch, MetricsNotSent, open_cloudwatch
from shared.metrics import MOST_DATA, NAMESPACE, Metric, Report, plan_data
from tests.support.moto_server import MotoServer, running_moto

LIMIT_SECONDS = 30


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    """One server for all tests."""
    with running_moto() as server:
        yield server


def use(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    """Have these variables."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def report(count: int = 1) -> Report:
    """Return a report of a minute ago."""
    parked = [Metric("cids", "gauge", "CIDs", 3, {"state": f"s{n}"}) for n in range(count)]
    return Report("carrier", datetime.now(UTC) - timedelta(seconds=60), None, tuple(parked))


async def send(sink: CloudWatch, what: Report) -> None:
    """Send it as a daemon would."""
    now = datetime.now(UTC)
    with anyio.fail_after(LIMIT_SECONDS):
        await sink.put(plan_data(what, {}, now=now, host="h"), at=now)


async def ask(sink: CloudWatch, service: str, operation: str, **arguments: object) -> Any:
    """Ask the server, by the sink's own connection."""
    client = await sink._clients.client(service)
    return await getattr(client, operation)(**arguments)


@pytest.mark.asyncio
async def test_what_is_sent_arrives_under_the_names_that_alarms_ask_for(
    moto: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alarm with a dimension more or less than the data sees no data at all."""
    use(monkeypatch, moto.environment())

    async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
        await send(sink, report())
        listed = await ask(sink, "cloudwatch", "list_metrics", Namespace=NAMESPACE)
        told = await ask(
            sink,
            "cloudwatch",
            "get_metric_statistics",
            Namespace=NAMESPACE,
            MetricName="last_report_age_seconds",
            Dimensions=[{"Name": "Service", "Value": "carrier"}],
            StartTime=datetime.now(UTC) - timedelta(minutes=5),
            EndTime=datetime.now(UTC) + timedelta(minutes=5),
            Period=60,
            Statistics=["Maximum"],
        )

    found = {
        (one["MetricName"], tuple((d["Name"], d["Value"]) for d in one["Dimensions"]))
        for one in listed["Metrics"]
    }
    service, host = ("Service", "carrier"), ("Host", "h")
    assert found == {
        ("last_report_age_seconds", (service,)),
        ("last_report_age_seconds", (service, host)),
        ("cids", (service, ("State", "s0"))),
        ("cids", (service, host, ("State", "s0"))),
    }
    [point] = told["Datapoints"]
    assert point["Maximum"] == pytest.approx(60, abs=20)


@pytest.mark.asyncio
async def test_as_much_as_one_call_takes_is_taken(
    moto: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit that is kept here is the one that the service has."""
    use(monkeypatch, moto.environment())

    async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
        await send(sink, report(MOST_DATA))


@pytest.fixture
def strict(moto: MotoServer) -> Iterator[MotoServer]:
    """Have the server heed policies once a test says `enforce`; afterwards it does not."""
    yield moto
    enforce(moto, "inf")


def enforce(moto: MotoServer, after: str = "0") -> None:
    """Have the server check who may do what, after so many requests."""
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{moto.url}/moto-api/reset-auth",
        data=after.encode(),
        headers={"Content-Type": "text/plain"},
    )
    with urllib.request.urlopen(request, timeout=LIMIT_SECONDS):  # noqa: S310 - the same
        pass


@pytest.mark.asyncio
async def test_who_may_not_send_is_told_what_to_allow(
    strict: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role of the machine lacks one line; the log is where people look for it."""
    use(monkeypatch, strict.environment())
    async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
        await ask(sink, "iam", "create_user", UserName="daemon")
        made = (await ask(sink, "iam", "create_access_key", UserName="daemon"))["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
    enforce(strict)

    async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
        with pytest.raises(MetricsNotSent, match="allow cloudwatch:PutMetricData") as raised:
            await send(sink, report())

    assert "eu-west-1" in str(raised.value)
    assert made["SecretAccessKey"] not in str(raised.value)


@pytest.mark.asyncio
async def test_an_endpoint_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """No route to CloudWatch is a finding, not the end of anything."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

        async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
            with pytest.raises(MetricsNotSent, match="EndpointConnectionError"):
                await send(sink, report())


@pytest.mark.asyncio
async def test_an_endpoint_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that drops packets must not keep the next minute's metrics waiting."""
    monkeypatch.setattr(cloudwatch, "_SEND_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

        async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
            with pytest.raises(MetricsNotSent, match="no answer within"):
                await send(sink, report())


@pytest.mark.asyncio
async def test_without_credentials_nothing_is_harmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata service may be late at boot."""
    async with open_cloudwatch(aws_region="eu-west-1", profile=None) as sink:
        with pytest.raises(MetricsNotSent, match="NoCredentialsError"):
            await send(sink, report())


@pytest.mark.asyncio
async def test_a_profile_that_does_not_exist_is_said() -> None:
    """A slip in a name is found by reading the log."""
    async with open_cloudwatch(aws_region="eu-west-1", profile="nobody") as sink:
        with pytest.raises(MetricsNotSent, match="nobody"):
            await send(sink, report())
