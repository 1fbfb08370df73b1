"""A permission with its reason, and how it is written for IAM. Pure.

Rule: what is rendered allows single actions on named resources. A wildcard in an action, a bucket
whose name is a pattern, or `*` for every resource never comes out of here by mistake.

Names may hold references that a template resolves, such as `${AWS::AccountId}`; they are taken as
they stand.
"""

import re
from collections.abc import Iterable

from shared.aws.permission import (
    VERSION,
    Permission,
    check_form,
    count_characters,
    refuse_doubled,
)
from shared.s3.uri import bucket_fault

POLICY_CHARACTERS_MAX = 10_240
"""Of all inline policies of a role, white space not counted (IAM User Guide, "IAM quotas")."""

_REFERENCE = re.compile(r"\$\{[^${}*?\s]{1,200}\}")
_STAND_IN = "reference0"
"""What stands in the place of a reference while a name is checked."""
_ARN = re.compile(
    r"reference0(?::\S+)?"
    r"|arn:(?:aws(?:-[a-z]+)*|reference0):(?P<service>[a-z0-9-]+):[a-z0-9-]*:"
    r"(?:[0-9]{12}|reference0)?:(?P<resource>\S+)"
)
"""A whole ARN may be a reference, with something behind it."""
_WITHOUT_RESOURCES = frozenset({"cloudwatch:PutMetricData"})
"""Actions that know no resources; a condition must bound them instead."""
_FOR_EVERYTHING = frozenset(
    {
        "batch:DescribeJobs",
        "ecr:GetAuthorizationToken",
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
)
"""Actions that know neither resources nor a condition that would bound them."""


def policy_document(permissions: Iterable[Permission]) -> dict[str, object]:
    """Return the permissions as an IAM policy, ready to be written as JSON.

    Raises:
        ValueError: a statement is not what IAM takes, or wider than any of ours may be.
    """
    chosen = tuple(permissions)
    refuse_doubled(chosen)
    for permission in chosen:
        _check(permission)
    document: dict[str, object] = {
        "Version": VERSION,
        "Statement": [permission.to_json() for permission in chosen],
    }
    size = count_characters(document)
    if size > POLICY_CHARACTERS_MAX:
        raise ValueError(
            f"the policy has {size} characters, IAM takes {POLICY_CHARACTERS_MAX}; give each "
            "service a role of its own"
        )
    return document


def check_bucket(name: str) -> None:
    """Raise ValueError for what is no bucket's name."""
    if fault := bucket_fault(_REFERENCE.sub(_STAND_IN, name)):
        raise ValueError(f"bucket {name!r} {fault}")


def check_arn(arn: str) -> None:
    """Raise ValueError for what is no ARN."""
    resolved = _REFERENCE.sub(_STAND_IN, arn)
    found = _ARN.fullmatch(resolved)
    if found is None or "$" in resolved:
        raise ValueError(f"{arn!r} is no ARN; write arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE")
    if found["service"] == "s3" and (fault := bucket_fault(found["resource"].partition("/")[0])):
        raise ValueError(f"{arn!r} names a bucket that {fault}")


def _check(permission: Permission) -> None:
    check_form(permission)
    actions = set(permission.actions)
    bounded = actions <= _WITHOUT_RESOURCES and bool(permission.conditions)
    for resource in permission.resources:
        if resource == "*" and (bounded or actions <= _FOR_EVERYTHING):
            continue
        check_arn(resource)
