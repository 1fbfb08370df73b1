"""The network of a group of machines: ways out, and none in."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.tables import Network

_HTTPS = 443


def add_network(
    scope: Construct,
    network: Network | None,
    *,
    endpoint_policy: Mapping[str, object] | None = None,
) -> ec2.IVpc:
    """Return the network that is named, or one made for this stack alone.

    What its way to S3 lets through is everything, or `endpoint_policy`.
    """
    if network is not None:
        return ec2.Vpc.from_vpc_attributes(
            scope,
            "Vpc",
            vpc_id=network.vpc,
            availability_zones=list(network.zones),
            public_subnet_ids=list(network.subnets),
        )
    vpc = ec2.Vpc(
        scope,
        "Vpc",
        max_azs=2,
        # A NAT gateway would cost more than the coordinator. A public address with no rule that
        # lets anything in is reached by nobody.
        nat_gateways=0,
        subnet_configuration=[
            ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC)
        ],
        # Without it what goes to S3 counts as traffic to the internet.
        gateway_endpoints={
            "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)
        },
    )
    if endpoint_policy is not None:
        _restrict(vpc, endpoint_policy)
    _log_refused(scope, vpc)
    return vpc


@dataclass(frozen=True, slots=True)
class Isolation:
    """A network with no way to the internet: two private subnets, and doors to AWS alone."""

    block: str
    subnets: tuple[str, str]
    """Their address blocks, in two zones."""
    services: tuple[ec2.InterfaceVpcEndpointAwsService, ...]
    """To which there is a door, besides S3."""
    zones: int = 2
    """In how many of the zones those doors are; each is paid for by the hour."""


def add_isolated_network(
    scope: Construct, isolation: Isolation, *, endpoint_policy: Mapping[str, object]
) -> ec2.Vpc:
    """Return such a network; what its way to S3 lets through is `endpoint_policy`."""
    vpc = ec2.Vpc(
        scope,
        "Vpc",
        ip_addresses=ec2.IpAddresses.cidr(isolation.block),
        max_azs=2,
        nat_gateways=0,
        subnet_configuration=[
            ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        ],
        gateway_endpoints={
            "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)
        },
    )
    for subnet, block in zip(vpc.isolated_subnets, isolation.subnets, strict=True):
        made = subnet.node.default_child
        if isinstance(made, ec2.CfnSubnet):
            made.cidr_block = block
    _restrict(vpc, endpoint_policy)
    doors = ec2.SecurityGroup(
        scope,
        "Doors",
        vpc=vpc,
        description="HTTPS from inside of the network, to AWS",
        allow_all_outbound=False,
    )
    # By blocks: the network's own range is a reference, which no check can judge.
    for block in isolation.subnets:
        doors.add_ingress_rule(ec2.Peer.ipv4(block), ec2.Port.tcp(_HTTPS), "from a subnet")
    for number, service in enumerate(isolation.services):
        vpc.add_interface_endpoint(
            f"Door{number}",
            service=service,
            security_groups=[doors],
            open=False,
            private_dns_enabled=True,
            subnets=ec2.SubnetSelection(subnets=list(vpc.isolated_subnets[: isolation.zones])),
        )
    _log_refused(scope, vpc)
    return vpc


def _restrict(vpc: ec2.Vpc, policy: Mapping[str, object]) -> None:
    [endpoint] = [each for each in vpc.node.find_all() if isinstance(each, ec2.CfnVPCEndpoint)]
    endpoint.policy_document = policy


def _log_refused(scope: Construct, vpc: ec2.Vpc) -> None:
    group = logs.LogGroup(
        scope,
        "Refused",
        retention=logs.RetentionDays.ONE_MONTH,
        removal_policy=RemovalPolicy.DESTROY,
    )
    # What was refused shows a missing way out; what was let through would fill the log group.
    vpc.add_flow_log(
        "RefusedTraffic",
        destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
        traffic_type=ec2.FlowLogTrafficType.REJECT,
    )


def add_security_group(scope: Construct, vpc: ec2.IVpc) -> ec2.SecurityGroup:
    """Return a group without any rule inwards; outwards there is HTTPS.

    Names, time and metadata come from link-local addresses, to which no such rule applies.
    """
    group = ec2.SecurityGroup(
        scope,
        "SecurityGroup",
        vpc=vpc,
        description="Nothing in: a shell is had over Session Manager. HTTPS out.",
        allow_all_outbound=False,
    )
    group.add_egress_rule(
        ec2.Peer.any_ipv4(), ec2.Port.tcp(_HTTPS), "S3, SSM, CloudWatch, packages"
    )
    return group
