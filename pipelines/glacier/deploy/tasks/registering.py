"""Registers task definitions where they differ, with the roles and the log group that they name."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.glacier.deploy.permissions.roles import WantedRole, differing, make_role, task_roles
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.tasks.task_definitions import (
    Definition,
    TaskSettings,
    differs,
    render_definition,
)
from shared.aws.calls import AwsCalls

_UNKNOWN = ("ClientException", "InvalidParameterException")
"""What ECS says of a family that it does not know; it has no code of its own for that."""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """What is to be registered."""

    definitions: tuple[Definition, ...]
    roles: tuple[WantedRole, ...]
    log_group_missing: bool

    def texts(self, log_group: str, log_days: int) -> list[str]:
        """Say what would be done, in order."""
        found = [f"give role {role.name} the generated policy" for role in self.roles]
        if self.log_group_missing:
            found.append(f"keep the log {log_group} for {log_days} days")
        return [
            *found,
            *(f"register task definition {each['family']}" for each in self.definitions),
        ]


async def plan_tasks(calls: AwsCalls, scope: Scope, wanted: Sequence[TaskSettings]) -> TaskPlan:
    """Compare what is wanted with what there is."""
    definitions = []
    for settings in wanted:
        rendered = render_definition(settings)
        answer = await calls.find(
            "ecs", "describe_task_definition", _UNKNOWN, taskDefinition=settings.family
        )
        if differs(rendered, None if answer is None else answer["taskDefinition"]):
            definitions.append(rendered)
    groups = await calls.send("logs", "describe_log_groups", logGroupNamePrefix=scope.log_group)
    kept = any(
        group["logGroupName"] == scope.log_group and group.get("retentionInDays")
        for group in groups.get("logGroups", [])
    )
    return TaskPlan(
        tuple(definitions), await differing(calls, task_roles(scope)), log_group_missing=not kept
    )


async def register_tasks(calls: AwsCalls, scope: Scope, plan: TaskPlan, log_days: int) -> list[str]:
    """Do what a plan says; returns the ARNs of the new revisions."""
    for role in plan.roles:
        await make_role(calls, role)
    if plan.log_group_missing:
        there = ("ResourceAlreadyExistsException",)
        await calls.find("logs", "create_log_group", there, logGroupName=scope.log_group)
        await calls.send(
            "logs", "put_retention_policy", logGroupName=scope.log_group, retentionInDays=log_days
        )
    arns = []
    for definition in plan.definitions:
        answer = await calls.send("ecs", "register_task_definition", **definition)
        arns.append(str(answer["taskDefinition"]["taskDefinitionArn"]))
    return arns
