"""A statement of an IAM policy with its reason, and how it is written for IAM. Pure.

Rule: a statement allows single actions, and `*` as its resource only where the action knows no
other or a condition bounds it.

Names may hold references that a template resolves, such as `${AWS::AccountId}`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Document: TypeAlias = Mapping[str, object]
"""As IAM takes it, ready to be written as JSON."""

POLICY_CHARACTERS_MAX = 6144
"""Of a managed policy, white space not counted (IAM User Guide, "IAM quotas")."""
WITHOUT_RESOURCES = frozenset(
    {
        "batch:DescribeJobs",
        "batch:ListJobs",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcEndpoints",
        "ecr:GetAuthorizationToken",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition",
        "iam:ListRoles",
        "lambda:ListFunctions",
        "logs:DescribeLogGroups",
        "sts:GetCallerIdentity",
    }
)
"""Actions that IAM cannot bound to resources. All but one only read; a task definition that is
registered can name no role but those that may be passed."""
_VERSION = "2012-10-17"
_ACTION = re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z]+")
_SID = re.compile(r"[A-Za-z0-9]{1,64}")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a statement: `operator` on the key, met by any one of the values."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that allows something, and the reason for it."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what IAM does not take, or what is wider than any of ours may be."""
        if not _SID.fullmatch(self.sid):
            raise ValueError(f"statement {self.sid!r} may have only letters and digits in its name")
        if not self.actions or not self.resources or not self.reason:
            raise ValueError(f"statement {self.sid!r} must have actions, resources and a reason")
        if wrong := [action for action in self.actions if not _ACTION.fullmatch(action)]:
            raise ValueError(f"statement {self.sid!r}: {wrong[0]!r} is no single action")
        if "*" in self.resources and not WITHOUT_RESOURCES.issuperset(self.actions):
            raise ValueError(f"statement {self.sid!r} names no resource; give it ARNs")


def policy_document(statements: Iterable[Statement]) -> Document:
    """Return the document of an identity's policy.

    Raises:
        ValueError: it is longer than IAM takes, or a name stands there twice.
    """
    chosen = tuple(statements)
    names = [statement.sid for statement in chosen]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"statements {doubled!r} stand there twice")
    document = {"Version": _VERSION, "Statement": [_rendered(each) for each in chosen]}
    size = sum(not character.isspace() for character in repr(document))
    if size > POLICY_CHARACTERS_MAX:
        raise ValueError(f"the policy has {size} characters, IAM takes {POLICY_CHARACTERS_MAX}")
    return document


def trust_document(service: str, conditions: Sequence[Condition] = ()) -> Document:
    """Return the document that lets a service, such as `lambda.amazonaws.com`, take a role."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        **_conditions(conditions),
    }
    return {"Version": _VERSION, "Statement": [statement]}


def resource_document(statements: Iterable[Statement]) -> Document:
    """Return the document of a resource's own policy, for everybody whom IAM lets do the same."""
    rendered = [{**_rendered(each), "Principal": "*"} for each in statements]
    return {"Version": _VERSION, "Statement": rendered}


def _rendered(statement: Statement) -> dict[str, object]:
    return {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": list(statement.actions),
        "Resource": list(statement.resources),
        **_conditions(statement.conditions),
    }


def _conditions(conditions: Sequence[Condition]) -> dict[str, object]:
    rendered: dict[str, dict[str, list[str]]] = {}
    for condition in conditions:
        rendered.setdefault(condition.operator, {})[condition.key] = list(condition.values)
    return {"Condition": rendered} if rendered else {}
