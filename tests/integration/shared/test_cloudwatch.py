import socket
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from shared.aws import cloudwatch
from shared.aws.cloudwatch import CloudWatch, MetricsNotSent, open_cloudwatch
from shared.metrics import NAMESPACE, Metric, Report, plan_data
from tests.support.moto_server import MotoServer

LIMIT_SECONDS = 30


@pytest.fixture
def account(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    """An empty account, and the keys to it."""
    use(monkeypatch, moto_server.environment())
    return moto_server


@pytest.fixture
def strict(account: MotoServer) -> Iterator[MotoServer]:
    """Have the server heed policies once a test says `enforce`; afterwards it does not."""
    yield account
    enforce(account, "inf")


def use(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    """Have these variables."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def enforce(moto: MotoServer, after: str = "0") -> None:
    """Have the server check who may do what, after so many requests."""
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{moto.url}/moto-api/reset-auth",
        data=after.encode(),
        headers={"Content-Type": "text/plain"},
    )
    with urllib.request.urlopen(request, timeout=LIMIT_SECONDS):  # noqa: S310 - the same
        pass


def opened(profile: str | None = None) -> AbstractAsyncContextManager[CloudWatch]:
    """Open it as a daemon would that was told a region."""
    return open_cloudwatch(aws_region="eu-west-1", profile=profile)


def report(count: int = 1) -> Report:
    """Return a report of a minute ago."""
    parked = [Metric("cids", "gauge", "CIDs", 3, {"state": f"s{n}"}) for n in range(count)]
    return Report("carrier", datetime.now(UTC) - timedelta(seconds=60), None, tuple(parked))


async def send(sink: CloudWatch, what: Report) -> None:
    """Send it as a daemon would."""
    now = datetime.now(UTC)
    with anyio.fail_after(LIMIT_SECONDS):
        await sink.put(plan_data(what, {}, now=now, host="h"), at=now)


async def refusal(words: str, profile: str | None = None) -> str:
    """Send in vain; returns what is said of it, these words among it."""
    async with opened(profile) as sink:
        with pytest.raises(MetricsNotSent, match=words) as raised:
            await send(sink, report())
    return str(raised.value)


async def ask(sink: CloudWatch, service: str, operation: str, **arguments: object) -> Any:
    """Ask the server, by the sink's own connection."""
    client = await sink._clients.client(service)
    return await getattr(client, operation)(**arguments)


@pytest.mark.asyncio
@pytest.mark.usefixtures("account")
async def test_what_is_sent_arrives_under_the_names_that_alarms_ask_for() -> None:
    """An alarm with a dimension more or less than the data sees no data at all."""
    async with opened() as sink:
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
@pytest.mark.usefixtures("account")
async def test_as_much_as_one_call_takes_arrives_whole() -> None:
    """The service takes a thousand in a call, and refuses all of them when there is one more."""
    async with opened() as sink:
        await send(sink, report(2000))
        first = await ask(sink, "cloudwatch", "list_metrics", Namespace=NAMESPACE)
        second = await ask(
            sink, "cloudwatch", "list_metrics", Namespace=NAMESPACE, NextToken=first["NextToken"]
        )

    assert len(first["Metrics"]) + len(second["Metrics"]) == 1000
    assert "NextToken" not in second


@pytest.mark.asyncio
async def test_who_may_not_send_is_told_what_to_allow(
    strict: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role of the machine lacks one line; the log is where people look for it."""
    async with opened() as sink:
        await ask(sink, "iam", "create_user", UserName="daemon")
        made = (await ask(sink, "iam", "create_access_key", UserName="daemon"))["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
    enforce(strict)

    said = await refusal("allow cloudwatch:PutMetricData")

    assert "eu-west-1" in said
    assert made["SecretAccessKey"] not in said


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("listens", "limit_seconds", "words"),
    [(False, LIMIT_SECONDS, "EndpointConnectionError"), (True, 0.2, "no answer within")],
)
async def test_an_endpoint_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, *, listens: bool, limit_seconds: float, words: str
) -> None:
    """No route, or a firewall that drops packets, must not keep the next minute's waiting."""
    monkeypatch.setattr(cloudwatch, "_SEND_SECONDS", limit_seconds)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        there = MotoServer(f"http://127.0.0.1:{silent.getsockname()[1]}")
        use(monkeypatch, there.environment())

        await refusal(words)


@pytest.mark.asyncio
@pytest.mark.parametrize(("profile", "words"), [(None, "NoCredentialsError"), ("nobody", "nobody")])
async def test_without_credentials_nothing_is_harmed(profile: str | None, words: str) -> None:
    """The metadata service may be late at boot; a slip in a profile is found in the log."""
    await refusal(words, profile)
