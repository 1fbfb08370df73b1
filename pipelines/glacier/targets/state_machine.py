"""The Step Functions definition that runs the jobs of one submission. Pure.

    jobs in S3 -> for each, ten at a time: by its tiles, function or Batch -> counts -> SNS

| what happens to a job                              | what follows                                |
|----------------------------------------------------|---------------------------------------------|
| the function answers `success` or `no_data`        | counted                                     |
| it answers `partial`, or the platform ended it     | called again, `CONTINUATIONS_MAX` times     |
| it answers anything else, or raises                | counted as failed                           |
| it was throttled: it was not called                | called again, a little later                |
| no clear answer: it may be at work                 | called once more, when it must have ended   |
| the Batch job ends, well or not                    | counted                                     |

A job that fails never fails the run, and a run whose jobs cannot be read says so before it fails.
A second call of a function with the same submission is answered from its record, or goes on from
what the first one has delivered.

What the jobs are told is `pipelines/glacier/targets/state_machine_input.py`. JSONPath throughout:
local interpreters know no JSONata.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.glacier.targets.state_machine_input import ROUTED_BY
from pipelines.glacier.targets.tile_rule import TILED

CONCURRENCY = 10
CONTINUATIONS_MAX = 5
"""How often a job that is not done in time is called again."""
LAMBDA_SECONDS = 900
"""The longest that a function can be at work."""

_ANSWER_SECONDS = LAMBDA_SECONDS + 60
_BATCH_SECONDS = 14 * 86_400
"""Of a Batch job with all its attempts, and the wait for capacity; its own limit is its job's."""
_RUN_SECONDS = 60 * 86_400

_THROTTLED_LAMBDA = (
    "Lambda.TooManyRequestsException",
    "Lambda.EC2ThrottledException",
    "Lambda.ResourceConflictException",
)
_UNCLEAR_LAMBDA = (
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.Unknown",
)
# Batch has no exception of its own for too many requests: they come under the SDK's base class.
_THROTTLED_BATCH = ("Batch.BatchException", "Batch.TooManyRequestsException")
_THROTTLED_SNS = ("SNS.ThrottledException", "SNS.KmsThrottlingException")
_UNCAUGHT = ("States.DataLimitExceeded",)
"""Not in `States.ALL`: an answer that is too large for a state; the record has it all the same."""
_ENDED_BY_PLATFORM = ("Sandbox.Timedout",)
"""What was delivered until then is in the bucket, and the next call begins after it."""

State = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Places:
    """What the machine calls; by default the names that the template substitutes."""

    partition: str = "aws"
    """Of the names of integrations, which a template's checks want spelled out."""
    function: str = "${Function}"
    """ARN, with the alias."""
    job_queue: str = "${JobQueue}"
    job_definition: str = "${JobDefinition}"
    """Without `-{satellite}`."""
    topic: str = "${Topic}"


def render_definition(places: Places | None = None) -> str:
    """Return the definition as text, the same for the same places."""
    return json.dumps(build_definition(places or Places()), indent=1) + "\n"


def build_definition(places: Places) -> State:
    """Return the definition."""
    return {
        "Comment": "Glacier regions of one submission, on Lambda or Batch",
        "StartAt": "Jobs",
        "TimeoutSeconds": _RUN_SECONDS,
        "States": {
            "Jobs": _jobs(places),
            "Count": _count(),
            "Tell": _publish(places, _SUMMARY_SUBJECT, _SUMMARY, following="Done"),
            "Done": {"Type": "Succeed"},
            "TellFailure": _publish(places, _FAILURE_SUBJECT, _FAILURE, following="NotRun"),
            "NotRun": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
        },
    }


_SUMMARY_SUBJECT = "States.Format('Glacier run {}: {} of {} failed', $.run, $.failed, $.total)"
_SUMMARY = (
    "States.Format('{} jobs of s3://{}/{}: {} success, {} no data, {} failed. Failed: {}', "
    "$.total, $.jobs.bucket, $.jobs.key, $.success, $.no_data, $.failed, "
    "States.JsonToString($.failed_jobs))"
)
_FAILURE_SUBJECT = "States.Format('Glacier run {} was broken off', $.submission_id)"
_FAILURE = (
    "States.Format('Jobs of s3://{}/{}: {}; {}', "
    "$.jobs.bucket, $.jobs.key, $.error.Error, $.error.Cause)"
)


def _jobs(places: Places) -> State:
    return {
        "Type": "Map",
        "Label": "Jobs",
        "ItemReader": {
            "Resource": _integration(places, "s3:getObject"),
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket.$": "$.jobs.bucket", "Key.$": "$.jobs.key"},
        },
        "MaxConcurrency": CONCURRENCY,
        # Every failure is caught inside; whatever else ends a job must not end the others. With a
        # point, for some interpreters take no other number.
        "ToleratedFailurePercentage": 100.0,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Begin",
            "States": _job_states(places),
        },
        "ResultSelector": {
            "success.$": "$[*].success",
            "no_data.$": "$[*].no_data",
            "failed.$": "$[*].failed",
        },
        "ResultPath": "$.outcomes",
        "Catch": [_caught("TellFailure")],
        "Next": "Count",
    }


