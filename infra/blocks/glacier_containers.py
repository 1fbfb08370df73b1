"""Where containers run that are too much for a function: Batch, and ECS with and without instances.

Batch takes spare capacity first and falls back to what is always to be had: two environments in the
order of one queue.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs

from infra.acknowledged import BATCH_INSTANCES, acknowledge
from infra.blocks.glacier_function import Image
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

_ROOT_DEVICE = "/dev/xvda"
_JOB_VCPUS, _JOB_MEMORY_MB, _JOB_SECONDS = 2, 8192, 1800
_ATTEMPTS = 3
_LOST_HOST = "Host EC2*"
_WITH_INIT = {"initProcessEnabled": True}
"""A program that is process 1 itself does not get the signal that its instance goes away."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Whom containers act as, and whom ECS acts as around them."""

    task: iam.IRole
    execution: iam.IRole


@dataclass(frozen=True, slots=True)
class Place:
    """The network that instances are in."""

    vpc: ec2.IVpc
    security_group: ec2.ISecurityGroup

    @property
    def subnets(self) -> list[str]:
        """The names of its subnets."""
        return list(self.vpc.select_subnets(subnet_type=ec2.SubnetType.PUBLIC).subnet_ids)


def add_container_logs(stack: Stack, glacier: Glacier) -> logs.CfnLogGroup:
    """Make the log group of all containers."""
    group = logs.CfnLogGroup(
        stack, "ContainerLogs", log_group_name=LOG_GROUP, retention_in_days=glacier.log_days
    )
    group.apply_removal_policy(RemovalPolicy.DESTROY)
    return group


def add_batch(stack: Stack, glacier: Glacier, place: Place) -> batch.CfnJobQueue:
    """Make the environments and the queue before them."""
    profile = _instance_profile(stack)
    template = _launch_template(stack, glacier)
    kinds = (("Spot", "SPOT"), ("OnDemand", "EC2")) if glacier.spot else (("OnDemand", "EC2"),)
    environments = [
        batch.CfnComputeEnvironment(
            stack,
            f"Environment{name}",
            compute_environment_name=f"{ENVIRONMENT}-{kind.lower()}",
            type="MANAGED",
            state="ENABLED",
            replace_compute_environment=False,
            compute_resources=_resources(kind, glacier, place, profile, template),
        )
        for name, kind in kinds
    ]
    queue = batch.CfnJobQueue(
        stack,
        "Queue",
        job_queue_name=QUEUE,
        priority=1,
        state="ENABLED",
        compute_environment_order=[
            {"order": order, "computeEnvironment": each.attr_compute_environment_arn}
            for order, each in enumerate(environments, 1)
        ],
    )
    # A queue that waits for an environment which is being removed is never removed itself.
    for each in environments:
        queue.add_resource_dependency(each)
    return queue


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
                "linuxParameters": _WITH_INIT,
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
            "linuxParameters": _WITH_INIT,
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


def _resources(
    kind: str,
    glacier: Glacier,
    place: Place,
    profile: iam.CfnInstanceProfile,
    template: ec2.CfnLaunchTemplate,
) -> dict[str, object]:
    return {
        "type": kind,
        "allocationStrategy": (glacier.strategy.name if kind == "SPOT" else "BEST_FIT_PROGRESSIVE"),
        "minvCpus": 0,
        "maxvCpus": glacier.max_vcpus,
        "instanceTypes": list(glacier.instance_types),
        "instanceRole": profile.attr_arn,
        "subnets": place.subnets,
        "securityGroupIds": [place.security_group.security_group_id],
        "ec2Configuration": [{"imageType": "ECS_AL2023"}],
        "updateToLatestImageVersion": True,
        "launchTemplate": {
            "launchTemplateId": template.ref,
            "version": template.attr_latest_version_number,
        },
    }


def _instance_profile(stack: Stack) -> iam.CfnInstanceProfile:
    role = iam.Role(
        stack,
        "InstanceRole",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        description="Batch's instances, as which no job acts",
        managed_policies=[
            iam.ManagedPolicy.from_aws_managed_policy_name(
                "service-role/AmazonEC2ContainerServiceforEC2Role"
            )
        ],
    )
    acknowledge(role, BATCH_INSTANCES)
    return iam.CfnInstanceProfile(stack, "InstanceProfile", roles=[role.role_name])


def _launch_template(stack: Stack, glacier: Glacier) -> ec2.CfnLaunchTemplate:
    return ec2.CfnLaunchTemplate(
        stack,
        "InstanceTemplate",
        launch_template_data={
            # One hop: a container does not get at the instance's own role.
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": [
                {
                    "deviceName": _ROOT_DEVICE,
                    "ebs": {
                        "volumeSize": glacier.volume_gibibytes,
                        "volumeType": "gp3",
                        "encrypted": True,
                        "deleteOnTermination": True,
                    },
                }
            ],
        },
    )
