"""The machines that a group of daemons runs on, with all that they need in one region.

One stack a service, since the two have nothing in common but their shape: the coordinator stands
where its simulation does, the watchers stand beside the catalogue in us-west-2.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from aws_cdk import Aws, CfnOutput, Environment, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.alarms import alarms_of
from infra.assets import Bundle
from infra.blocks.alarms import add_alarms, add_topic
from infra.blocks.buckets import add_bucket
from infra.blocks.machines import GroupSize, add_machines
from infra.blocks.network import add_network, add_security_group
from infra.blocks.role import add_role
from infra.daemon_files import uploader_file, watcher_file
from infra.permissions import Scope, put_metrics, read_asset, statements_for, write_logs
from infra.settings import Coordinator, Machines, Watchers
from infra.tables import Bucket
from infra.user_data import Asset, Installation, agent_file, render_user_data
from shared.aws.permission import Permission

STEPS = Path(__file__).resolve().parent.parent / "user_data.sh"

_AGENT = "cloudwatch-agent.json"


@dataclass(frozen=True, slots=True)
class Group:
    """What sets one group of machines apart from another."""

    service: Literal["uploader", "watcher"]
    machines: Machines
    size: GroupSize
    buckets: tuple[Bucket, ...]
    scope: Scope
    text: str
    """The daemon's configuration."""
    unit_options: tuple[str, ...] = ()
    instances: int = 1


def coordinator_group(coordinator: Coordinator) -> Group:
    """Return the machine of a simulation, with the uploader."""
    file = uploader_file(coordinator)
    first, *more = coordinator.buckets
    return Group(
        "uploader",
        coordinator,
        GroupSize(1, 1, coordinator.keep_volume),
        coordinator.buckets,
        Scope(
            first.name,
            more_buckets=tuple(bucket.name for bucket in more),
            partition=partition_of(coordinator.region),
            acl=bool(file.settings.acl),
            kms_key=first.kms_key,
            more_kms_keys=tuple(bucket.kms_key for bucket in more if bucket.kms_key),
        ),
        file.text,
        ("--run-as", coordinator.run_as) if coordinator.run_as else (),
    )


def watchers_group(watchers: Watchers) -> Group:
    """Return the machines that compute."""
    return Group(
        "watcher",
        watchers,
        GroupSize(watchers.instances, watchers.most, keep_volumes=False),
        (watchers.bucket,),
        Scope(
            watchers.bucket.name,
            watchers.bucket.prefix,
            partition=partition_of(watchers.region),
            kms_key=watchers.bucket.kms_key,
        ),
        watcher_file(watchers).text,
        instances=watchers.watchers_per_instance,
    )


class InstancesStack(Stack):
    """A group of machines, and what they need: buckets, network, role, logs, alarms."""

    def __init__(self, scope: Construct, name: str, group: Group, bundle: Bundle) -> None:
        machines = group.machines
        super().__init__(
            scope,
            name,
            env=Environment(region=machines.region),
            description=f"Towpath: machines with the {group.service}",
        )
        for bucket in group.buckets:
            add_bucket(self, bucket)
        log_group = f"/towpath/{group.service}"
        logs.CfnLogGroup(
            self, "Logs", log_group_name=log_group, retention_in_days=machines.log_days
        ).apply_removal_policy(RemovalPolicy.DESTROY)
        asset = s3_assets.Asset(self, "Bundle", path=str(bundle.path))
        installation = _installation(group, asset, bundle, log_group)
        vpc = add_network(self, machines.network)
        topic = add_topic(self, group.service, machines.alarm_email)
        made = add_machines(
            self,
            machines,
            group.size,
            vpc=vpc,
            security_group=add_security_group(self, vpc),
            role=add_role(self, self._permissions(group, asset, log_group)),
            user_data=render_user_data(installation, STEPS.read_text(encoding="utf-8")),
            topic=topic,
        )
        alarms = alarms_of(
            group.service,
            success_minutes=machines.success_minutes,
            machines=group.size.wanted,
            daemons_each=group.instances,
        )
        add_alarms(self, group.service, alarms, group=made.auto_scaling_group_name, topic=topic)
        CfnOutput(self, "Group", value=made.auto_scaling_group_name)
        CfnOutput(self, "AlarmTopic", value=topic.topic_arn)

    def _permissions(
        self, group: Group, asset: s3_assets.Asset, log_group: str
    ) -> tuple[Permission, ...]:
        partition = group.scope.partition
        logs_arn = (
            f"arn:{partition}:logs:{group.machines.region}:{Aws.ACCOUNT_ID}:log-group:{log_group}"
        )
        return (
            *statements_for(group.service, group.scope),
            read_asset(asset.s3_bucket_name, asset.s3_object_key, partition=partition),
            put_metrics(),
            write_logs(logs_arn),
        )


def partition_of(region: str) -> str:
    """Return the part of AWS that a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _installation(
    group: Group, asset: s3_assets.Asset, bundle: Bundle, log_group: str
) -> Installation:
    told = Installation(
        group.service,
        group.machines.region,
        Asset(asset.s3_bucket_name, asset.s3_object_key, bundle.sha256),
        {f"{group.service}.toml": group.text},
        group.unit_options,
        group.instances,
    )
    return replace(told, files={**told.files, _AGENT: agent_file(told.units, log_group)})
