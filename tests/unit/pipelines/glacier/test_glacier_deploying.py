"""A deployment carried out: waits in the place of races, and an alias that goes back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from pipelines.glacier.deploy.docker.build_context import Ingredients
from pipelines.glacier.deploy.docker.image_content import ImageContent
from pipelines.glacier.deploy.docker.imaging import Building
from pipelines.glacier.deploy.function.deploy_plan import Kind, Observed, Step
from pipelines.glacier.deploy.function.deploying import Deploying, Goal, SmokeTestFailed
from pipelines.glacier.deploy.function.function_plan import FunctionStep, Settings, Wanted
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.probes.probes import bad_event
from shared.aws.calls import AwsCalls, NotYet
from shared.errors import PermanentError
from shared.s3.errors import AccessDenied
from tests.support.scripted_aws import Answer, Body, ScriptedAws, never_waits, refusal

_SCOPE = Scope("us-west-2", "123456789012", "bucket", "base", "glacier", "glacier-lambda")
_WANTED = Wanted(
    "glacier", "r/glacier-lambda", "sha256:new", Settings("arn:role", 1, 2, 3), "arm64"
)
_OBSERVED = Observed("123456789012", None, False, 30, None, "6", None)  # noqa: FBT003 - a row
_BUSY = {"State": "Active", "LastUpdateStatus": "InProgress"}
_IDLE = {"State": "Active", "LastUpdateStatus": "Successful"}
_GOOD = {
    "statusCode": 400,
    "body": json.dumps(
        {"status": "invalid", "error": "sentinel3 regions date1 date2", "warnings": []}
    ),
}
_ABSENT = refusal("ResourceNotFoundException", 404)


def _deploying(aws: ScriptedAws, observed: Observed = _OBSERVED) -> Deploying:
    place = PurePosixPath("regions.gpkg")
    ingredients = Ingredients(Path(), Path(), place, "python@sha256:0", "linux/arm64")
    building = Building(ingredients, ImageContent({}, "python@sha256:0", "linux/arm64", place))
    goal = Goal(_SCOPE, _WANTED, "tag", 30, building, (bad_event(),))
    return Deploying(AwsCalls(aws, sleep=never_waits), observed, goal, lambda _text: None)


async def _do(aws: ScriptedAws, *kinds: Kind | FunctionStep, before: str = "6") -> None:
    observed = Observed("123456789012", None, False, 30, None, before, None)  # noqa: FBT003 - a row
    await _deploying(aws, observed).carry_out([Step(kind, "") for kind in kinds])


def _publishing(payload: object, **invocation: str) -> dict[str, list[Answer]]:
    return {
        "publish_version": [{"Version": "7"}],
        "get_function_configuration": [_IDLE],
        "update_alias": [{}],
        "delete_alias": [{}],
        "invoke": [{"Payload": Body(json.dumps(payload).encode()), **invocation}],
    }


def _moves(aws: ScriptedAws) -> Sequence[str]:
    return [str(each["FunctionVersion"]) for each in aws.arguments("update_alias")]


@pytest.mark.asyncio
async def test_settings_wait_for_the_code() -> None:
    """The old script sent both at once, and Lambda refused the second now and then."""
    aws = ScriptedAws(
        {
            "update_function_code": [{}],
            "update_function_configuration": [{}],
            "get_function_configuration": [_BUSY, _BUSY, _IDLE, _BUSY, _IDLE],
        }
    )

    await _do(aws, "code", "settings")

    looks = ["get_function_configuration"]
    assert aws.operations() == [
        "update_function_code",
        *looks * 3,
        "update_function_configuration",
        *looks * 2,
    ]
    assert aws.arguments("update_function_code")[0]["ImageUri"] == "r/glacier-lambda@sha256:new"


@pytest.mark.asyncio
async def test_memory_time_and_storage_are_always_set() -> None:
    """A function with the service's 512 MB of storage fails after three tiles."""
    aws = ScriptedAws({"create_function": [{}], "get_function_configuration": [_IDLE]})

    await _do(aws, "create")

    [made] = aws.arguments("create_function")
    assert (made["MemorySize"], made["Timeout"], made["EphemeralStorage"]) == (1, 2, {"Size": 3})
    assert (made["PackageType"], made["Architectures"]) == ("Image", ["arm64"])


