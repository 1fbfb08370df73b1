"""The function that runs one region, and the alias that callers use."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns

from infra.blocks.images import Image
from infra.settings import Glacier

ALIAS = "live"
MEMORY_MB, TIMEOUT_SECONDS, STORAGE_MB = 10_240, 900, 10_240
_ASYNCHRONOUS_RETRIES = 2
_EVENT_HOURS = 6


def add_function(
    stack: Stack,
    glacier: Glacier,
    image: Image,
    *,
    role: iam.IRole,
    topic: sns.ITopic,
) -> None:
    """Make the function with its log group, a version of it, and the alias that leads there."""
    group = logs.CfnLogGroup(
        stack,
        "FunctionLogs",
        log_group_name=f"/aws/lambda/{glacier.function_name}",
        retention_in_days=glacier.log_days,
    )
    group.apply_removal_policy(RemovalPolicy.DESTROY)
    function = lambda_.CfnFunction(
        stack,
        "Function",
        function_name=glacier.function_name,
        package_type="Image",
        code={"imageUri": image.uri},
        role=role.role_arn,
        memory_size=MEMORY_MB,
        timeout=TIMEOUT_SECONDS,
        ephemeral_storage={"size": STORAGE_MB},
        architectures=["x86_64"],
        description="Glacier regions: searched, merged and clipped, one a call",
    )
    function.add_resource_dependency(group)
    # Else the first call could be made before it may read or write anything.
    function.node.add_dependency(role)
    version = lambda_.CfnVersion(stack, "Version", function_name=function.ref)
    alias = lambda_.CfnAlias(
        stack,
        "Alias",
        name=ALIAS,
        function_name=function.ref,
        function_version=version.attr_version,
        description="What is called; a deployment moves it, and moves it back",
    )
    events = _add_events(stack, function, alias, topic)
    for each in (function, version, alias, *events):
        each.cfn_options.condition = image.given


def _add_events(
    stack: Stack, function: lambda_.CfnFunction, alias: lambda_.CfnAlias, topic: sns.ITopic
) -> list[lambda_.CfnEventInvokeConfig]:
    """Say what becomes of calls for whose answer nobody waits."""
    made = [
        lambda_.CfnEventInvokeConfig(
            stack,
            f"Events{name}",
            function_name=function.ref,
            qualifier=qualifier,
            maximum_retry_attempts=_ASYNCHRONOUS_RETRIES,
            maximum_event_age_in_seconds=_EVENT_HOURS * 3600,
            # A call that failed three times is told to people; its record says how.
            destination_config={"onFailure": {"destination": topic.topic_arn}},
        )
        for name, qualifier in (("Newest", "$LATEST"), ("Live", ALIAS))
    ]
    for each in made:
        each.node.add_dependency(alias)
    return made
