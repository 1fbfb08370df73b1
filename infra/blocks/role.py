"""The role of a group of machines: what `infra/permissions.py` lists, and Session Manager."""

import re
from collections.abc import Iterable

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledged import SSM_CORE, Finding, acknowledge
from infra.policies import Permission, policy_document

_PSEUDO = re.compile(r"\$\{Token\[AWS\.(\w+)\.[0-9]+\]\}")


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
            Finding(f"AwsSolutions-IAM5[Resource::{_shown(resource)}]", permission.reason)
            for permission in chosen
            for resource in permission.resources
            if "*" in resource
        ),
    )
    return role


def _shown(resource: str) -> str:
    """Return a resource as cdk-nag names it."""
    return _PSEUDO.sub(r"<AWS::\1>", resource)
