"""Where containers run that are too much for a function: Batch, and ECS with and without instances.

Batch takes spare capacity first and falls back to what is always to be had.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
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
from infra.settings import Glacier
from pipelines.glacier.satellite import SatelliteName

LOG_GROUP = "/aws/glacier-processing"
ENVIRONMENT, QUEUE, JOB_DEFINITION = (
    "glacier-processing-env",
    "glacier-processing-queue",
    "satellite-processing",
)
CLUSTER, CONTAINER = "glacier-processing-cluster", "glacier-processing"
ECS_TASK, FARGATE_TASK = "satellite-processing-task", "glacier-task"
RUNNER = ["runner"]
"""Which of the image's ways in."""

_JOB_VCPUS, _JOB_MEMORY_MB, _JOB_SECONDS = 2, 8192, 1800
_ATTEMPTS = 3
_LOST_HOST = "Host EC2*"


@dataclass(frozen=True, slots=True)
class Roles:
    """Whom containers act as, and whom ECS acts as around them."""

    task: iam.IRole
    execution: iam.IRole


def add_container_logs(stack: Stack, glacier: Glacier) -> logs.CfnLogGroup:
    """Make the log group of all containers."""
    group = logs.CfnLogGroup(
        stack, "ContainerLogs", log_group_name=LOG_GROUP, retention_in_days=glacier.log_days
    )
    group.apply_removal_policy(RemovalPolicy.DESTROY)
    return group


def add_batch(stack: Stack, glacier: Glacier, place: Place) -> batch.CfnJobQueue:
    """Make the environments and the queue before them."""
    instances = Instances(
        tuple(glacier.instance_types),
        glacier.max_vcpus,
        place,
        add_instance_profile(stack),
        add_launch_template(stack, glacier.volume_gibibytes),
    )
    on_demand = Capacity("EC2", "BEST_FIT_PROGRESSIVE")
    kinds = {"OnDemand": on_demand}
    if glacier.spot:
        kinds = {"Spot": Capacity("SPOT", glacier.strategy.name), **kinds}
    environments = [
        add_environment(
            stack,
            f"Environment{name}",
            f"{ENVIRONMENT}-{capacity.kind.lower()}",
            capacity,
            instances,
        )
        for name, capacity in kinds.items()
    ]
    return add_queue(stack, "Queue", QUEUE, environments)


def add_job_definitions(stack: Stack, image: Image, roles: Roles) -> None:
    """Make a definition for each satellite; what a job gets is the submission's to say."""
    for satellite in get_args(SatelliteName):
        made = batch.CfnJobDefinition(
            stack,
            f"Job-{satellite}",
            job_definition_name=f"{JOB_DEFINITION}-{satellite}",
            type="container",
            platform_capabilities=["EC2"],
            container_properties={
                "image": image.uri,
                "command": RUNNER,
                "jobRoleArn": roles.task.role_arn,
                "executionRoleArn": roles.execution.role_arn,
                "resourceRequirements": [
                    {"type": "VCPU", "value": str(_JOB_VCPUS)},
                    {"type": "MEMORY", "value": str(_JOB_MEMORY_MB)},
                ],
                "linuxParameters": WITH_INIT,
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": LOG_GROUP, "awslogs-stream-prefix": "batch"},
                },
            },
            retry_strategy={
                "attempts": _ATTEMPTS,
                "evaluateOnExit": [
                    {"onStatusReason": _LOST_HOST, "action": "RETRY"},
                    {"onReason": "*", "action": "EXIT"},
                ],
            },
            timeout={"attemptDurationSeconds": _JOB_SECONDS},
        )
        made.cfn_options.condition = image.given


def add_ecs(stack: Stack, glacier: Glacier, image: Image, roles: Roles) -> ecs.CfnCluster:
    """Make the cluster, and a task for either kind of capacity."""
    cluster = ecs.CfnCluster(
        stack,
        "Cluster",
        cluster_name=CLUSTER,
        cluster_settings=[{"name": "containerInsights", "value": "enabled"}],
        capacity_providers=["FARGATE", "FARGATE_SPOT"],
    )
    for name, family, compatible in (
        ("EcsTask", ECS_TASK, "EC2"),
        ("FargateTask", FARGATE_TASK, "FARGATE"),
    ):
        fargate = compatible == "FARGATE"
        task = ecs.CfnTaskDefinition(
            stack,
            name,
            family=family,
            requires_compatibilities=[compatible],
            network_mode="awsvpc" if fargate else "bridge",
            cpu=str(glacier.fargate_cpu),
            memory=str(glacier.fargate_memory),
            ephemeral_storage=(
                {"sizeInGiB": glacier.fargate_storage_gibibytes} if fargate else None
            ),
            runtime_platform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
            task_role_arn=roles.task.role_arn,
            execution_role_arn=roles.execution.role_arn,
            container_definitions=_containers(stack, image, family),
        )
        task.cfn_options.condition = image.given
    return cluster


def _containers(stack: Stack, image: Image, prefix: str) -> Sequence[object]:
    return [
        {
            "name": CONTAINER,
            "image": image.uri,
            "command": RUNNER,
            "essential": True,
            "linuxParameters": WITH_INIT,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": LOG_GROUP,
                    "awslogs-region": stack.region,
                    "awslogs-stream-prefix": prefix,
                },
            },
        }
    ]
