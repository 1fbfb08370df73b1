"""The machines: confined, encrypted, replaced by themselves, with the rights that are listed."""

import json
from collections.abc import Mapping
from typing import Any

from infra.permissions import Scope, statements_for
from infra.rendered import user_data_of
from tests.support.stacks import ACCOUNT, Synthesised, Template


def _launch(template: Template) -> Mapping[str, Any]:
    data: Mapping[str, Any] = template.only("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    return data


def test_metadata_is_had_with_a_token_only(template: Template) -> None:
    """Version 1 gives the role's keys to anybody who gets a daemon to fetch a URL."""
    options = _launch(template)["MetadataOptions"]

    assert options["HttpTokens"] == "required"
    assert options["HttpPutResponseHopLimit"] == 1


def test_every_disk_is_encrypted(template: Template) -> None:
    """What has not been sent yet lies on it."""
    disks = [mapping["Ebs"] for mapping in _launch(template)["BlockDeviceMappings"]]

    assert disks
    for disk in disks:
        assert disk["Encrypted"] is True
        assert disk["VolumeType"] == "gp3"


def test_nothing_is_let_in_and_https_alone_goes_out(template: Template) -> None:
    """There is no SSH and no key: a shell is had over Session Manager."""
    group = template.only("AWS::EC2::SecurityGroup")
    outwards = [(rule["IpProtocol"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]]

    assert "SecurityGroupIngress" not in group
    assert template.of("AWS::EC2::SecurityGroupIngress") == []
    assert outwards == [("tcp", 443)]
    assert "KeyName" not in _launch(template)


def test_a_shell_is_had_over_session_manager(template: Template) -> None:
    """With no way in, this is how a person gets to a machine."""
    roles = [role for role in template.of("AWS::IAM::Role") if "ManagedPolicyArns" in role]

    [role] = roles
    assert "AmazonSSMManagedInstanceCore" in json.dumps(role["ManagedPolicyArns"])
    assert len(role["ManagedPolicyArns"]) == 1


def test_the_rights_are_those_of_the_list_and_three_more(
    sample: Synthesised, variant: Synthesised
) -> None:
    """S3 as the contract says; besides, one object, one namespace, one log group."""
    colony = Scope("distributed-colony")
    shots = Scope("colony-shots", more_buckets=("colony-stats",), acl=True)
    hand_shake = Scope("colony-handshake")
    for template, expected in (
        (sample.coordinator, statements_for("uploader", colony)),
        (variant.coordinator, statements_for("uploader", shots)),
        (sample.watchers, statements_for("watcher", hand_shake)),
    ):
        found = [(one["Sid"], sorted(_listed(one["Action"]))) for one in template.statements()]

        assert found == [
            *((one.sid, sorted(one.actions)) for one in expected),
            ("InstanceAsset", ["s3:GetObject"]),
            ("InstanceMetrics", ["cloudwatch:PutMetricData"]),
            ("InstanceLogs", ["logs:CreateLogStream", "logs:PutLogEvents"]),
        ]


def test_no_right_is_for_everything(template: Template) -> None:
    """A resource is named; where an action knows none, a condition bounds it."""
    for statement in template.statements():
        assert statement["Resource"] != "*" or "Condition" in statement
        assert not any("*" in action for action in _listed(statement["Action"]))


def test_metrics_go_to_our_namespace_alone(template: Template) -> None:
    """The action knows no resources; without the condition a machine could feign any metric."""
    [found] = [one for one in template.statements() if one["Sid"] == "InstanceMetrics"]

    assert _listed(found["Condition"]["StringEquals"]["cloudwatch:namespace"]) == ["Towpath"]


def test_one_object_can_be_read_of_the_bucket_of_assets(template: Template) -> None:
    """The bucket holds what every other stack of the account is deployed from."""
    [found] = [one for one in template.statements() if one["Sid"] == "InstanceAsset"]

    assert _listed(found["Action"]) == ["s3:GetObject"]
    assert json.dumps(found["Resource"]).count(".zip") == 1
    assert "*" not in json.dumps(found["Resource"])


def test_spot_unless_told_otherwise(sample: Synthesised, variant: Synthesised) -> None:
    """The price is a third, and what is interrupted continues by itself."""

    def on_demand(template: Template) -> int:
        group = template.only("AWS::AutoScaling::AutoScalingGroup")
        distribution = group["MixedInstancesPolicy"]["InstancesDistribution"]
        return int(distribution["OnDemandPercentageAboveBaseCapacity"])

    assert on_demand(sample.coordinator) == on_demand(sample.watchers) == 0
    assert on_demand(variant.coordinator) == 100


def test_the_group_keeps_its_number_and_may_be_scaled(
    sample: Synthesised, variant: Synthesised
) -> None:
    """An interrupted machine is replaced; more watchers share the work through their leases."""

    def sizes(template: Template) -> tuple[str, str, str]:
        group = template.only("AWS::AutoScaling::AutoScalingGroup")
        return group["MinSize"], group["DesiredCapacity"], group["MaxSize"]

    assert sizes(sample.coordinator) == ("0", "1", "1")
    assert sizes(sample.watchers) == ("0", "1", "1")
    assert sizes(variant.watchers) == ("0", "2", "8")


def test_a_deployment_ends_no_machine(template: Template) -> None:
    """On a machine that is ended for an update lie files that have not been sent."""
    [group] = template.resources("AWS::AutoScaling::AutoScalingGroup")

    assert "AutoScalingRollingUpdate" not in group.get("UpdatePolicy", {})
    assert "AutoScalingReplacingUpdate" not in group.get("UpdatePolicy", {})


def test_no_machine_boots_before_it_has_its_rights_and_a_way_out(sample: Synthesised) -> None:
    """The first one would be denied its asset, and a machine installs itself once."""
    for template in (sample.coordinator, sample.watchers):
        [group] = template.resources("AWS::AutoScaling::AutoScalingGroup")
        waited_for = {template.document["Resources"][name]["Type"] for name in group["DependsOn"]}

        assert {"AWS::IAM::Policy", "AWS::IAM::Role", "AWS::EC2::Route"} <= waited_for


def test_the_coordinators_disk_outlives_it(sample: Synthesised, variant: Synthesised) -> None:
    """Unless it is told otherwise, what had not been sent can still be had."""

    def removed(template: Template) -> bool:
        [mapping] = _launch(template)["BlockDeviceMappings"]
        return bool(mapping["Ebs"]["DeleteOnTermination"])

    assert not removed(sample.coordinator)
    assert removed(sample.watchers)
    assert removed(variant.coordinator)


def test_the_architecture_of_the_image_is_that_of_the_machines(
    sample: Synthesised, variant: Synthesised
) -> None:
    """An image of the other architecture does not boot."""
    parameters = json.dumps(sample.watchers.document["Parameters"])

    assert "al2023-ami-kernel" in parameters
    assert "arm64" in parameters
    assert _launch(variant.coordinator)["ImageId"] == "ami-0123456789abcdef0"


def test_an_instance_is_told_what_the_settings_say(
    sample: Synthesised, variant: Synthesised
) -> None:
    """What reaches EC2 is the script with this configuration, and nothing unresolved."""
    coordinator = user_data_of(sample.coordinator.document, ACCOUNT)
    watchers = user_data_of(variant.watchers.document, ACCOUNT)
    other = user_data_of(variant.coordinator.document, ACCOUNT)

    assert 'directory = "/data/distributed-colony/output/s3"' in coordinator
    assert 'metrics = "cloudwatch"' in coordinator
    assert 'asset_bucket="cdk-hnb659fds-assets-123456789012-eu-west-1"' in coordinator
    assert "--instances 3" in watchers
    assert "towpath-watcher@3.service" in watchers
    assert 'bucket = "hand-shake"' in watchers
    assert "--run-as ec2-user" in other
    assert 'acl = "bucket-owner-full-control"' in other


def _listed(value: str | list[str]) -> list[str]:
    """Return a list where CloudFormation writes a single text, too."""
    return [value] if isinstance(value, str) else value
