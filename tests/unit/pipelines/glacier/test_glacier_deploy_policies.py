"""What the generated permissions allow: what the contract names, bounded, nothing that removes."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.glacier import deploy
from pipelines.glacier.deploy.permissions.operator_policy import operator_statements
from pipelines.glacier.deploy.permissions.policies import (
    endpoint_statements,
    execution_statements,
    policy_documents,
    task_execution_statements,
    task_statements,
)
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.permissions.statements import (
    POLICY_CHARACTERS_MAX,
    WITHOUT_RESOURCES,
    policy_document,
    resource_document,
)
from shared.aws.permission import Condition, Permission

SCOPE = Scope(
    "us-west-2",
    "123456789012",
    "greenland-glacier-data",
    "1_download_merge_and_clip",
    "glacier-processing",
    "glacier-lambda",
    topic_arn="arn:aws:sns:us-west-2:123456789012:glacier",
    state_machine_arn="arn:aws:states:us-west-2:123456789012:stateMachine:glacier",
)
_REQUEST = re.compile(r"\.(?:send|find)\(\s*\"([a-z0-9]+)\",\s*\"([a-z_]+)\"")
_IAM_NAMES = {"invoke": "InvokeFunction"}
"""Where IAM calls a request otherwise than the SDK."""
_NEEDED = """
    lambda:CreateFunction lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration
    lambda:GetFunction lambda:GetFunctionConfiguration lambda:InvokeFunction lambda:ListFunctions
    lambda:DeleteFunction lambda:PublishVersion lambda:CreateAlias lambda:UpdateAlias
    iam:CreateRole iam:AttachRolePolicy iam:DetachRolePolicy iam:GetRole iam:ListRoles iam:PassRole
    sts:GetCallerIdentity ecr:GetAuthorizationToken ecr:CreateRepository ecr:InitiateLayerUpload
    ecr:UploadLayerPart ecr:CompleteLayerUpload ecr:PutImage ecr:BatchCheckLayerAvailability
    logs:GetLogEvents logs:FilterLogEvents s3:GetObject s3:PutObject s3:ListBucket
"""


def _all_statements() -> Iterator[Permission]:
    yield from operator_statements(SCOPE)
    yield from execution_statements(SCOPE)
    yield from task_statements(SCOPE)
    yield from task_execution_statements(SCOPE)
    yield from endpoint_statements(SCOPE)


def test_the_operator_has_all_that_the_commands_ask_for() -> None:
    """A denied look was read as "there is no function", and the function made twice."""
    allowed = {action for each in operator_statements(SCOPE) for action in each.actions}

    assert set(_NEEDED.split()) <= allowed


def test_the_operator_may_send_every_request_that_is_written_here() -> None:
    """A right that is missing shows itself in the middle of a deployment."""
    allowed = {action for each in operator_statements(SCOPE) for action in each.actions}
    written = {
        (service, operation)
        for path in Path(deploy.__file__).parent.rglob("*.py")
        for service, operation in _REQUEST.findall(path.read_text())
    }

    asked = {
        f"{service}:{_IAM_NAMES.get(operation) or operation.title().replace('_', '')}"
        for service, operation in written
    }

    assert len(asked) > 25
    assert asked - allowed == set()


def test_every_statement_is_bounded() -> None:
    """One `*` makes the rest of a document a decoration."""
    for statement in _all_statements():
        everywhere = "*" in statement.resources
        assert not everywhere or set(statement.actions) <= WITHOUT_RESOURCES, statement
        assert all(action.count("*") == 0 for action in statement.actions), statement


@pytest.mark.parametrize("statements", [execution_statements, task_statements])
def test_a_run_writes_results_and_nothing_else(statements: type) -> None:
    """The first function had full access to S3: any slip of it could empty the bucket."""
    found = list(statements(SCOPE))

    writing = [each for each in found if "s3:PutObject" in each.actions]
    assert [each.resources for each in writing] == [
        (
            "arn:aws:s3:::greenland-glacier-data/1_download_merge_and_clip/sentinel2/*",
            "arn:aws:s3:::greenland-glacier-data/1_download_merge_and_clip/landsat/*",
        )
    ]
    assert not any("Delete" in action for each in found for action in each.actions)


def test_roles_are_handed_to_lambda_and_ecs_alone() -> None:
    """Whoever may pass a role to any service has its rights."""
    [passing] = [each for each in operator_statements(SCOPE) if "iam:PassRole" in each.actions]

    assert passing.conditions == (
        Condition(
            "StringEquals",
            "iam:PassedToService",
            ("lambda.amazonaws.com", "ecs-tasks.amazonaws.com"),
        ),
    )
    assert all(":role/lambda-glacier-" in resource for resource in passing.resources)


def test_an_endpoint_lets_the_layers_of_images_through() -> None:
    """Pulls failed with 403, and nothing said that a network policy was the reason."""
    resources = {each for statement in endpoint_statements(SCOPE) for each in statement.resources}

    assert "arn:aws:s3:::prod-us-west-2-starport-layer-bucket/*" in resources


def test_an_endpoint_lets_the_scenes_of_both_satellites_through() -> None:
    """Those of Sentinel-2 are open to everybody, and yet take the endpoint's way."""
    resources = {each for statement in endpoint_statements(SCOPE) for each in statement.resources}

    assert {"arn:aws:s3:::usgs-landsat/*", "arn:aws:s3:::sentinel-cogs/*"} <= resources


