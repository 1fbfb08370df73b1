"""Batch: environments of instances, and queues before them.

A queue with two environments takes spare capacity first and falls back to what is always to be had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from infra.acknowledged import BATCH_INSTANCES, acknowledge

WITH_INIT = {"initProcessEnabled": True}
"""A program that is process 1 itself does not get the signal that its instance goes away."""
_ROOT_DEVICE = "/dev/xvda"
_WAITED_FOR = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
)
"""Why the first job of a queue does not get its instance; the words are AWS's own."""


@dataclass(frozen=True, slots=True)
class Place:
    """The network that instances are in."""

    vpc: ec2.IVpc
    security_group: ec2.ISecurityGroup
    kind: ec2.SubnetType = ec2.SubnetType.PUBLIC

    @property
    def subnets(self) -> list[str]:
        """The names of its subnets."""
        return list(self.vpc.select_subnets(subnet_type=self.kind).subnet_ids)


@dataclass(frozen=True, slots=True)
class Instances:
    """What jobs run on, however it is paid for."""

    types: tuple[str, ...]
    max_vcpus: int
    place: Place
    profile: iam.CfnInstanceProfile
    template: ec2.CfnLaunchTemplate


@dataclass(frozen=True, slots=True)
class Capacity:
    """How instances are paid for and chosen."""

    kind: Literal["SPOT", "EC2"]
    strategy: str
    bid_percent: int | None = None


def add_environment(
    stack: Stack,
    identity: str,
    name: str,
    capacity: Capacity,
    instances: Instances,
    *,
    tags: Mapping[str, str] | None = None,
) -> batch.CfnComputeEnvironment:
    """Make an environment that has no instance while it has no job.

    It names no role: with the one that AWS keeps for Batch, it can be changed where it stands.
    """
    return batch.CfnComputeEnvironment(
        stack,
        identity,
        compute_environment_name=name,
        type="MANAGED",
        state="ENABLED",
        replace_compute_environment=False,
        compute_resources={
            "type": capacity.kind,
            "allocationStrategy": capacity.strategy,
            "minvCpus": 0,
            "maxvCpus": instances.max_vcpus,
            "instanceTypes": list(instances.types),
            "instanceRole": instances.profile.attr_arn,
            "subnets": instances.place.subnets,
            "securityGroupIds": [instances.place.security_group.security_group_id],
            "ec2Configuration": [{"imageType": "ECS_AL2023"}],
            "updateToLatestImageVersion": True,
            "launchTemplate": {
                "launchTemplateId": instances.template.ref,
                "version": instances.template.attr_latest_version_number,
            },
            **({"bidPercentage": capacity.bid_percent} if capacity.bid_percent else {}),
            **({"tags": dict(tags)} if tags else {}),
        },
    )


def add_queue(
    stack: Stack,
    identity: str,
    name: str,
    environments: Sequence[batch.CfnComputeEnvironment],
    *,
    wait_seconds: int = 0,
) -> batch.CfnJobQueue:
    """Make the queue; after `wait_seconds` without an instance its first job is cancelled."""
    queue = batch.CfnJobQueue(
        stack,
        identity,
        job_queue_name=name,
        priority=1,
        state="ENABLED",
        compute_environment_order=[
            {"order": order, "computeEnvironment": each.attr_compute_environment_arn}
            for order, each in enumerate(environments, 1)
        ],
        job_state_time_limit_actions=(
            [
                {
                    "action": "CANCEL",
                    "maxTimeSeconds": wait_seconds,
                    "reason": reason,
                    "state": "RUNNABLE",
                }
                for reason in _WAITED_FOR
            ]
            if wait_seconds
            else None
        ),
    )
    # A queue that waits for an environment which is being removed is never removed itself.
    for each in environments:
        queue.add_resource_dependency(each)
    return queue


def add_instance_profile(stack: Stack, role_name: str | None = None) -> iam.CfnInstanceProfile:
    """Make what instances act as, and no job does."""
    role = iam.Role(
        stack,
        "InstanceRole",
        role_name=role_name,
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


def add_launch_template(stack: Stack, volume_gibibytes: int) -> ec2.CfnLaunchTemplate:
    """Make what every instance has, whatever its type."""
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
                        "volumeSize": volume_gibibytes,
                        "volumeType": "gp3",
                        "encrypted": True,
                        "deleteOnTermination": True,
                    },
                }
            ],
        },
    )
