"""What the glacier stack's parts may do in AWS besides the runs themselves, and why. Pure.

What the runs need stands in `pipelines.glacier.deploy.permissions.policies`, from where people who
deploy without this stack take it, too.
"""

from typing import get_args

from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.layout import RUNS
from pipelines.glacier.satellite import SatelliteName
from shared.aws.permission import Permission

_EVENTS_RULE = "StepFunctionsGetEventsForBatchJobsRule"


def machine_permissions(
    scope: Scope, *, machine: str, job_queue: str, job_definition: str
) -> tuple[Permission, ...]:
    """Return what the state machine of that name may do."""
    return (
        Permission(
            "MachineJobs",
            ("s3:GetObject",),
            tuple(each.replace("/*", f"/{RUNS}/submissions/*") for each in scope.result_objects),
            "the jobs of a run are read",
        ),
        Permission(
            "MachineFunction",
            ("lambda:InvokeFunction",),
            (f"{scope.function_arn}:*",),
            "jobs are run by the function, through its alias",
        ),
        *_batch(scope, job_queue, job_definition),
        *_children(scope, machine),
        Permission("MachineTopic", ("sns:Publish",), (scope.topic_arn,), "somebody is told"),
        *_watched(),
    )


def _batch(scope: Scope, job_queue: str, job_definition: str) -> tuple[Permission, ...]:
    definitions = tuple(
        scope.arn("batch", f"job-definition/{job_definition}-{name}{revision}")
        for name in get_args(SatelliteName)
        for revision in ("", ":*")
    )
    return (
        Permission(
            "MachineBatch",
            ("batch:SubmitJob",),
            (scope.arn("batch", f"job-queue/{job_queue}"), *definitions),
            "jobs with many tiles are run by Batch",
        ),
        Permission(
            "MachineBatchEnds",
            ("batch:TerminateJob",),
            (scope.arn("batch", "job/*"),),
            "a run that is stopped ends its jobs, whose names are not known before",
        ),
        Permission(
            "MachineBatchStates",
            ("batch:DescribeJobs",),
            ("*",),
            "what became of a job; the action knows no resource",
        ),
        Permission(
            "MachineEvents",
            ("events:PutTargets", "events:PutRule", "events:DescribeRule"),
            (scope.arn("events", f"rule/{_EVENTS_RULE}"),),
            "the rule of this name, which Step Functions keeps, tells it of jobs that have ended",
        ),
    )


def _children(scope: Scope, machine: str) -> tuple[Permission, ...]:
    return (
        Permission(
            "MachineChildren",
            ("states:StartExecution",),
            (scope.arn("states", f"stateMachine:{machine}"),),
            "each job of a distributed map is an execution of its own",
        ),
        Permission(
            "MachineChildrenStates",
            ("states:DescribeExecution", "states:StopExecution"),
            (scope.arn("states", f"execution:{machine}/*"),),
            "and is looked at, and stopped with its run",
        ),
    )


def _watched() -> tuple[Permission, ...]:
    return (
        Permission(
            "MachineLogs",
            (
                "logs:CreateLogDelivery",
                "logs:GetLogDelivery",
                "logs:UpdateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:DescribeResourcePolicies",
                "logs:DescribeLogGroups",
            ),
            ("*",),
            "what a run did is logged; these actions know no resource",
        ),
        Permission(
            "MachineTraces",
            (
                "xray:PutTraceSegments",
                "xray:PutTelemetryRecords",
                "xray:GetSamplingRules",
                "xray:GetSamplingTargets",
            ),
            ("*",),
            "where the time of a run goes is traced; these actions know no resource",
        ),
    )
