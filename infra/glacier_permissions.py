"""What the glacier stack's parts may do in AWS besides the runs themselves, and why. Pure.

What the runs need stands in `pipelines.glacier.deploy.permissions.policies`, from where people who
deploy without this stack take it, too.
"""

from typing import get_args

from infra.machine_permissions import job_permissions, watch_permissions
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.layout import RUNS
from pipelines.glacier.satellite import SatelliteName
from shared.aws.permission import Permission


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
        *job_permissions(
            scope.arn,
            queues=(job_queue,),
            definitions=tuple(f"{job_definition}-{name}" for name in get_args(SatelliteName)),
            why="jobs with many tiles are run by Batch",
        ),
        *_children(scope, machine),
        Permission("MachineTopic", ("sns:Publish",), (scope.topic_arn,), "somebody is told"),
        *watch_permissions(),
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
