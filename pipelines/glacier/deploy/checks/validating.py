"""Asks AWS about what is deployed, and hands it to `validation`.

What cannot be asked is a finding of its own, never a pass.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.glacier.deploy.checks.validation import (
    Finding,
    check_configuration,
    check_function,
    judge,
    warn,
)
from pipelines.glacier.deploy.function.deployment import Deployment
from pipelines.glacier.deploy.function.function_facts import load_function, load_live
from pipelines.glacier.deploy.permissions.network_policy import lets_through
from pipelines.glacier.deploy.permissions.policies import (
    LAMBDA_SERVICE,
    endpoint_statements,
    execution_statements,
)
from pipelines.glacier.deploy.permissions.scope import Scope
from shared.aws.calls import AwsCalls
from shared.aws.permission import Permission
from shared.errors import SuiteError

_NO_ROLE = ("NoSuchEntity", "NoSuchEntityException")
_TOO_MUCH = "s3:DeleteBucket"
"""What no run ever needs; a role that may do it has somebody's full access."""
_ROLES = "towpath glacier deploy --apply"


@dataclass(frozen=True, slots=True)
class Validated:
    """Everything that was found."""

    findings: tuple[Finding, ...]
    checked: bool
    """The function could be read."""


async def validate(
    calls: AwsCalls, scope: Scope, wanted: Deployment, subnets: Sequence[str]
) -> Validated:
    """Look at function, role and network; raises nothing that AWS answers."""
    findings = list(check_configuration(wanted))
    try:
        function = await load_function(calls, wanted.function)
        live = (await load_live(calls, wanted.function))[1] if function else None
    except SuiteError as error:
        findings.append(_unreadable("function", error, "lambda:GetFunction and lambda:GetAlias"))
        return Validated(tuple(findings), checked=False)
    if function is None:
        findings.append(
            judge(
                "function",
                f"no {wanted.function!r} in {scope.aws_region}",
                "there",
                met=False,
                reason="there is nothing that jobs could be sent to",
            )
        )
        return Validated(tuple(findings), checked=False)
    findings += check_function(function, live, wanted)
    findings += [each async for each in _check_role(calls, scope, function.settings.role_arn)]
    findings += [each async for each in _check_network(calls, scope, subnets)]
    return Validated(tuple(findings), checked=True)


async def _check_role(calls: AwsCalls, scope: Scope, arn: str) -> AsyncIterator[Finding]:
    name = arn.rpartition("/")[2]
    try:
        answer = await calls.find("iam", "get_role", _NO_ROLE, RoleName=name)
    except SuiteError as error:
        yield _unreadable("role", error, "iam:GetRole")
        return
    trusted = answer is not None and LAMBDA_SERVICE in json.dumps(
        answer["Role"].get("AssumeRolePolicyDocument", "")
    )
    yield judge(
        "role",
        arn if trusted else f"{name!r} is not there or does not trust {LAMBDA_SERVICE}",
        f"trusts {LAMBDA_SERVICE}",
        met=trusted,
        reason="the function cannot act as anybody",
        fix=_ROLES,
    )
    if not trusted:
        return
    for statement in execution_statements(scope):
        yield await _simulate(calls, arn, statement)
    yield await _simulate_too_much(calls, scope, arn)


async def _simulate(calls: AwsCalls, arn: str, statement: Permission) -> Finding:
    check, required = f"role may {statement.sid}", ", ".join(statement.actions)
    denied: set[str] = set()
    try:
        for resource in statement.resources:
            denied |= await _denied(calls, arn, statement, resource.replace("*", "probe"))
    except SuiteError as error:
        return _unreadable(check, error, "iam:SimulatePrincipalPolicy")
    return judge(
        check,
        f"denied: {', '.join(sorted(denied))}" if denied else "allowed",
        required,
        met=not denied,
        reason=statement.reason,
        fix=_ROLES,
    )


async def _denied(calls: AwsCalls, arn: str, statement: Permission, resource: str) -> set[str]:
    answer = await calls.send(
        "iam",
        "simulate_principal_policy",
        PolicySourceArn=arn,
        ActionNames=list(statement.actions),
        ResourceArns=[resource],
        ContextEntries=_context(statement),
    )
    return {
        str(each["EvalActionName"])
        for each in answer["EvaluationResults"]
        if each["EvalDecision"] != "allowed"
    }


def _context(statement: Permission) -> list[Mapping[str, object]]:
    """Return the keys with which a request that the statement is for would come."""
    return [
        {
            "ContextKeyName": condition.key,
            "ContextKeyType": "string",
            "ContextKeyValues": [condition.values[0].replace("*", "probe")],
        }
        for condition in statement.conditions
        if condition.operator != "Null"
    ]


async def _simulate_too_much(calls: AwsCalls, scope: Scope, arn: str) -> Finding:
    check = "role may no more"
    asked = Permission("TooMuch", (_TOO_MUCH,), (scope.bucket_arn,), "no run removes its bucket")
    try:
        denied = await _denied(calls, arn, asked, scope.bucket_arn)
    except SuiteError as error:
        return _unreadable(check, error, "iam:SimulatePrincipalPolicy")
    if denied:
        return Finding(check, "ok", f"{_TOO_MUCH} denied", "denied")
    return warn(
        check,
        f"{_TOO_MUCH} allowed",
        "denied",
        reason=f"{asked.reason}; an older deployment attached full access to S3",
        fix="detach AmazonS3FullAccess from the role",
    )


async def _check_network(
    calls: AwsCalls, scope: Scope, subnets: Sequence[str]
) -> AsyncIterator[Finding]:
    """Yield whether the endpoints for S3 beside the containers' subnets let through what is needed.

    Layers are in it: images cannot be pulled without them.
    """
    if not subnets:
        return
    check = "VPC endpoint for S3"
    try:
        found = await calls.send("ec2", "describe_subnets", SubnetIds=list(subnets))
        vpcs = sorted({str(each["VpcId"]) for each in found["Subnets"]})
        answer = await calls.send(
            "ec2",
            "describe_vpc_endpoints",
            Filters=[
                {"Name": "vpc-id", "Values": vpcs},
                {"Name": "service-name", "Values": [f"com.amazonaws.{scope.aws_region}.s3"]},
            ],
        )
    except SuiteError as error:
        yield _unreadable(check, error, "ec2:DescribeSubnets and ec2:DescribeVpcEndpoints")
        return
    for endpoint in answer["VpcEndpoints"]:
        name, document = endpoint["VpcEndpointId"], str(endpoint.get("PolicyDocument", ""))
        closed = [each for each in endpoint_statements(scope) if not _passes(document, each)]
        yield judge(
            check,
            f"{name} {'does not let all' if closed else 'lets all of it'} through",
            "; ".join(_told(each) for each in closed or endpoint_statements(scope)),
            met=not closed,
            reason=f"a bare 403 is the answer for {', '.join(each.reason for each in closed)}",
            fix="add what `towpath glacier iam --only endpoint` prints to its policy",
        )


def _passes(document: str, statement: Permission) -> bool:
    return all(
        lets_through(document, action, resource.replace("*", "probe"))
        for action in statement.actions
        for resource in statement.resources
    )


def _told(statement: Permission) -> str:
    return f"{', '.join(statement.actions)} on {', '.join(statement.resources)}"


def _unreadable(check: str, error: SuiteError, needed: str) -> Finding:
    said = " ".join(str(error).split())[:300]
    return warn(
        check,
        f"cannot be asked: {said}",
        "readable",
        reason="nothing is known",
        fix=f"allow {needed}",
    )
