"""The state machine that runs many jobs."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn

from infra.blocks.glacier_containers import JOB_DEFINITION, QUEUE
from infra.blocks.glacier_function import ALIAS
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.targets.state_machine import Places, render_definition

MACHINE = "glacier-runs"
_LOGS = f"/aws/vendedlogs/states/{MACHINE}"
"""The prefix keeps the policy, which all state machines of an account share, short enough."""


def add_machine(
    stack: Stack, scope: Scope, *, role: iam.IRole, topic: sns.ITopic
) -> sfn.CfnStateMachine:
    """Make the state machine, whose definition is the pipelines' own."""
    group = logs.LogGroup(
        stack,
        "MachineLogs",
        log_group_name=_LOGS,
        retention=logs.RetentionDays.ONE_MONTH,
        removal_policy=RemovalPolicy.DESTROY,
    )
    machine = sfn.CfnStateMachine(
        stack,
        "Machine",
        state_machine_name=MACHINE,
        state_machine_type="STANDARD",
        role_arn=role.role_arn,
        definition_string=render_definition(Places(partition=scope.partition)),
        definition_substitutions={
            "Function": f"{scope.function_arn}:{ALIAS}",
            "JobQueue": scope.arn("batch", f"job-queue/{QUEUE}"),
            "JobDefinition": JOB_DEFINITION,
            "Topic": topic.topic_arn,
        },
        logging_configuration={
            "level": "ALL",
            "includeExecutionData": False,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group.log_group_arn}}],
        },
        tracing_configuration={"enabled": True},
    )
    # Step Functions tries the rights when the machine is made.
    machine.node.add_dependency(role)
    return machine
