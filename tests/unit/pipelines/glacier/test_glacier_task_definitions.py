"""Task definitions: what they say, and that a revision means a difference."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import quote

import pytest

from pipelines.glacier.deploy.function.deployment import Deployment, resolve_deployment, role_name
from pipelines.glacier.deploy.permissions.roles import differing, task_roles
from pipelines.glacier.deploy.tasks.registering import plan_tasks, register_tasks
from pipelines.glacier.deploy.tasks.task_definitions import (
    TaskSettings,
    differs,
    render_definition,
)
from pipelines.glacier.deploy.tasks.task_request import family, task_settings
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.project.aws_keys import AWS_KEYS
from pipelines.glacier.project.ini_text import IniText, parse_ini
from pipelines.glacier.values import Values
from shared.aws.calls import AwsCalls
from shared.errors import UsageError
from tests.support.scripted_aws import Answer, ScriptedAws, never_waits, refusal

_FARGATE = TaskSettings(
    "glacier-task",
    "FARGATE",
    "glacier-processing",
    "r@sha256:1",
    4096,
    16_384,
    "arn:task",
    "arn:execution",
    "/aws/glacier-processing",
    "us-west-2",
)
_EC2 = replace(_FARGATE, family="satellite-processing-task", launch_type="EC2")
_SCOPE = Deployment(Storage("us-west-2", "bucket", "base")).scope("123456789012")


def _registered(settings: TaskSettings) -> dict[str, Any]:
    """Return a definition as ECS describes it: with fields of its own."""
    wanted = render_definition(settings)
    containers = wanted["containerDefinitions"]
    assert isinstance(containers, list)
    return {
        **wanted,
        "taskDefinitionArn": "arn:aws:ecs:us-west-2:1:task-definition/x:3",
        "revision": 3,
        "status": "ACTIVE",
        "compatibilities": ["EC2", "FARGATE"],
        "placementConstraints": [],
        "volumes": [{"name": "work", "host": {}}],
        "containerDefinitions": [
            {**each, "cpu": 0, "portMappings": [], "volumesFrom": []} for each in containers
        ],
    }


@pytest.mark.parametrize("settings", [_FARGATE, _EC2], ids=["fargate", "instances"])
def test_what_is_registered_already_is_not_registered_again(settings: TaskSettings) -> None:
    """A revision a day makes nobody look at any of them."""
    assert not differs(render_definition(settings), _registered(settings))


@pytest.mark.parametrize(
    "changed",
    [
        {"image": "r@sha256:2"},
        {"cpu": 2048},
        {"memory_mb": 8192},
        {"task_role_arn": "arn:other"},
        {"log_group": "/other"},
        {"architecture": "arm64"},
        {"container": "other"},
    ],
)
def test_every_difference_makes_a_revision(changed: Mapping[str, object]) -> None:
    """Tasks would go on with the old image otherwise."""
    other = replace(_FARGATE, **changed)  # type: ignore[arg-type]  # a table of fields

    assert differs(render_definition(other), _registered(_FARGATE))
    assert differs(render_definition(other), None)


def test_a_task_on_fargate_has_room_for_raw_tiles() -> None:
    """The 20 GB that it has by itself are full after a month of four tiles."""
    definition = render_definition(_FARGATE)

    assert definition["ephemeralStorage"] == {"sizeInGiB": 40}
    assert definition["networkMode"] == "awsvpc"
    assert "ephemeralStorage" not in render_definition(_EC2)


def test_a_container_runs_the_runner_and_writes_to_one_place() -> None:
    """The image is the function's: what is started is what differs."""
    [container] = cast("list[dict[str, Any]]", render_definition(_FARGATE)["containerDefinitions"])

    assert container["command"] == ["runner"]
    assert container["readonlyRootFilesystem"] is True
    assert [each["containerPath"] for each in container["mountPoints"]] == ["/tmp"]
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/aws/glacier-processing"
    # Where a submission asks for another size, one of the container would contradict it.
    assert not {"cpu", "memory"} & set(container)


def _sources(text: str) -> Sources:
    empty = IniText(Values({}), "config.ini")
    return Sources(Values({}), empty, parse_ini(text, AWS_KEYS, "aws_config.ini"))


