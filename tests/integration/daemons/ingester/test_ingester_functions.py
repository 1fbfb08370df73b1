from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest

from daemons.ingester.account import functions
from daemons.ingester.account.functions import CallFailed, CallRefused
from daemons.ingester.account.sessions import SiteAccount, open_central
from daemons.ingester.project.credentials import AutomationKeys
from daemons.ingester.project.mappings import SiteMapping
from tests.support.aws_answers import HANGS_UP, WORKS, Answer, broken, denied, throttled
from tests.support.aws_control import AWS_REGION, CENTRAL_KEY, CENTRAL_SECRET, AwsControl
from tests.support.gate import Gate
from tests.support.syncing import AT_ONCE, BUCKET, SITE

ACCOUNT = "222222222222"
DISTRIBUTION = "E2EXAMPLE"
INDEXING = f"srt-indexing-{SITE}"
PATHS = ("/episode-manifest/*", "/search-entries/*")
REFERENCE = "towpath-hardfork-1749472638931"
CROWDED = Answer(400, "TooManyInvalidationsInProgress", "Processing your request will cause")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsControl]:
    """An account with the function that indexes, and a distribution."""
    control = AwsControl({ACCOUNT}, {INDEXING}, {DISTRIBUTION})
    with control:
        for name, value in control.environment().items():
            monkeypatch.setenv(name, value)
        yield control


@asynccontextmanager
async def opened() -> AsyncIterator[SiteAccount]:
    """Act for the site, without waiting between attempts."""
    keys = AutomationKeys(CENTRAL_KEY, CENTRAL_SECRET, AWS_REGION)
    mapping = SiteMapping.model_validate(
        {"accountId": ACCOUNT, "bucketName": BUCKET, "cloudfrontId": DISTRIBUTION}
    )
    with anyio.fail_after(30):
        async with (
            open_central(keys, policy=AT_ONCE) as central,
            central.site(SITE, mapping) as account,
        ):
            yield account


@pytest.mark.asyncio
async def test_payload_arrives_as_it_is(aws: AwsControl) -> None:
    """The original had to wrap it in base64 for its tool."""
    async with opened() as account:
        await account.functions.invoke_event(INDEXING, b'{"a": 1}')

    [invoked] = aws.invoked
    assert (invoked.function, invoked.kind, invoked.payload) == (INDEXING, "Event", b'{"a": 1}')


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "trouble", [throttled(), throttled("0"), broken(500), broken(503), HANGS_UP]
)
async def test_trouble_that_passes_is_waited_for(aws: AwsControl, trouble: Answer) -> None:
    """Twenty sites trigger within a minute, and Lambda throttles."""
    aws.answers[INDEXING] = [trouble, trouble, WORKS]

    async with opened() as account:
        await account.functions.invoke_event(INDEXING, b"{}")

    assert aws.count(INDEXING) == 3
    assert len(aws.invoked) == 1


@pytest.mark.asyncio
async def test_trouble_that_lasts_ends_after_three_attempts(aws: AwsControl) -> None:
    """The marker and the next run take it from there."""
    aws.answers[INDEXING] = [throttled()]

    async with opened() as account:
        with pytest.raises(CallFailed, match=f"'{INDEXING}' was not invoked: TooManyRequests"):
            await account.functions.invoke_event(INDEXING, b"{}")

    assert aws.count(INDEXING) == 3


@pytest.mark.asyncio
async def test_function_that_is_missing_is_not_asked_for_again(aws: AwsControl) -> None:
    """It will not be there a second later either; the message says what to look at."""
    aws.functions.clear()

    async with opened() as account:
        with pytest.raises(CallRefused, match=r"ResourceNotFound.*; deploy it, or correct"):
            await account.functions.invoke_event(INDEXING, b"{}")

    assert aws.count(INDEXING) == 1


@pytest.mark.asyncio
async def test_denied_function_is_not_asked_for_again(aws: AwsControl) -> None:
    """A session may invoke the functions of its own site, and those only."""
    aws.functions.add("srt-indexing-naddpod")

    async with opened() as account:
        with pytest.raises(CallRefused, match=r"AccessDeniedException.*; allow it to"):
            await account.functions.invoke_event("srt-indexing-naddpod", b"{}")

    assert aws.count("srt-indexing-naddpod") == 1


