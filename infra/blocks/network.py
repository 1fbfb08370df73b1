"""The network of a group of machines: ways out, and none in."""

from collections.abc import Mapping

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import Network

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
        [endpoint] = [each for each in vpc.node.find_all() if isinstance(each, ec2.CfnVPCEndpoint)]
        endpoint.policy_document = endpoint_policy
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
    return vpc


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