def _count() -> State:
    return {
        "Type": "Pass",
        "Parameters": {
            "run.$": "$.submission_id",
            "jobs.$": "$.jobs",
            "total.$": "$.jobs.count",
            "success.$": "States.ArrayLength($.outcomes.success)",
            "no_data.$": "States.ArrayLength($.outcomes.no_data)",
            "failed.$": "States.ArrayLength($.outcomes.failed)",
            "failed_jobs.$": "$.outcomes.failed",
        },
        "Next": "Tell",
    }


def _publish(places: Places, subject: str, message: str, *, following: str) -> State:
    return {
        "Type": "Task",
        "Resource": _integration(places, "sns:publish"),
        "Parameters": {"TopicArn": places.topic, "Subject.$": subject, "Message.$": message},
        "TimeoutSeconds": 60,
        "Retry": [_retried(_THROTTLED_SNS)],
        # Nobody hears of it, but the jobs are what they are.
        "Catch": [_caught(following, "$.not_told")],
        "ResultPath": None,
        "Next": following,
    }


def _job_states(places: Places) -> State:
    return {
        # The names of jobs and no more: a run's result may have a quarter of a megabyte.
        "Begin": {
            "Type": "Pass",
            "Result": {"continuations": 0},
            "ResultPath": "$.loop",
            "Next": "Route",
        },
        "Route": {"Type": "Choice", "Choices": [_too_large()], "Default": "Lambda"},
        "Lambda": _lambda(places),
        "Judge": {"Type": "Choice", "Choices": _judgements(), "Default": "Failed"},
        "MayContinue": {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.loop.continuations",
                    "NumericLessThan": CONTINUATIONS_MAX,
                    "Next": "Continue",
                }
            ],
            "Default": "Failed",
        },
        "Continue": {
            "Type": "Pass",
            "Parameters": {"continuations.$": "States.MathAdd($.loop.continuations, 1)"},
            "ResultPath": "$.loop",
            "Next": "Lambda",
        },
        "Batch": _batch(places),
        "Success": _ended("success"),
        "NoData": _ended("no_data"),
        "Failed": _ended("failed"),
    }


def _too_large() -> State:
    """Return the tile rule, as a choice."""
    return {
        "And": [
            {"Or": [{"Variable": "$.satellite", "StringEquals": name} for name in sorted(TILED)]}
            if len(TILED) > 1
            else {"Variable": "$.satellite", "StringEquals": next(iter(TILED))},
            {"Variable": "$.tiles", "NumericGreaterThanPath": ROUTED_BY},
        ],
        "Next": "Batch",
    }


def _judgements() -> Sequence[State]:
    status = "$.answer.body.status"
    by_status = {"partial": "MayContinue", "success": "Success", "no_data": "NoData"}
    return [
        {"Variable": status, "IsPresent": False, "Next": "Failed"},
        *(
            {"Variable": status, "StringEquals": said, "Next": following}
            for said, following in by_status.items()
        ),
    ]


def _lambda(places: Places) -> State:
    return {
        "Type": "Task",
        "Resource": _integration(places, "lambda:invoke"),
        "Parameters": {"FunctionName": places.function, "Payload.$": "$.event"},
        "ResultSelector": {"body.$": "States.StringToJson($.Payload.body)"},
        "ResultPath": "$.answer",
        "TimeoutSeconds": _ANSWER_SECONDS,
        "Retry": [
            _retried(_THROTTLED_LAMBDA),
            {
                "ErrorEquals": list(_UNCLEAR_LAMBDA),
                "IntervalSeconds": LAMBDA_SECONDS,
                "MaxAttempts": 1,
            },
        ],
        "Catch": [
            {
                "ErrorEquals": list(_ENDED_BY_PLATFORM),
                "ResultPath": "$.error",
                "Next": "MayContinue",
            },
            {"ErrorEquals": list(_UNCAUGHT), "ResultPath": "$.error", "Next": "Failed"},
            _caught("Failed"),
        ],
        "Next": "Judge",
    }


def _batch(places: Places) -> State:
    return {
        "Type": "Task",
        "Resource": _integration(places, "batch:submitJob.sync"),
        "Parameters": {
            "JobName.$": "$.job_name",
            "JobQueue": places.job_queue,
            "JobDefinition.$": f"States.Format('{places.job_definition}-{{}}', $.satellite)",
            "Parameters.$": "$.batch.parameters",
            "ContainerOverrides": {
                "Environment.$": "$.batch.environment",
                "ResourceRequirements.$": "$.batch.resources",
            },
            "RetryStrategy.$": "$.batch.retry",
            "Timeout.$": "$.batch.timeout",
        },
        "ResultPath": None,
        "TimeoutSeconds": _BATCH_SECONDS,
        "Retry": [_retried(_THROTTLED_BATCH)],
        "Catch": [_caught("Failed")],
        "Next": "Success",
    }


def _ended(how: str) -> State:
    return {"Type": "Pass", "Parameters": {f"{how}.$": "$.job_name"}, "End": True}


def _retried(errors: Sequence[str]) -> State:
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": 2,
        "MaxAttempts": 8,
        "BackoffRate": 2,
        "MaxDelaySeconds": 120,
        "JitterStrategy": "FULL",
    }


def _caught(following: str, result_path: str = "$.error") -> State:
    return {"ErrorEquals": ["States.ALL"], "ResultPath": result_path, "Next": following}


def _integration(places: Places, action: str) -> str:
    return f"arn:{places.partition}:states:::{action}"