def test_all_documents_are_what_iam_takes() -> None:
    """A document that is too long is refused at the very end of a set-up."""
    documents = policy_documents(SCOPE)

    assert set(documents) == {
        "operator",
        "execution",
        "execution-trust",
        "task",
        "task-execution",
        "task-trust",
        "endpoint",
    }
    for name, document in documents.items():
        assert document["Version"] == "2012-10-17"
        assert len(repr(document).replace(" ", "")) <= POLICY_CHARACTERS_MAX, name


def test_names_may_be_references_of_a_template() -> None:
    """The stack has no account, and the documents are the same."""
    scope = replace(SCOPE, account_id="${AWS::AccountId}", aws_region="${AWS::Region}")

    text = repr(policy_documents(scope)["execution"])

    assert "arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/" in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"sid": "with blank"},
        {"actions": ()},
        {"actions": ("s3:*",)},
        {"actions": ("*",)},
        {"resources": ()},
        {"resources": ("*",)},
        {"reason": ""},
    ],
)
def test_a_statement_that_is_too_wide_cannot_be_written(wrong: dict[str, object]) -> None:
    """What cannot be written down cannot be deployed by mistake."""
    good: dict[str, object] = {
        "sid": "Good",
        "actions": ("s3:GetObject",),
        "resources": ("arn:aws:s3:::b/*",),
        "reason": "it is read",
    }
    policy_document([Permission(**good)])  # type: ignore[arg-type]  # a table of fields
    bad = Permission(**{**good, **wrong})  # type: ignore[arg-type]  # the same

    for write in (policy_document, resource_document):
        with pytest.raises(ValueError, match="statement"):
            write([bad])


def test_a_document_has_each_name_once() -> None:
    """IAM refuses the second of the same name."""
    statement = Permission("Same", ("s3:GetObject",), ("arn:aws:s3:::b/*",), "it is read")

    with pytest.raises(ValueError, match="twice"):
        policy_document([statement, statement])


def test_a_document_that_is_too_long_is_refused_here() -> None:
    """IAM would refuse it in the middle of a deployment."""
    many = tuple(f"arn:aws:s3:::b/{number:040d}" for number in range(200))

    with pytest.raises(ValueError, match="characters"):
        policy_document([Permission("Long", ("s3:GetObject",), many, "it is read")])
