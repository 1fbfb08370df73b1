"""How the permissions of the glacier runs are written for IAM. Pure.

Rule: a statement allows single actions, and `*` as its resource only where the action knows no
other or a condition bounds it.

Names may hold references that a template resolves, such as `${AWS::AccountId}`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from shared.aws.permission import (
    VERSION,
    Condition,
    Permission,
    check_form,
    count_characters,
    refuse_doubled,
    render_conditions,
)

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


def policy_document(statements: Iterable[Permission]) -> Document:
    """Return the document of an identity's policy.

    Raises:
        ValueError: it is longer than IAM takes, a name stands there twice, or a statement is not
            what IAM takes, or too wide.
    """
    chosen = tuple(statements)
    refuse_doubled(chosen)
    document = {"Version": VERSION, "Statement": [_rendered(each) for each in chosen]}
    size = count_characters(document)
    if size > POLICY_CHARACTERS_MAX:
        raise ValueError(f"the policy has {size} characters, IAM takes {POLICY_CHARACTERS_MAX}")
    return document


def trust_document(service: str, conditions: Sequence[Condition] = ()) -> Document:
    """Return the document that lets a service, such as `lambda.amazonaws.com`, take a role."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        **render_conditions(conditions),
    }
    return {"Version": VERSION, "Statement": [statement]}


def resource_document(statements: Iterable[Permission]) -> Document:
    """Return the document of a resource's own policy, for everybody whom IAM lets do the same."""
    rendered = [{**_rendered(each), "Principal": "*"} for each in statements]
    return {"Version": VERSION, "Statement": rendered}


def _rendered(permission: Permission) -> dict[str, object]:
    """Return a statement; ValueError where it is wider than any of ours may be."""
    check_form(permission)
    if "*" in permission.resources and not WITHOUT_RESOURCES.issuperset(permission.actions):
        raise ValueError(f"statement {permission.sid!r} names no resource; give it ARNs")
    return permission.to_json()
