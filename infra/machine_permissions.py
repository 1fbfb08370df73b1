"""What any state machine of ours may do that submits jobs to Batch and is looked at. Pure."""

from collections.abc import Callable, Sequence

from shared.aws.permission import Permission

_EVENTS_RULE = "StepFunctionsGetEventsForBatchJobsRule"
_LOGS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
_TRACES = (
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
)


def job_permissions(
    arn: Callable[[str, str], str], *, queues: Sequence[str], definitions: Sequence[str], why: str
) -> tuple[Permission, ...]:
    """Return what waiting for jobs needs; `arn` makes ARNs of service and resource."""
    submitted = tuple(
        arn("batch", f"job-definition/{name}{revision}")
        for name in definitions
        for revision in ("", ":*")
    )
    return (
        Permission(
            "MachineBatch",
            ("batch:SubmitJob",),
            (*(arn("batch", f"job-queue/{name}") for name in queues), *submitted),
            why,
        ),
        Permission(
            "MachineBatchEnds",
            ("batch:TerminateJob",),
            (arn("batch", "job/*"),),
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
            (arn("events", f"rule/{_EVENTS_RULE}"),),
            "the rule of this name, which Step Functions keeps, tells it of jobs that have ended",
        ),
    )


def watch_permissions() -> tuple[Permission, ...]:
    """Return what a log and traces of a run need."""
    return (
        Permission(
            "MachineLogs",
            _LOGS,
            ("*",),
            "what a run did is logged; these actions know no resource",
        ),
        Permission(
            "MachineTraces",
            _TRACES,
            ("*",),
            "where the time of a run goes is traced; these actions know no resource",
        ),
    )
