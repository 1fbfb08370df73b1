"""The six functions, each with a role and a log group of its own, and the packages they run.

Packages are built and uploaded after the repository is there (`make deploy-aws`), as the image is:
everything that runs has a condition that both are given.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import CfnCondition, CfnParameter, Fn, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from infra.acknowledged import NEAREST_RUNTIME, acknowledge
from infra.wildlife_names import WildlifeNames
from infra.wildlife_package import RUNTIME, STATES, TABLES
from infra.wildlife_settings import Wildlife

HANDLER = "index.handler"
_GUARD_SECONDS, _EXIF_SECONDS, _SECONDS = 60, 900, 300
_MEMORY_MB, _CPU_MB = 512, 1769
"""A function has a whole processor from the second on; reading headers keeps one busy."""
_ROOM_MB = 1024
"""Of a disk, for tables before they are sent."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a function gets."""

    seconds: int
    memory_mb: int = _MEMORY_MB
    package: str = STATES


SIZES: Mapping[str, Size] = {
    "guard_budget": Size(_GUARD_SECONDS),
    "stage0_exif": Size(_EXIF_SECONDS, _CPU_MB),
    "cost_estimation": Size(_GUARD_SECONDS),
    "stage2_post": Size(_SECONDS, _CPU_MB),
    "weather_enrichment": Size(_SECONDS),
    "write_parquet": Size(_SECONDS, _CPU_MB, TABLES),
}
"""By the states' modules; the seconds are those of the states."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Where the functions' packages lie, once they are uploaded."""

    bucket: str
    prefix: str
    given: CfnCondition


def add_packages(stack: Stack) -> Packages:
    """Return the packages that the stack's parameters name."""
    bucket = CfnParameter(
        stack,
        "PackageBucket",
        default="",
        description="Bucket with the functions' packages; empty until they are uploaded",
    )
    prefix = CfnParameter(
        stack,
        "PackagePrefix",
        default="",
        allowed_pattern=r"^$|^[A-Za-z0-9_./-]*[0-9a-f]{16}$",
        constraint_description="a prefix that ends in the digest of what lies below it",
        description=f"Where {STATES} and {TABLES} lie in it; another digest is another program",
    )
    given = CfnCondition(
        stack,
        "HasPackages",
        expression=Fn.condition_not(
            Fn.condition_or(
                Fn.condition_equals(bucket.value_as_string, ""),
                Fn.condition_equals(prefix.value_as_string, ""),
            )
        ),
    )
    return Packages(bucket.value_as_string, prefix.value_as_string, given)


def add_wildlife_function(
    stack: Stack,
    module: str,
    wildlife: Wildlife,
    names: WildlifeNames,
    packages: Packages,
    *,
    key: kms.Key,
    role: iam.IRole,
    variables: Mapping[str, str],
) -> lambda_.CfnFunction:
    """Make the function of a state, by the state's module."""
    name, size = names.function(module), SIZES[module]
    group = logs.CfnLogGroup(
        stack,
        f"Logs-{module}",
        log_group_name=f"/aws/lambda/{name}",
        retention_in_days=wildlife.log_days,
        kms_key_id=key.key_arn,
    )
    group.apply_removal_policy(RemovalPolicy.DESTROY)
    function = lambda_.CfnFunction(
        stack,
        f"Function-{module}",
        function_name=name,
        runtime=RUNTIME,
        handler=HANDLER,
        code={"s3Bucket": packages.bucket, "s3Key": f"{packages.prefix}/{size.package}"},
        role=role.role_arn,
        memory_size=size.memory_mb,
        timeout=size.seconds,
        ephemeral_storage={"size": _ROOM_MB},
        architectures=["x86_64"],
        environment={"variables": dict(variables)},
        kms_key_arn=key.key_arn,
        logging_config={
            "logFormat": "JSON",
            "logGroup": f"/aws/lambda/{name}",
            "applicationLogLevel": "INFO",
            "systemLogLevel": "INFO",
        },
        description=f"Wildlife runs: the state of {module}",
    )
    function.add_resource_dependency(group)
    # Else the first call could be made before it may read or write anything.
    function.node.add_dependency(role)
    function.cfn_options.condition = packages.given
    acknowledge(function, NEAREST_RUNTIME)
    return function