def test_definitions_have_the_names_that_submissions_ask_for() -> None:
    """Otherwise they are registered, and never run."""
    text = """
    [COMPUTE]
    ecs_task_definition = one:7
    [FARGATE]
    fargate_task_definition = two
    fargate_container_name = c
    fargate_cpu = 8192
    fargate_memory = 32768
    [SECURITY]
    iam_task_role = arn:aws:iam::123456789012:role/team/mine
    """.replace("    ", "")
    sources = _sources(text)
    scope = resolve_deployment(sources).scope("123456789012")

    on_instances, on_fargate = task_settings(sources, scope, "image", "x86_64")

    assert (on_instances.family, on_fargate.family) == ("one", "two")
    assert (on_fargate.cpu, on_fargate.memory_mb, on_fargate.container) == (8192, 32_768, "c")
    assert on_fargate.task_role_arn == "arn:aws:iam::123456789012:role/team/mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[FARGATE]\nfargate_cpu = 256\nfargate_memory = 4096\n", "256 CPU units"),
        (
            "[FARGATE]\nfargate_task_definition = a\n[COMPUTE]\necs_task_definition = a\n",
            "name two",
        ),
    ],
)
def test_definitions_that_cannot_work_are_refused(text: str, said: str) -> None:
    """Fargate would refuse the task, a region after the other."""
    with pytest.raises(UsageError, match=said):
        task_settings(_sources(text), _SCOPE, "image", "x86_64")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("mine", "mine"),
        ("arn:aws:iam::1:role/mine", "mine"),
        ("arn:aws:iam::1:role/team/mine", "team/mine"),
    ],
)
def test_a_role_is_written_as_name_or_arn(written: str, name: str) -> None:
    """Both stand in files that people have."""
    assert role_name(written) == name


@pytest.mark.parametrize(
    "written",
    ["glacier", "glacier:live", "arn:aws:lambda:us-west-2:123456789012:function:glacier:live"],
)
def test_a_function_is_written_with_its_alias_too(written: str) -> None:
    """Jobs are best sent to the alias; what is deployed is the function."""
    sources = _sources(f"[LAMBDA]\nfunction_name = {written}\n")

    assert resolve_deployment(sources).function == "glacier"


def test_a_family_is_written_in_all_three_ways() -> None:
    """A revision that the file names is not part of the name."""
    arn = "arn:aws:ecs:us-west-2:1:task-definition/glacier-task:4"

    assert {family(name) for name in (arn, "glacier-task:4", "glacier-task")} == {"glacier-task"}


def _ecs(**answers: Answer) -> ScriptedAws:
    usual: dict[str, Answer] = {
        "describe_log_groups": {
            "logGroups": [{"logGroupName": _SCOPE.log_group, "retentionInDays": 30}]
        },
        "register_task_definition": {"taskDefinition": {"taskDefinitionArn": "arn:new"}},
        **answers,
    }
    return ScriptedAws({name: [answer] for name, answer in usual.items()})


@pytest.mark.asyncio
async def test_a_first_registration_makes_what_it_names() -> None:
    """A task whose log group or role is missing ends before its first line."""
    aws = _ecs(
        describe_task_definition=refusal("ClientException"),
        describe_log_groups={"logGroups": []},
        get_role_policy=refusal("NoSuchEntity", 404),
        get_role=refusal("NoSuchEntity", 404),
        create_role={},
        put_role_policy={},
        create_log_group={},
        put_retention_policy={},
    )
    calls = AwsCalls(aws, sleep=never_waits)

    plan = await plan_tasks(calls, _SCOPE, [_FARGATE, _EC2])
    arns = await register_tasks(calls, _SCOPE, plan, 30)

    assert plan.texts(_SCOPE.log_group, 30) == [
        "give role lambda-glacier-task-role the generated policy",
        "give role lambda-glacier-task-execution-role the generated policy",
        "keep the log /aws/glacier-processing for 30 days",
        "register task definition glacier-task",
        "register task definition satellite-processing-task",
    ]
    assert arns == ["arn:new", "arn:new"]
    assert [each["RoleName"] for each in aws.arguments("create_role")] == [
        "lambda-glacier-task-role",
        "lambda-glacier-task-execution-role",
    ]
    assert aws.arguments("put_retention_policy")[0]["retentionInDays"] == 30


@pytest.mark.asyncio
async def test_a_second_registration_has_nothing_to_do() -> None:
    """However often it is asked for."""
    policies = {role.name: {"PolicyDocument": role.policy} for role in task_roles(_SCOPE)}
    aws = _ecs(describe_task_definition={"taskDefinition": _registered(_FARGATE)})
    aws.answers["get_role_policy"] = list(policies.values())

    plan = await plan_tasks(AwsCalls(aws), _SCOPE, [_FARGATE])

    assert plan.texts(_SCOPE.log_group, 30) == []


@pytest.mark.asyncio
async def test_a_role_with_another_policy_is_brought_back() -> None:
    """Somebody has widened it by hand; IAM gives documents as escaped text, too."""
    first, second = task_roles(_SCOPE)
    aws = ScriptedAws({"get_role_policy": [{"PolicyDocument": "%7B%22x%22%3A1%7D"}]})
    same = ScriptedAws({"get_role_policy": [{"PolicyDocument": quote(json.dumps(first.policy))}]})

    assert await differing(AwsCalls(aws), [first, second]) == (first, second)
    assert await differing(AwsCalls(same), [first]) == ()
