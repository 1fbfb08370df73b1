"""A group of alike machines: spot by default, IMDSv2 only, encrypted disks, replaced by themselves.

Rule: a deployment never ends a machine that runs. What is new reaches machines that are started
from then on; docs/aws.md says how to bring it to those that run.
"""

from dataclasses import dataclass

from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.acknowledged import MIXED_TYPES, SIZE_OF_GROUP, acknowledge
from infra.settings import Machines

_ROOT_DEVICE = "/dev/xvda"
"""Of Amazon Linux; an image of one's own has to keep the name."""


@dataclass(frozen=True, slots=True)
class GroupSize:
    """How many machines there are, and may be."""

    wanted: int
    most: int
    keep_volumes: bool


def add_machines(
    scope: Construct,
    machines: Machines,
    size: GroupSize,
    *,
    vpc: ec2.IVpc,
    security_group: ec2.ISecurityGroup,
    role: iam.IRole,
    user_data: str,
    topic: sns.ITopic,
) -> autoscaling.AutoScalingGroup:
    """Return the group, which keeps its number: what is interrupted or breaks is replaced."""
    template = ec2.LaunchTemplate(
        scope,
        "Template",
        role=role,
        security_group=security_group,
        user_data=ec2.UserData.custom(user_data),
        machine_image=_image(machines),
        instance_type=ec2.InstanceType(machines.instance_types[0]),
        require_imdsv2=True,
        http_put_response_hop_limit=1,
        ebs_optimized=True,
        associate_public_ip_address=machines.network is None,
        block_devices=[
            ec2.BlockDevice(
                device_name=_ROOT_DEVICE,
                volume=ec2.BlockDeviceVolume.ebs(
                    machines.volume_gibibytes,
                    encrypted=True,
                    volume_type=ec2.EbsDeviceVolumeType.GP3,
                    delete_on_termination=not size.keep_volumes,
                ),
            )
        ],
    )
    group = autoscaling.AutoScalingGroup(
        scope,
        "Machines",
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
        min_capacity=0,
        max_capacity=size.most,
        desired_capacity=size.wanted,
        # A spot instance with a raised risk still works; to end it early would waste its work.
        capacity_rebalance=False,
        mixed_instances_policy=autoscaling.MixedInstancesPolicy(
            launch_template=template,
            instances_distribution=autoscaling.InstancesDistribution(
                on_demand_base_capacity=0,
                on_demand_percentage_above_base_capacity=0 if machines.spot else 100,
                spot_allocation_strategy=autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
            ),
            launch_template_overrides=[
                autoscaling.LaunchTemplateOverrides(instance_type=ec2.InstanceType(name))
                for name in machines.instance_types
            ],
        ),
        group_metrics=[autoscaling.GroupMetrics.all()],
        notifications=[
            autoscaling.NotificationConfiguration(
                topic=topic, scaling_events=autoscaling.ScalingEvents.ALL
            )
        ],
    )
    # Else the first machine could boot without its rights, or without a way out, and give up.
    group.node.add_dependency(role, vpc)
    acknowledge(group, MIXED_TYPES, SIZE_OF_GROUP)
    return group


def _image(machines: Machines) -> ec2.IMachineImage:
    if machines.image:
        return ec2.MachineImage.generic_linux({machines.region: machines.image})
    arm = machines.architecture == "arm64"
    return ec2.MachineImage.latest_amazon_linux2023(
        cpu_type=ec2.AmazonLinuxCpuType.ARM_64 if arm else ec2.AmazonLinuxCpuType.X86_64
    )
