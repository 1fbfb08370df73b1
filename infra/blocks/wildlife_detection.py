"""The detection on Batch: what its jobs run on, the queues before that, and the job's definition.

Three queues for what a run may cost: spare capacity alone; spare capacity with on-demand behind it,
where the budget would bear that; on-demand alone. A job that gets no instance is cancelled after
ten minutes, so that a run never waits for ever.
"""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs

from infra.blocks.batch import (
    WITH_INIT,
    Capacity,
    Instances,
    Place,
    add_environment,
    add_instance_profile,
    add_launch_template,
    add_queue,
)
from infra.blocks.images import Image
from infra.wildlife_names import WildlifeNames
from infra.wildlife_settings import Wildlife
from pipelines.wildlife.states.index import DETECTION

_WAIT_SECONDS = 600
_VCPUS, _MEMORY_MB, _SECONDS = 2, 3584, 3600
"""4096 would not fit a c5.large, of whose four the system takes some."""
_TEMPORARY = "/tmp"  # noqa: S108 - of the container, and its own


def add_detection_queues(
    stack: Stack, wildlife: Wildlife, names: WildlifeNames, place: Place
) -> None:
    """Make the environments and the queues before them."""
    instances = Instances(
        wildlife.instance_types,
        wildlife.max_vcpus,
        place,
        add_instance_profile(stack, names.named("batch-instance")),
        add_launch_template(stack, wildlife.volume_gibibytes),
    )
    tags = {**names.tags, "CostOptimization": "spot"}
    compute = names.named("compute")
    spot = add_environment(
        stack,
        "EnvironmentSpot",
        compute,
        Capacity("SPOT", "SPOT_CAPACITY_OPTIMIZED", wildlife.bid_percent),
        instances,
        tags=tags,
    )
    on_demand = add_environment(
        stack,
        "EnvironmentOnDemand",
        f"{compute}-on-demand",
        Capacity("EC2", "BEST_FIT_PROGRESSIVE"),
        instances,
        tags={**tags, "CostOptimization": "on-demand"},
    )
    order = {"spot": [spot], "either": [spot, on_demand], "on_demand": [on_demand]}
    for kind, environments in order.items():
        add_queue(
            stack, f"Queue-{kind}", names.queues[kind], environments, wait_seconds=_WAIT_SECONDS
        )


def add_detection_job(
    stack: Stack,
    wildlife: Wildlife,
    names: WildlifeNames,
    image: Image,
    *,
    definition: str,
    key: kms.Key,
    roles: tuple[iam.IRole, iam.IRole],
    variables: Mapping[str, str],
) -> batch.CfnJobDefinition:
    """Make the definition, and the log group; `roles` are the job's own and its start's."""
    log_group = detection_logs(names)
    group = logs.CfnLogGroup(
        stack,
        "DetectionLogs",
        log_group_name=log_group,
        retention_in_days=wildlife.log_days,
        kms_key_id=key.key_arn,
    )
    group.apply_removal_policy(RemovalPolicy.DESTROY)
    own, start = roles
    made = batch.CfnJobDefinition(
        stack,
        "Detection",
        job_definition_name=names.job_definition,
        type="container",
        platform_capabilities=["EC2"],
        propagate_tags=True,
        tags=dict(names.tags),
        container_properties={
            "image": image.uri,
            "jobRoleArn": own.role_arn,
            "executionRoleArn": start.role_arn,
            "resourceRequirements": [
                {"type": "VCPU", "value": str(_VCPUS)},
                {"type": "MEMORY", "value": str(_MEMORY_MB)},
            ],
            "environment": [
                {"name": name, "value": value} for name, value in sorted(variables.items())
            ],
            "linuxParameters": WITH_INIT,
            # On the instance's disk; memory is what the detection has least of.
            "volumes": [{"name": "temporary"}],
            "mountPoints": [{"sourceVolume": "temporary", "containerPath": _TEMPORARY}],
            "readonlyRootFilesystem": True,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": log_group, "awslogs-stream-prefix": "detector"},
            },
        },
        retry_strategy=retry_strategy(definition),
        timeout={"attemptDurationSeconds": _SECONDS},
    )
    made.cfn_options.condition = image.given
    return made


def detection_logs(names: WildlifeNames) -> str:
    """Return the name of the detection's log group."""
    return f"/aws/batch/{names.job_definition}"


def retry_strategy(definition: str) -> dict[str, object]:
    """Return the strategy that the state machine submits with, for jobs submitted by hand."""
    state: Mapping[str, Any] = json.loads(definition)["States"][DETECTION]
    said = state["Parameters"]["RetryStrategy"]
    return {
        "attempts": said["Attempts"],
        "evaluateOnExit": [
            {f"{name[:1].lower()}{name[1:]}": value for name, value in rule.items()}
            for rule in said["EvaluateOnExit"]
        ],
    }
