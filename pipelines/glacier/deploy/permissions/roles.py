"""The roles of the runs, made and kept as `policies` generates them.

A role that is there keeps everything that others gave it; our part is one inline policy. Rule: a
role is never removed, and its trust never changed: both may be somebody's work.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from pipelines.glacier.deploy.permissions.policies import (
    LAMBDA_SERVICE,
    execution_statements,
    task_execution_statements,
    task_statements,
    task_trust,
)
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.permissions.statements import (
    Document,
    policy_document,
    trust_document,
)
from shared.aws.calls import AwsCalls

POLICY_NAME = "glacier"
"""Of the inline policy."""
_ABSENT = ("NoSuchEntity", "NoSuchEntityException")


@dataclass(frozen=True, slots=True)
class WantedRole:
    """A role with what it may do."""

    name: str
    """With its path, where it has one."""
    trust: Document
    policy: Document

    @property
    def plain_name(self) -> str:
        """The name without its path, as IAM's requests have it."""
        return self.name.rpartition("/")[2]


def execution_role(scope: Scope) -> WantedRole:
    """Return the function's role."""
    return WantedRole(
        scope.execution_role,
        trust_document(LAMBDA_SERVICE),
        policy_document(execution_statements(scope)),
    )


def task_roles(scope: Scope) -> tuple[WantedRole, WantedRole]:
    """Return the role of containers, and the one that ECS starts them with."""
    trust = task_trust(scope)
    return (
        WantedRole(scope.task_role, trust, policy_document(task_statements(scope))),
        WantedRole(
            scope.task_execution_role, trust, policy_document(task_execution_statements(scope))
        ),
    )


async def differing(calls: AwsCalls, wanted: Iterable[WantedRole]) -> tuple[WantedRole, ...]:
    """Return the roles that are not there, or do not allow what is generated."""
    found = []
    for role in wanted:
        answer = await calls.find(
            "iam",
            "get_role_policy",
            _ABSENT,
            RoleName=role.plain_name,
            PolicyName=POLICY_NAME,
        )
        if answer is None or _document(answer["PolicyDocument"]) != role.policy:
            found.append(role)
    return tuple(found)


async def make_role(calls: AwsCalls, role: WantedRole) -> None:
    """Make a role where there is none, and give it the policy."""
    name = role.plain_name
    if await calls.find("iam", "get_role", _ABSENT, RoleName=name) is None:
        folder = role.name.rpartition("/")[0]
        where = {"Path": f"/{folder}/"} if folder else {}
        await calls.find(
            "iam",
            "create_role",
            # The answer to an earlier try was lost.
            ("EntityAlreadyExists", "EntityAlreadyExistsException"),
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(role.trust),
            Description="glacier runs",
            **where,
        )
    await calls.send(
        "iam",
        "put_role_policy",
        RoleName=name,
        PolicyName=POLICY_NAME,
        PolicyDocument=json.dumps(role.policy),
    )


def _document(said: object) -> object:
    """Read a document as the SDK gives it: parsed already, or as escaped text."""
    if not isinstance(said, str):
        return said
    try:
        return json.loads(unquote(said))
    except ValueError:
        return None
