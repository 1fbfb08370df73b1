"""What `towpath glacier validate` finds, and that it never passes what it could not look at."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pipelines.glacier.deploy.checks.validating import validate
from pipelines.glacier.deploy.checks.validation import (
    Finding,
    check_configuration,
    check_function,
    exit_status,
)
from pipelines.glacier.deploy.function.deployment import Deployment
from pipelines.glacier.deploy.function.function_plan import FunctionState, Settings
from pipelines.glacier.deploy.permissions.network_policy import lets_through
from pipelines.glacier.deploy.permissions.policies import endpoint_statements
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.permissions.statements import resource_document
from pipelines.glacier.lines.storage import Storage
from shared.aws.calls import AwsCalls
from tests.support.scripted_aws import Answer, ScriptedAws, never_waits, refusal

_WANTED = Deployment(Storage("us-west-2", "bucket", "base"), function="glacier")
_SCOPE: Scope = _WANTED.scope("123456789012")
_URI = "123456789012.dkr.ecr.us-west-2.amazonaws.com/glacier-lambda@sha256:" + "1" * 64
_ROLE = "arn:aws:iam::123456789012:role/lambda-glacier-execution-role"
_GOOD = FunctionState("Image", _URI, Settings(_ROLE, 10_240, 900, 10_240))
_LAYERS = "arn:aws:s3:::prod-us-west-2-starport-layer-bucket/layer"


def _levels(found: FunctionState, live: FunctionState | None = None) -> dict[str, str]:
    return {
        each.check: each.level
        for each in check_function(found, live or found, _WANTED)
        if each.level != "ok"
    }


def test_what_deploy_makes_has_no_finding() -> None:
    """Validation follows every deployment."""
    assert _levels(_GOOD) == {}


@pytest.mark.parametrize(
    ("found", "levels"),
    [
        (replace(_GOOD, package_type="Zip", image_uri=""), {"package type", "image repository"}),
        (replace(_GOOD, image_uri=_URI.replace("glacier-lambda", "other")), {"image repository"}),
        (replace(_GOOD, settings=replace(_GOOD.settings, memory_mb=8192)), {"memory"}),
        (replace(_GOOD, settings=replace(_GOOD.settings, timeout_seconds=599)), {"timeout"}),
        (replace(_GOOD, settings=replace(_GOOD.settings, storage_mb=512)), {"storage"}),
        (replace(_GOOD, architecture="arm64"), {"architecture"}),
    ],
)
def test_what_breaks_runs_is_a_failure(found: FunctionState, levels: set[str]) -> None:
    """Each of these has ended runs after minutes of work."""
    assert _levels(found) == dict.fromkeys(levels, "failed")


def test_what_only_slows_runs_is_a_warning() -> None:
    """A warning is read and not obeyed in a script."""
    slow = replace(_GOOD, settings=replace(_GOOD.settings, timeout_seconds=600))
    tagged = replace(_GOOD, image_uri=_URI.partition("@")[0] + ":latest")

    assert _levels(slow) == {"timeout": "warning"}
    assert _levels(tagged) == {"image digest": "warning"}
    assert _levels(_GOOD, replace(_GOOD, image_uri=_URI + "9")) == {"alias live": "warning"}


def test_an_alias_that_is_not_there_is_a_warning() -> None:
    """Jobs then meet what has answered no test."""
    found = [each for each in check_function(_GOOD, None, _WANTED) if each.level == "warning"]

    assert [each.check for each in found] == ["alias live"]


def test_a_file_that_asks_for_less_is_told() -> None:
    """5120 MB stand in files of 2025, and were too little."""
    [found] = check_configuration(replace(_WANTED, memory_mb=5120))

    assert (found.check, found.required) == ("[LAMBDA] memory_size", "10240")


def test_a_finding_says_all_four_things() -> None:
    """What, how it must be, why, and what to do."""
    small = replace(_GOOD, settings=replace(_GOOD.settings, storage_mb=512))
    [found] = [each for each in check_function(small, small, _WANTED) if each.level == "failed"]

    assert set(found.to_json()) == {"check", "level", "current", "required", "reason", "fix"}
    assert all(found.to_json().values())


@pytest.mark.parametrize(
    ("level", "checked", "status"),
    [("ok", True, 0), ("warning", True, 0), ("failed", True, 1), ("failed", False, 2)],
)
def test_the_exit_status_says_how_it_went(level: Any, checked: bool, status: int) -> None:  # noqa: FBT001 - a table
    """Nothing looked at is never a pass."""
    assert exit_status([Finding("x", level, "", "")], checked=checked) == status


def _aws(**answers: Answer | list[Answer]) -> ScriptedAws:
    configuration = {
        "PackageType": "Image",
        "Role": _ROLE,
        "MemorySize": 10_240,
        "Timeout": 900,
        "EphemeralStorage": {"Size": 10_240},
    }
    trust = {"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]}
    usual: dict[str, Answer | list[Answer]] = {
        "get_function": {"Configuration": configuration, "Code": {"ImageUri": _URI}},
        "get_alias": {"FunctionVersion": "1"},
        "get_role": {"Role": {"AssumeRolePolicyDocument": trust}},
        "simulate_principal_policy": {"EvaluationResults": []},
        "describe_subnets": {"Subnets": [{"VpcId": "vpc-1"}]},
        "describe_vpc_endpoints": {"VpcEndpoints": []},
        **answers,
    }
    return ScriptedAws(
        {name: each if isinstance(each, list) else [each] for name, each in usual.items()}
    )


async def _validate(aws: ScriptedAws, subnets: tuple[str, ...] = ()) -> tuple[dict[str, str], int]:
    found = await validate(AwsCalls(aws, sleep=never_waits), _SCOPE, _WANTED, subnets)
    levels: dict[str, str] = {
        each.check: each.level for each in found.findings if each.level != "ok"
    }
    return levels, exit_status(found.findings, checked=found.checked)


@pytest.mark.parametrize(
    "answer",
    [refusal("ResourceNotFoundException", 404), refusal("AccessDeniedException", 403)],
    ids=["not there", "denied"],
)
@pytest.mark.asyncio
async def test_a_function_that_cannot_be_read_is_2(answer: Exception) -> None:
    """The old script ended with 1 and without a word."""
    _, status = await _validate(_aws(get_function=answer))

    assert status == 2


@pytest.mark.asyncio
async def test_a_role_is_asked_for_what_runs_do() -> None:
    """A missing right shows itself in the tenth minute of a run otherwise."""
    denied = {"EvalActionName": "s3:PutObject", "EvalDecision": "implicitDeny"}
    aws = _aws(simulate_principal_policy={"EvaluationResults": [denied]})

    levels, status = await _validate(aws)

    assert levels["role may GlacierResults"] == "failed"
    assert status == 1
    asked = aws.arguments("simulate_principal_policy")
    listing = [each for each in asked if each["ContextEntries"]]
    assert listing[0]["ContextEntries"][0]["ContextKeyName"] == "s3:prefix"
    assert not any("*" in resource for each in asked for resource in each["ResourceArns"])


@pytest.mark.asyncio
async def test_a_role_that_may_too_much_is_a_warning() -> None:
    """Older deployments attached full access to S3."""
    levels, status = await _validate(_aws())

    assert (levels, status) == ({"role may no more": "warning"}, 0)


@pytest.mark.asyncio
async def test_a_role_that_lambda_may_not_take_is_a_failure() -> None:
    """The function would not start."""
    levels, status = await _validate(_aws(get_role=refusal("NoSuchEntity", 404)))

    assert (levels, status) == ({"role": "failed"}, 1)


@pytest.mark.asyncio
async def test_what_cannot_be_asked_is_told() -> None:
    """Silence would read like a pass."""
    levels, _ = await _validate(_aws(simulate_principal_policy=refusal("AccessDenied", 403)))

    assert levels["role may GlacierResults"] == "warning"


@pytest.mark.asyncio
async def test_an_endpoint_without_the_layers_is_a_failure() -> None:
    """Containers in that network cannot pull the image, and the message is a bare 403."""
    document = json.dumps(
        {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}}
    )
    endpoint = {"VpcEndpointId": "vpce-1", "PolicyDocument": document}

    levels, status = await _validate(
        _aws(describe_vpc_endpoints={"VpcEndpoints": [endpoint]}), ("subnet-1",)
    )

    assert levels["VPC endpoint for S3"] == "failed"
    assert status == 1


@pytest.mark.asyncio
async def test_an_endpoint_without_the_open_scenes_is_a_failure() -> None:
    """Anybody may read them, but not through a policy that does not name them."""
    needed = [
        each for each in endpoint_statements(_SCOPE) if "sentinel-cogs" not in str(each.resources)
    ]
    document = json.dumps(resource_document(needed))
    endpoint = {"VpcEndpointId": "vpce-1", "PolicyDocument": document}

    found = await validate(
        AwsCalls(_aws(describe_vpc_endpoints={"VpcEndpoints": [endpoint]}), sleep=never_waits),
        _SCOPE,
        _WANTED,
        ("subnet-1",),
    )

    [finding] = [each for each in found.findings if each.check == "VPC endpoint for S3"]
    assert finding.level == "failed"
    assert finding.required == "s3:GetObject on arn:aws:s3:::sentinel-cogs/*"


_ALL = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize(
    ("statements", "through"),
    [
        ([_ALL], True),
        (resource_document(endpoint_statements(_SCOPE))["Statement"], True),
        ([{**_ALL, "Action": "S3:getobject"}], True),
        ([{**_ALL, "Action": ["s3:Put*", "s3:Get?bject"]}], True),
        ([{**_ALL, "Resource": "arn:aws:s3:::mine/*"}], False),
        ([{**_ALL, "Action": "s3:Put*"}], False),
        ([_ALL, {**_ALL, "Effect": "Deny", "Resource": "*starport*"}], False),
        ([{"Effect": "Allow", "NotAction": "s3:PutObject", "Resource": "*"}], True),
        ([{"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}], False),
        ([], False),
        ([{"Effect": "Allow"}], None),
    ],
)
def test_a_network_policy_is_read_as_far_as_it_goes(
    statements: list[object],
    through: bool | None,  # noqa: FBT001 - a table
) -> None:
    """What is not understood is never good."""
    document = json.dumps({"Statement": statements})

    assert lets_through(document, "s3:GetObject", _LAYERS) is through


def test_a_policy_that_is_no_policy_is_not_understood() -> None:
    """An endpoint may have none, which is another thing."""
    assert lets_through("{", "s3:GetObject", _LAYERS) is None
