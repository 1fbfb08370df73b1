"""Alarms in CloudWatch, and the topic that tells people."""

from collections.abc import Sequence

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.alarms import PAGE, Alarm
from infra.permissions import NAMESPACE

_PUBLISHERS = ("autoscaling.amazonaws.com", "cloudwatch.amazonaws.com")


def add_topic(
    scope: Construct,
    service: str,
    email: str,
    publishers: Sequence[str] = _PUBLISHERS,
    *,
    name: str | None = None,
) -> sns.Topic:
    """Return the topic of a service's alarms; whoever has confirmed a subscription is told."""
    topic = sns.Topic(
        scope, "Alarms", display_name=f"Towpath {service}", enforce_ssl=True, topic_name=name
    )
    # The policy that demands TLS takes the place of AWS's own, which had let these in.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="AlarmsAndMachines",
            principals=[iam.ServicePrincipal(name) for name in publishers],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
        )
    )
    if email:
        topic.add_subscription(subscriptions.EmailSubscription(email))
    return topic


def add_alarms(
    scope: Construct, service: str, alarms: Sequence[Alarm], *, topic: sns.ITopic, group: str = ""
) -> None:
    """Make the alarms; `group` is the name of the machines' Auto Scaling group."""
    for alarm in alarms:
        made = cloudwatch.Alarm(
            scope,
            f"Alarm-{alarm.name}",
            alarm_name=f"towpath-{service}-{alarm.name}",
            alarm_description=f"{service}: {alarm.meaning}; see {PAGE}, '{alarm.name}'",
            metric=cloudwatch.Metric(
                namespace=alarm.namespace,
                metric_name=alarm.metric,
                dimensions_map=_dimensions(alarm, service, group),
                statistic=alarm.statistic,
                period=Duration.minutes(alarm.period_minutes),
            ),
            threshold=alarm.limit,
            comparison_operator=(
                cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
                if alarm.above
                else cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
            ),
            evaluation_periods=alarm.periods,
            treat_missing_data=(
                cloudwatch.TreatMissingData.BREACHING
                if alarm.silence_rings
                else cloudwatch.TreatMissingData.NOT_BREACHING
            ),
        )
        action = actions.SnsAction(topic)
        made.add_alarm_action(action)
        if alarm.tells_when_well:
            made.add_ok_action(action)


def _dimensions(alarm: Alarm, service: str, group: str) -> dict[str, str]:
    if alarm.dimensions is not None:
        return dict(alarm.dimensions)
    return {"Service": service} if alarm.namespace == NAMESPACE else {"AutoScalingGroupName": group}
