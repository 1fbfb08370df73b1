import itertools
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import anyio
import pytest

from daemons.ingester.account.sessions import Central, RoleRefused, RoleUnavailable, open_central
from daemons.ingester.project.credentials import AutomationKeys
from daemons.ingester.project.mappings import SiteMapping
from shared.s3.errors import BucketMissing, CredentialsExpired
from shared.s3.uri import S3Uri
from tests.support.aws_answers import HANGS_UP, WORKS, Answer, broken, denied, throttled
from tests.support.aws_control import AWS_REGION, CENTRAL_KEY, CENTRAL_SECRET, AwsControl
from tests.support.strict_s3.access import KeyState
from tests.support.strict_s3.server import StrictS3
from tests.support.syncing import AT_ONCE, BUCKET, SITE

ACCOUNT = "222222222222"
KEYS = AutomationKeys(CENTRAL_KEY, CENTRAL_SECRET, AWS_REGION)
MAPPING = SiteMapping.model_validate({"accountId": ACCOUNT, "bucketName": BUCKET})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsControl]:
    """An account whose role we may assume, as the SDK's variables name it."""
    with AwsControl({ACCOUNT}) as control:
        for name, value in control.environment().items():
            monkeypatch.setenv(name, value)
        yield control


@pytest.fixture
def s3(aws: AwsControl, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    """The bucket of the site."""
    with StrictS3([BUCKET], aws_region=AWS_REGION) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        yield server


@asynccontextmanager
async def opened(now: datetime | None = None) -> AsyncIterator[Central]:
    """Be the automation user, without waiting between attempts."""
    with anyio.fail_after(30):
        async with open_central(
            KEYS, policy=AT_ONCE, now=lambda: now or datetime.now(UTC)
        ) as central:
            yield central


@pytest.mark.asyncio
async def test_a_site_costs_one_role_whatever_is_done_with_it(
    aws: AwsControl, s3: StrictS3
) -> None:
    """The original assumed it for each step, and failed on the limits of STS."""
    aws.functions.add("srt-indexing-hardfork")

    async with opened() as central, central.site(SITE, MAPPING) as account:
        await account.store.put(S3Uri(BUCKET, "rss/a.xml"), b"<rss/>")
        async for _ in account.store.pages(S3Uri(BUCKET)):
            pass
        await account.functions.invoke_event("srt-indexing-hardfork", b"{}")

    [assumed] = aws.assumed
    assert aws.count("AssumeRole") == 1
    assert assumed.role_arn == f"arn:aws:iam::{ACCOUNT}:role/browse-dot-show-automation-role"
    assert assumed.session_name.startswith("auto-run-hardfork-")
    assert assumed.duration_seconds == 3600
    assert assumed.policy is not None
    assert aws.invoked[0].session == assumed
    assert s3.objects(BUCKET) == {"rss/a.xml": b"<rss/>"}
    s3.wait_alone()
    assert [seen.operation for seen in s3.requests()] == ["PutObject", "ListObjectsV2"]
    assert {seen.access_key for seen in s3.requests()} == {assumed.access_key}


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", ["permanent", "temporary", "malformed"])
async def test_bucket_in_another_region_is_found(
    aws: AwsControl, s3: StrictS3, answer: Literal["permanent", "temporary", "malformed"]
) -> None:
    """All of them are in one region, until somebody makes one elsewhere."""
    s3.behaviour = replace(s3.behaviour, wrong_region=answer)
    s3.create_bucket("naddpod-bucket", "eu-west-1")
    mapping = SiteMapping.model_validate({"accountId": ACCOUNT, "bucketName": "naddpod-bucket"})

    async with opened() as central, central.site("naddpod", mapping) as account:
        await account.store.put(S3Uri("naddpod-bucket", "rss/a.xml"), b"a")

    assert s3.objects("naddpod-bucket") == {"rss/a.xml": b"a"}


@pytest.mark.asyncio
async def test_missing_bucket_is_named(aws: AwsControl, s3: StrictS3) -> None:
    """A mistake in the mapping must not look like an empty site."""
    mapping = SiteMapping.model_validate({"accountId": ACCOUNT, "bucketName": "no-such-bucket"})

    async with opened() as central, central.site(SITE, mapping) as account:
        with pytest.raises(BucketMissing, match="no-such-bucket"):
            async for _ in account.store.pages(S3Uri("no-such-bucket")):
                pass


@pytest.mark.asyncio
async def test_sites_side_by_side_have_sessions_of_their_own(aws: AwsControl, s3: StrictS3) -> None:
    """What one may do must not be what the other may."""
    other = SiteMapping.model_validate({"accountId": ACCOUNT, "bucketName": "naddpod-bucket"})

    async with (
        opened() as central,
        central.site(SITE, MAPPING),
        central.site("naddpod", other, step="gap"),
    ):
        pass

    first, second = aws.assumed
    assert first.allows("s3:PutObject", f"arn:aws:s3:::{BUCKET}/a")
    assert not first.allows("s3:PutObject", "arn:aws:s3:::naddpod-bucket/a")
    assert second.session_name.startswith("auto-gap-naddpod-")


@pytest.mark.asyncio
async def test_refused_role_is_known_before_anything_is_done(aws: AwsControl, s3: StrictS3) -> None:
    """One account may be gone; its sites fail at once, by name, and not once for each file."""
    aws.accounts.clear()

    async with opened() as central:
        with pytest.raises(RoleRefused, match=f"{ACCOUNT}:role/.*AccessDenied.*; create it"):
            async with central.site(SITE, MAPPING):
                pass

    assert aws.count("AssumeRole") == 1
    assert s3.requests() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "InvalidClientTokenId"),
        (403, "SignatureDoesNotMatch"),
        (400, "IncompleteSignature"),
        (403, "MissingAuthenticationToken"),
        (403, "ExpiredToken"),
    ],
)
async def test_keys_that_are_refused_are_not_told_as_a_missing_role(
    aws: AwsControl, status: int, code: str
) -> None:
    """Who is told to create a role looks in each account, and the mistake is in one file."""
    aws.answers["AssumeRole"] = [Answer(status, code, "No.")]

    async with opened() as central:
        with pytest.raises(RoleRefused) as caught:
            async with central.site(SITE, MAPPING):
                pass

    said = f"the keys of .env.automation cannot be used: {code} No.; replace them"
    assert str(caught.value) == said
    assert aws.count("AssumeRole") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", [throttled(), broken(503), broken(500), HANGS_UP])