@pytest.mark.asyncio
async def test_a_role_that_was_just_made_is_waited_for() -> None:
    """IAM is a few seconds behind itself."""
    early = refusal(
        "InvalidParameterValueException",
        message="The role defined for the function cannot be assumed by Lambda.",
    )
    aws = ScriptedAws({"create_function": [early, {}], "get_function_configuration": [_IDLE]})

    await _do(aws, "create")

    assert len(aws.arguments("create_function")) == 2


@pytest.mark.asyncio
async def test_a_removal_is_waited_for() -> None:
    """Making it anew too early is refused; the old script slept ten seconds instead."""
    aws = ScriptedAws({"delete_function": [{}], "get_function": [{}, {}, _ABSENT]})

    await _do(aws, "remove")

    assert len(aws.arguments("get_function")) == 3


@pytest.mark.asyncio
async def test_an_update_that_fails_is_told() -> None:
    """Waiting for it would last for ever."""
    failed = {**_IDLE, "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no such image"}
    aws = ScriptedAws({"update_function_code": [{}], "get_function_configuration": [failed]})

    with pytest.raises(PermanentError, match="no such image"):
        await _do(aws, "code")


@pytest.mark.asyncio
async def test_an_update_without_end_is_given_up() -> None:
    """Every wait has a limit."""
    aws = ScriptedAws({"update_function_code": [{}], "get_function_configuration": [_BUSY]})

    with pytest.raises(NotYet, match="has not come about"):
        await _do(aws, "code")


@pytest.mark.asyncio
async def test_a_good_version_keeps_the_alias() -> None:
    """Jobs meet it from then on."""
    aws = ScriptedAws(_publishing(_GOOD))

    await _do(aws, "publish")

    assert _moves(aws) == ["7"]
    assert aws.arguments("invoke")[0]["Qualifier"] == "live"


@pytest.mark.parametrize(
    "answers",
    [
        _publishing({"statusCode": 200, "body": "{}"}),
        _publishing({"errorMessage": "no module"}, FunctionError="Unhandled"),
        {**_publishing(_GOOD), "invoke": [refusal("AccessDeniedException", 403)]},
    ],
    ids=["wrong answer", "it raised", "it cannot be asked"],
)
@pytest.mark.asyncio
async def test_a_version_that_fails_its_test_is_taken_back(
    answers: dict[str, list[Answer]],
) -> None:
    """The next job must not meet it, whatever is wrong with it."""
    aws = ScriptedAws(answers)

    with pytest.raises(SmokeTestFailed, match="back at version 6"):
        await _do(aws, "publish")

    assert _moves(aws) == ["7", "6"]


@pytest.mark.asyncio
async def test_an_alias_that_was_not_there_is_removed_again() -> None:
    """The first deployment of all may fail, too."""
    answers = _publishing({"statusCode": 500, "body": "{}"})
    aws = ScriptedAws({**answers, "update_alias": [_ABSENT], "create_alias": [{}]})

    with pytest.raises(SmokeTestFailed, match="is removed"):
        await _do(aws, "publish", before="")

    assert aws.operations()[-1] == "delete_alias"


@pytest.mark.asyncio
async def test_a_denied_look_is_no_absence() -> None:
    """Taken for one, the function would be made a second time, and that fails obscurely."""
    aws = ScriptedAws({"get_function": [refusal("AccessDeniedException", 403)]})

    with pytest.raises(AccessDenied):
        await AwsCalls(aws).find("lambda", "get_function", ("ResourceNotFoundException",))


@pytest.mark.asyncio
async def test_a_throttled_request_is_repeated() -> None:
    """Every request of a deployment may be."""
    busy: Mapping[str, Any] = {"Version": "1"}
    aws = ScriptedAws({"publish_version": [refusal("TooManyRequestsException", 429), busy]})

    answer = await AwsCalls(aws, sleep=never_waits).send("lambda", "publish_version")

    assert answer["Version"] == "1"
