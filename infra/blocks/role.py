"""Roles: that of a group of machines, with Session Manager, and those that services take.

What they may do is listed, each right with its reason, in `infra/permissions.py`,
`infra/glacier_permissions.py` and `infra/wildlife_permissions.py`.
"""

from collections.abc import Iterable
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledged import SSM_CORE, Finding, acknowledge
from infra.policies import policy_document
from shared.aws.permission import Permission


def add_role(scope: Construct, permissions: Iterable[Permission]) -> iam.Role:
    """Return a role for EC2 with these permissions, as one inline policy."""
    chosen = tuple(permissions)
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        description="A Towpath instance: infra/permissions.py gives the reason for each right",
        managed_policies=[
            iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
        ],
    )
    acknowledge(role, SSM_CORE)
    _grant(role, chosen)
    return role


def add_service_role(
    scope: Construct,
    name: str,
    *,
    service: str,
    permissions: Iterable[Permission],
    role_name: str | None = None,
    only_here: bool = True,
) -> iam.Role:
    """Return a role that a service takes; `only_here`: on behalf of this account alone."""
    conditions = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}} if only_here else None
    role = iam.Role(
        scope,
        name,
        role_name=role_name,
        assumed_by=iam.ServicePrincipal(service, conditions=conditions),
        description="Towpath: each right has its reason in the sources",
    )
    _grant(role, tuple(permissions))
    return role


def _grant(role: iam.Role, chosen: tuple[Permission, ...]) -> None:
    # Below the role, so that whoever waits for the role waits for its rights, too.
    policy = iam.Policy(
        role,
        "Rights",
        document=iam.PolicyDocument.from_json(policy_document(chosen)),
        roles=[role],
    )
    acknowledge(
        policy,
        *(
            Finding(f"AwsSolutions-IAM5[Resource::{_shown(role, resource)}]", permission.reason)
            for permission in chosen
            for resource in permission.resources
            if "*" in resource
        ),
    )


def _shown(scope: Construct, resource: str) -> str:
    """Return a resource as cdk-nag names it: with each reference as `<Name>` or `<Name.Part>`."""
    return _flat(Stack.of(scope).resolve(resource))


def _flat(value: Any) -> str:  # noqa: ANN401 - a resolved text, or an intrinsic function
    if isinstance(value, str):
        return value
    [(function, told)] = value.items()
    if function == "Fn::Join":
        return str(told[0]).join(map(_flat, told[1]))
    return f"<{'.'.join(told) if isinstance(told, list) else told}>"