async def test_sts_that_stumbles_is_asked_again(aws: AwsControl, trouble: Answer) -> None:
    """A second's trouble at six in the morning must not cost a site its night."""
    aws.answers["AssumeRole"] = [trouble, trouble, WORKS]

    async with opened() as central, central.site(SITE, MAPPING):
        pass

    assert aws.count("AssumeRole") == 3


@pytest.mark.asyncio
async def test_sts_that_does_not_come_back_is_no_refusal(aws: AwsControl) -> None:
    """The next run may find it well again; a refusal somebody has to mend."""
    aws.answers["AssumeRole"] = [broken(503)]

    async with opened() as central:
        with pytest.raises(RoleUnavailable, match="ServiceException"):
            async with central.site(SITE, MAPPING):
                pass

    assert aws.count("AssumeRole") == 3


@pytest.mark.asyncio
async def test_keys_are_renewed_before_they_expire_in_the_middle_of_a_phase(
    aws: AwsControl, s3: StrictS3
) -> None:
    """One sync of a large site lasts longer than a session, which ended the original's run."""
    aws.life = timedelta(seconds=299)

    async with opened() as central, central.site(SITE, MAPPING) as account:
        aws.life = timedelta(hours=1)
        await account.store.put(S3Uri(BUCKET, "rss/a.xml"), b"a")
        await account.store.put(S3Uri(BUCKET, "rss/b.xml"), b"b")

    assert len(aws.assumed) == 2
    assert len({assumed.access_key for assumed in aws.assumed}) == 2


@pytest.mark.asyncio
async def test_expired_keys_are_replaced_by_new_ones(aws: AwsControl, s3: StrictS3) -> None:
    """Sessions can be revoked, and clocks differ: what the service says counts."""
    async with opened() as central, central.site(SITE, MAPPING) as account:
        await account.store.put(S3Uri(BUCKET, "rss/a.xml"), b"a")
        s3.access.keys[aws.assumed[0].access_key] = KeyState.EXPIRED
        await account.store.put(S3Uri(BUCKET, "rss/b.xml"), b"b")

    assert sorted(s3.objects(BUCKET)) == ["rss/a.xml", "rss/b.xml"]
    assert len(aws.assumed) == 2


