"""Which task definitions a project's configuration asks for. Pure."""

from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.tasks.task_definitions import TaskSettings
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.project import aws_keys
from pipelines.glacier.targets.fargate_sizes import check_size
from shared.errors import UsageError

_ECS_TASK, _FARGATE_TASK = "satellite-processing-task", "glacier-task"
_CONTAINER = "glacier-processing"
_CPU, _MEMORY_MB = 4096, 16_384


def task_settings(
    sources: Sources, scope: Scope, image: str, architecture: str
) -> tuple[TaskSettings, TaskSettings]:
    """Return the definition for instances, and the one for Fargate; UsageError for a bad size.

    The names are those that submissions ask for: `[COMPUTE]` and `[FARGATE]` of the file.
    """
    key = sources.aws_key
    cpu, memory_mb = key(_CPU, aws_keys.FARGATE_CPU), key(_MEMORY_MB, aws_keys.FARGATE_MEMORY)
    if wrong := check_size(cpu, memory_mb):
        place = sources.aws.place(aws_keys.FARGATE_MEMORY)
        raise UsageError(f"{place} = {str(memory_mb)!r} is not valid; {wrong}")
    common = {
        "container": key(_CONTAINER, aws_keys.FARGATE_CONTAINER),
        "image": key(image, aws_keys.FARGATE_IMAGE),
        "task_role_arn": scope.role_arn(scope.task_role),
        "execution_role_arn": scope.role_arn(scope.task_execution_role),
        "log_group": scope.log_group,
        "aws_region": scope.aws_region,
        "architecture": architecture,
    }
    on_instances = TaskSettings(
        family=family(key(_ECS_TASK, aws_keys.ECS_TASK_DEFINITION)),
        launch_type="EC2",
        cpu=cpu,
        memory_mb=memory_mb,
        **common,
    )
    on_fargate = TaskSettings(
        family=family(key(_FARGATE_TASK, aws_keys.FARGATE_TASK_DEFINITION)),
        launch_type="FARGATE",
        cpu=cpu,
        memory_mb=memory_mb,
        **common,
    )
    if on_instances.family == on_fargate.family:
        raise UsageError(
            f"{sources.aws.place(aws_keys.FARGATE_TASK_DEFINITION)} and "
            f"{aws_keys.ECS_TASK_DEFINITION.name} are both {on_fargate.family!r}; name two"
        )
    return on_instances, on_fargate


def family(name: str) -> str:
    """Return the family of a definition that is written as such, with a revision, or as an ARN."""
    return name.rpartition("/")[2].partition(":")[0]