@pytest.mark.asyncio
async def test_acceptance_with_an_error_is_none(aws: AwsControl) -> None:
    """Taken for one, the marker would go and the index stay old."""
    aws.answers[INDEXING] = [Answer(function_error="Unhandled")]

    async with opened() as account:
        with pytest.raises(CallRefused, match="not accepted: Unhandled"):
            await account.functions.invoke_event(INDEXING, b"{}")


@pytest.mark.asyncio
async def test_silence_has_an_end(aws: AwsControl, monkeypatch: pytest.MonkeyPatch) -> None:
    """One site's function must not hold up the night."""
    gate = Gate()
    aws.answers[INDEXING] = [Answer(held=gate)]
    monkeypatch.setattr(functions, "_CALL_SECONDS", 0.2)

    async with opened() as account:
        with pytest.raises(CallFailed, match=r"no answer within 0\.2 s"):
            await account.functions.invoke_event(INDEXING, b"{}")

    gate.open()


@pytest.mark.asyncio
async def test_dry_run_runs_nothing(aws: AwsControl) -> None:
    """The access check is for before the first run."""
    async with opened() as account:
        await account.functions.dry_run(INDEXING)
        with pytest.raises(CallRefused):
            await account.functions.dry_run("search-api-hardfork")

    assert [invoked.kind for invoked in aws.invoked] == ["DryRun"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"status": "success", "totalSrtFiles": 3}', {"status": "success", "totalSrtFiles": 3}),
        (b"null", {}),
        (b"[1]", {"result": [1]}),
        (b"not json", {"result": "not json"}),
    ],
)
async def test_result_of_a_function_is_returned(
    aws: AwsControl, body: bytes, result: dict[str, object]
) -> None:
    """Whatever it gives back, a person wants to read it."""
    aws.answers[INDEXING] = [Answer(body=body)]

    async with opened() as account:
        assert await account.functions.invoke(INDEXING, b"{}") == result


@pytest.mark.asyncio
async def test_function_that_failed_is_an_error(aws: AwsControl) -> None:
    """The status of the answer says 200 all the same."""
    said = b'{"errorMessage": "out of memory", "errorType": "Runtime"}'
    aws.answers[INDEXING] = [Answer(body=said, function_error="Unhandled")]

    async with opened() as account:
        with pytest.raises(CallRefused, match="has failed: out of memory"):
            await account.functions.invoke(INDEXING, b"{}")


@pytest.mark.asyncio
async def test_function_that_is_waited_for_is_asked_once(aws: AwsControl) -> None:
    """One that gave no answer may be at work: two of them would write the same files."""
    aws.answers[INDEXING] = [HANGS_UP, WORKS]

    async with opened() as account:
        with pytest.raises(CallFailed):
            await account.functions.invoke(INDEXING, b"{}")

    assert aws.count(INDEXING) == 1


@pytest.mark.asyncio
async def test_invalidation_names_its_paths(aws: AwsControl) -> None:
    """One invalidation, of what a run replaces."""
    async with opened() as account:
        created = await account.distributions.invalidate(DISTRIBUTION, PATHS, REFERENCE)

    [invalidated] = aws.invalidated
    assert created
    assert (invalidated.distribution, invalidated.paths) == (DISTRIBUTION, PATHS)


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", [throttled(), broken(500), CROWDED, HANGS_UP])
async def test_invalidation_is_tried_again_and_made_once(aws: AwsControl, trouble: Answer) -> None:
    """Each one past the thousandth path of a month is paid for."""
    aws.answers["CreateInvalidation"] = [trouble, WORKS]

    async with opened() as account:
        await account.distributions.invalidate(DISTRIBUTION, PATHS, REFERENCE)
        await account.distributions.invalidate(DISTRIBUTION, PATHS, REFERENCE)

    assert len(aws.invalidated) == 1


@pytest.mark.asyncio
async def test_invalidation_that_is_denied_is_not_repeated(aws: AwsControl) -> None:
    """Somebody has to allow it."""
    aws.answers["CreateInvalidation"] = [denied()]

    async with opened() as account:
        with pytest.raises(CallRefused, match="'E2EXAMPLE' was not invalidated: AccessDenied"):
            await account.distributions.invalidate(DISTRIBUTION, PATHS, REFERENCE)

    assert aws.count("CreateInvalidation") == 1