@pytest.mark.asyncio
async def test_function_is_invoked_although_its_session_was_ended(aws: AwsControl) -> None:
    """The trigger comes hours after the session was opened."""
    aws.functions.add("srt-indexing-hardfork")

    async with opened() as central, central.site(SITE, MAPPING) as account:
        aws.expire()
        await account.functions.invoke_event("srt-indexing-hardfork", b"{}")

    assert aws.invoked[0].session == aws.assumed[1]


@pytest.mark.asyncio
async def test_keys_that_are_still_good_serve_while_sts_is_away(
    aws: AwsControl, s3: StrictS3
) -> None:
    """Four minutes are enough to send a file; to throw them away would be a failure of our own."""
    aws.life = timedelta(seconds=240)

    async with opened() as central, central.site(SITE, MAPPING) as account:
        aws.answers["AssumeRole"] = [broken(503)]
        for number in range(5):
            await account.store.put(S3Uri(BUCKET, f"rss/{number}.xml"), b"a")

    assert len(s3.objects(BUCKET)) == 5
    assert aws.count("AssumeRole") == 1 + 3, "not asked again by everybody who needs keys"


@pytest.mark.asyncio
async def test_role_that_is_taken_away_fails_what_follows(aws: AwsControl, s3: StrictS3) -> None:
    """It ends as an error of the files, within bounds, and says why."""
    aws.life = timedelta(seconds=240)

    async with opened() as central, central.site(SITE, MAPPING) as account:
        aws.answers["AssumeRole"] = [denied()]
        for number in range(3):
            with pytest.raises(CredentialsExpired, match="AccessDenied"):
                await account.store.put(S3Uri(BUCKET, f"rss/{number}.xml"), b"a")

    assert s3.objects(BUCKET) == {}
    assert aws.count("AssumeRole") == 2


@pytest.mark.asyncio
async def test_check_says_whose_the_keys_are(aws: AwsControl) -> None:
    """`--check` is run by somebody who has just pasted them."""
    async with opened() as central:
        arn = await central.check()

    assert arn.endswith(":user/automation/browse-dot-show-automation")


@pytest.mark.asyncio
async def test_check_tells_refused_keys_from_a_network_that_is_down(aws: AwsControl) -> None:
    """One is mended in a file, the other is waited for."""
    refused = Answer(403, "InvalidClientTokenId", "The security token is invalid.")
    aws.answers["GetCallerIdentity"] = [refused, broken(503)]

    async with opened() as central:
        with pytest.raises(RoleRefused, match=r"\.env\.automation.*InvalidClientTokenId"):
            await central.check()
        with pytest.raises(RoleUnavailable):
            await central.check()


@pytest.mark.asyncio
async def test_nobody_else_is_acted_as(
    aws: AwsControl, s3: StrictS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile or keys in the environment of whoever starts it are of another account."""
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

    async with opened() as central, central.site(SITE, MAPPING) as account:
        await account.store.put(S3Uri(BUCKET, "rss/a.xml"), b"a")

    assert len(aws.assumed) == 1
    assert s3.objects(BUCKET) == {"rss/a.xml": b"a"}


@pytest.mark.asyncio
async def test_nothing_secret_is_logged_or_shown(
    aws: AwsControl,
    s3: StrictS3,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Logs are kept for years and sent around."""
    caplog.set_level(logging.INFO)
    aws.life = timedelta(seconds=240)
    aws.answers["AssumeRole"] = [WORKS, denied()]

    async with opened() as central, central.site(SITE, MAPPING) as account:
        with pytest.raises(CredentialsExpired) as refusal:
            await account.store.put(S3Uri(BUCKET, "rss/a.xml"), b"a")
        shown = " ".join(map(repr, (KEYS, central, account, account.store, refusal.value)))

    [assumed] = aws.assumed
    everything = "".join(itertools.chain(caplog.messages, capfd.readouterr(), [shown, caplog.text]))
    for secret in (CENTRAL_SECRET, CENTRAL_KEY, assumed.access_key, assumed.token):
        assert secret not in everything
