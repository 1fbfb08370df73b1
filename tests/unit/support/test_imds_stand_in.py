import json
from datetime import UTC, datetime, timedelta

import aiobotocore.session
import anyio
import anyio.to_thread
import pytest

from tests.support.gate import Gate
from tests.support.imds import TOKEN_PATH, Imds
from tests.support.raw_http import RawAnswer, RawClient

START = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = "/latest/meta-data/iam/security-credentials/"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"


def ask(imds: Imds, path: str, token: str | None = None) -> RawAnswer:
    """Ask as IMDSv2 wants to be asked; fetches a token unless one is given."""
    raw = RawClient(imds.url)
    if token is None:
        token = raw.call("PUT", TOKEN_PATH, headers={TTL: "60"}).body.decode()
    return raw.call("GET", path, headers={"X-aws-ec2-metadata-token": token})


def test_nothing_is_told_without_a_token(imds: Imds) -> None:
    """Version 1 is off, as on a hardened instance."""
    raw = RawClient(imds.url)

    assert raw.call("GET", "/latest/meta-data/instance-id").status == 401
    assert ask(imds, "/latest/meta-data/instance-id", "made-up").status == 401
    assert ask(imds, "/latest/meta-data/instance-id").body == b"i-0123456789abcdef0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({TTL: "0"}, 400),
        ({TTL: "21601"}, 400),
        ({TTL: "60", "X-Forwarded-For": "10.0.0.1"}, 403),
    ],
)
def test_bad_token_request_is_refused(
    imds: Imds, headers: dict[str, str | None], status: int
) -> None:
    """The rules of the token are those of the service."""
    assert RawClient(imds.url).call("PUT", TOKEN_PATH, headers=headers).status == status


def test_token_and_credentials_expire_on_the_given_clock() -> None:
    """Time is an argument: no test waits for a token to grow old."""
    now = [START]
    with Imds(now=lambda: now[0]) as imds:
        raw = RawClient(imds.url)
        token = raw.call("PUT", TOKEN_PATH, headers={TTL: "60"}).body.decode()
        imds.instance.credentials_ttl = timedelta(minutes=5)
        told = json.loads(ask(imds, f"{ROLE}towpath-test", token).body)
        now[0] += timedelta(seconds=61)
        later = ask(imds, ROLE, token)

    assert told["Expiration"] == "2026-01-01T00:05:00Z"
    assert later.status == 401


def test_spot_notice_comes_on_demand() -> None:
    """No notice is a 404, as on EC2."""
    path = "/latest/meta-data/spot/instance-action"
    with Imds(now=lambda: START) as imds:
        quiet = ask(imds, path)
        imds.interrupt()
        noticed = ask(imds, path)
        imds.recommend_rebalance()
        rebalance = ask(imds, "/latest/meta-data/events/recommendations/rebalance")
        imds.calm()
        calm = ask(imds, path)

    assert (quiet.status, calm.status) == (404, 404)
    assert json.loads(noticed.body) == {"action": "terminate", "time": "2026-01-01T00:02:00Z"}
    assert json.loads(rebalance.body) == {"noticeTime": "2026-01-01T00:00:00Z"}


def test_service_can_be_ill_and_an_instance_without_role(imds: Imds) -> None:
    """The daemon must tell "no role" from "no service"."""
    imds.instance.role = None
    without = ask(imds, ROLE)
    imds.instance.failing = 503

    assert (without.status, ask(imds, ROLE, "any").status) == (404, 503)
    assert imds.requests()[-1] == ("GET", ROLE)


@pytest.mark.asyncio
async def test_answers_can_be_held(imds: Imds) -> None:
    """A slow metadata service is a gate that the test opens."""
    imds.instance.held = Gate()
    answers: list[RawAnswer] = []

    async def run() -> None:
        answers.append(await anyio.to_thread.run_sync(ask, imds, ROLE))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await imds.instance.held.reached()
        assert answers == []
        imds.instance.held.open()

    assert answers[0].body == b"towpath-test"


@pytest.mark.asyncio
async def test_sdk_finds_the_role(imds: Imds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client takes the stand-in for the instance's own service."""
    for name, value in imds.environment().items():
        monkeypatch.setenv(name, value)

    credentials = await aiobotocore.session.get_session().get_credentials()
    frozen = await credentials.get_frozen_credentials()

    assert (credentials.method, frozen.token) == ("iam-role", "role-token")
    assert frozen.access_key == imds.instance.access_key
    assert imds.requests()[0] == ("PUT", TOKEN_PATH)
