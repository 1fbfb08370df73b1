"""The exact arguments of the request that starts a job: Invoke, SubmitJob or RunTask. Pure.

A token in each RunTask, and the submission in every event and environment, let an answer that got
lost be looked up instead of the job being started twice.
"""

import json

from pipelines.glacier.targets.target import (
    Arguments,
    BatchTarget,
    EcsTarget,
    FargateTarget,
    LambdaTarget,
    Target,
    Task,
)

_ATTEMPTS = 3
_LOST_HOST = "Host EC2*"
"""How Batch begins the reason when an instance went away, a Spot instance among them."""


def build_request(task: Task, target: Target) -> Arguments:
    """Return what the target's service is sent for a job."""
    if isinstance(target, LambdaTarget):
        return _invoke(task, target)
    if isinstance(target, BatchTarget):
        return _submit_job(task, target)
    if isinstance(target, EcsTarget):
        return _run_on_instances(task, target)
    return _run_on_fargate(task, target)


def _invoke(task: Task, target: LambdaTarget) -> Arguments:
    return {
        "FunctionName": target.function_name,
        **({"Qualifier": target.alias} if target.alias else {}),
        "InvocationType": "Event",
        "Payload": json.dumps(task.event, separators=(",", ":")),
    }


def _submit_job(task: Task, target: BatchTarget) -> Arguments:
    event = task.event
    return {
        "jobName": task.name,
        "jobQueue": target.job_queue,
        "jobDefinition": target.job_definition,
        "parameters": {
            "satellite": event["satellite"],
            "regions": event["regions"],
            "startDate": event["date1"],
            "endDate": event["date2"],
            "s3Bucket": event["s3_bucket"],
        },
        "containerOverrides": {
            "environment": _environment(task),
            "resourceRequirements": [
                {"type": "VCPU", "value": str(target.vcpus)},
                {"type": "MEMORY", "value": str(target.memory_mb)},
            ],
        },
        # A job that ended by itself, with whatever status, would end in the same way again.
        "retryStrategy": {
            "attempts": _ATTEMPTS,
            "evaluateOnExit": [
                {"onStatusReason": _LOST_HOST, "action": "RETRY"},
                {"onReason": "*", "action": "EXIT"},
            ],
        },
        "timeout": {"attemptDurationSeconds": target.timeout_seconds * task.tile_months},
    }


def _run_on_instances(task: Task, target: EcsTarget) -> Arguments:
    return {
        "cluster": target.cluster,
        "taskDefinition": target.task_definition,
        "launchType": "EC2",
        "count": 1,
        "overrides": {"containerOverrides": [_container(task, target.container_name)]},
        **_known_by(task),
    }


def _run_on_fargate(task: Task, target: FargateTarget) -> Arguments:
    # A request has either of the two, never both.
    how: Arguments = (
        {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
        if target.spot
        else {"launchType": "FARGATE"}
    )
    network = {
        "subnets": list(target.subnets),
        "securityGroups": list(target.security_groups),
        "assignPublicIp": "ENABLED",
    }
    return {
        "cluster": target.cluster,
        "taskDefinition": target.task_definition,
        **how,
        "count": 1,
        "networkConfiguration": {"awsvpcConfiguration": network},
        "overrides": {
            "cpu": str(target.cpu),
            "memory": str(target.memory_mb),
            "containerOverrides": [_container(task, target.container_name)],
        },
        **_known_by(task),
    }


def _container(task: Task, name: str) -> Arguments:
    return {"name": name, "environment": _environment(task)}


def _environment(task: Task) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in task.environment.items()]


def _known_by(task: Task) -> Arguments:
    """Return what a task is found by, and started once by however often it is asked for."""
    return {"startedBy": str(task.event["submission_id"]), "clientToken": task.token}
