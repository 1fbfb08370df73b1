"""The state machine, and who is told that one of its runs has ended."""

import re
from collections.abc import Mapping

from aws_cdk import CfnCondition, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn

from infra.wildlife_names import WildlifeNames
from infra.wildlife_settings import Wildlife
from shared.errors import PermanentError

_ENDS = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]


def add_wildlife_machine(
    stack: Stack,
    wildlife: Wildlife,
    names: WildlifeNames,
    ready: CfnCondition,
    *,
    definition: str,
    values: Mapping[str, str],
    key: kms.Key,
    role: iam.IRole,
) -> sfn.CfnStateMachine:
    """Make the state machine, whose definition is the pipeline's own."""
    if unknown := set(re.findall(r"\$\{(\w+)\}", definition)) ^ set(values):
        raise PermanentError(
            f"the definition's placeholders {sorted(unknown)!r} and this stack's do not agree; "
            "mend infra/stacks/wildlife.py"
        )
    # Nothing is a value, too; but templates are taken for unfinished where it is substituted.
    for name in (name for name, value in values.items() if not value):
        definition = definition.replace(f"${{{name}}}", "")
    group = logs.CfnLogGroup(
        stack,
        "MachineLogs",
        log_group_name=f"/aws/stepfunctions/{names.machine}",
        retention_in_days=wildlife.log_days,
        kms_key_id=key.key_arn,
    )
    group.apply_removal_policy(RemovalPolicy.DESTROY)
    machine = sfn.CfnStateMachine(
        stack,
        "Machine",
        state_machine_name=names.machine,
        state_machine_type="STANDARD",
        role_arn=role.role_arn,
        definition_string=definition,
        definition_substitutions={name: value for name, value in values.items() if value},
        logging_configuration={
            "level": "ALL",
            # URIs and counts alone go from state to state.
            "includeExecutionData": True,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group.attr_arn}}],
        },
        tracing_configuration={"enabled": True},
    )
    # Step Functions tries the rights when the machine is made.
    machine.node.add_dependency(role)
    machine.cfn_options.condition = ready
    return machine


def add_run_ends(stack: Stack, names: WildlifeNames, topic: sns.Topic) -> events.CfnRule:
    """Have each end of a run told, with what it left: on success that names the report."""
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="RunEnds",
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
        )
    )
    console = f"https://{names.aws_region}.console.aws.amazon.com/states/home"
    return events.CfnRule(
        stack,
        "RunEnds",
        name=names.named("run-ends"),
        description="Success, failure and refusal of wildlife runs",
        event_pattern={
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"stateMachineArn": [names.machine_arn], "status": _ENDS},
        },
        targets=[
            {
                "id": "people",
                "arn": topic.topic_arn,
                "inputTransformer": {
                    "inputPathsMap": {
                        "run": "$.detail.name",
                        "status": "$.detail.status",
                        "execution": "$.detail.executionArn",
                        "detail": "$.detail",
                    },
                    # The detail as a whole: in its `output` is the report, in its `error` and
                    # `cause` why there is none; what an end lacks cannot spoil the message.
                    "inputTemplate": (
                        '{"what": "wildlife run <run>: <status>", '
                        f'"look": "{console}?region={names.aws_region}'
                        '#/v2/executions/details/<execution>", "detail": <detail>}'
                    ),
                },
            }
        ],
    )
