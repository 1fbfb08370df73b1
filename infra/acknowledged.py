"""The findings of cdk-nag that are known, each with its reason.

Rule: a finding is acknowledged on the one construct that it is about, never for a whole stack, so
that the next one of its kind is seen.
"""

from dataclasses import dataclass

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that does not hold here, and why that is right."""

    rule: str
    reason: str


NO_ACCESS_LOGS = Finding(
    "AwsSolutions-S1",
    "the daemons log every object that they write or remove, with its checksum and version; "
    "server access logs would add an object for each handful of requests, delivered hours later",
)
LOG_OF_LOGS = Finding(
    "AwsSolutions-S1",
    "this is where the trail is kept; a log of who reads the log would need the next one",
)
KEYS_OF_OTHERS = Finding(
    "AwsSolutions-SMG4",
    "the keys are given by those who provide weather and models, and only they can renew them",
)
NEAREST_RUNTIME = Finding(
    "AwsSolutions-L1",
    "the nearest to the Python that every test runs on, among those whose system the locked wheels "
    "load on; infra/wildlife_package.py says which that are",
)
SSM_CORE = Finding(
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSSMManagedInstanceCore]",
    "the policy that AWS keeps for Session Manager, which stands in the place of SSH: its actions "
    "follow the agent on the image, which AWS updates, too",
)
BATCH_INSTANCES = Finding(
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
    "AmazonEC2ContainerServiceforEC2Role]",
    "the policy that AWS keeps for instances of ECS, which is what those of Batch are: its actions "
    "follow the agent on the image, which AWS updates, too",
)
MIXED_TYPES = Finding(
    "AwsSolutions-EC26",
    "the rule cannot read a group of several instance types and breaks off; that every disk is "
    "encrypted is asserted by tests/infra/test_instances_stack.py",
)
SIZE_OF_GROUP = Finding(
    "@aws-cdk/aws-autoscaling:desiredCapacitySet",
    "the settings name the number of machines; the group's update policy leaves a number that was "
    "set by hand alone until the settings' own number changes",
)


def acknowledge(construct: IConstruct, *findings: Finding) -> None:
    """Record that these findings of a construct, and of what it consists of, are as intended."""
    Validations.of(construct).acknowledge(
        *(Acknowledgment(id=finding.rule, reason=finding.reason) for finding in findings)
    )
