"""The task definitions of ECS, for tasks on instances and on Fargate. Pure.

Both run the image of the function, which starts its runner where Lambda's runtime interface is not.
They are registered only where what is registered differs, so that revisions mean something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

LaunchType: TypeAlias = Literal["EC2", "FARGATE"]
Definition: TypeAlias = Mapping[str, object]
"""As RegisterTaskDefinition takes it."""

STORAGE_GIB = 40
"""Raw tiles of a month and four tiles; Fargate gives 20 by itself."""
RUNNER = "runner"
"""What the image is told to start; it would find out by itself, a definition says it."""
_STOP_SECONDS = 120
"""From SIGTERM to SIGKILL: time for the record of what is finished. No service gives more."""
_ARCHITECTURES = {"x86_64": "X86_64", "arm64": "ARM64"}
_VOLUME, _WORK = "work", "/tmp"  # noqa: S108 - the one place in the image that can be written
_READ_BACK = (
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "ephemeralStorage",
    "runtimePlatform",
    "volumes",
)


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What a definition is made of."""

    family: str
    launch_type: LaunchType
    container: str
    image: str
    """With its digest."""
    cpu: int
    """Units; 1024 are one processor."""
    memory_mb: int
    task_role_arn: str
    execution_role_arn: str
    log_group: str
    aws_region: str
    architecture: str = "x86_64"


def render_definition(settings: TaskSettings) -> Definition:
    """Return the definition."""
    on_fargate = settings.launch_type == "FARGATE"
    storage: Definition = (
        {"ephemeralStorage": {"sizeInGiB": STORAGE_GIB}, "volumes": [{"name": _VOLUME}]}
        if on_fargate
        # An instance gives what its disk has; the volume is a folder there and ends with the task.
        else {"volumes": [{"name": _VOLUME}]}
    )
    return {
        "family": settings.family,
        "taskRoleArn": settings.task_role_arn,
        "executionRoleArn": settings.execution_role_arn,
        "networkMode": "awsvpc" if on_fargate else "bridge",
        "requiresCompatibilities": [settings.launch_type],
        "cpu": str(settings.cpu),
        "memory": str(settings.memory_mb),
        "runtimePlatform": {
            "cpuArchitecture": _ARCHITECTURES[settings.architecture],
            "operatingSystemFamily": "LINUX",
        },
        **storage,
        "containerDefinitions": [_container(settings)],
    }


def differs(wanted: Definition, registered: Mapping[str, object] | None) -> bool:
    """Tell whether a definition has to be registered; ECS adds fields of its own to what it has."""
    if registered is None:
        return True
    if any(_plain(registered.get(name)) != _plain(wanted.get(name)) for name in _READ_BACK):
        return True
    return not _holds(registered.get("containerDefinitions"), wanted["containerDefinitions"])


def _container(settings: TaskSettings) -> Definition:
    return {
        "name": settings.container,
        "image": settings.image,
        "essential": True,
        "command": [RUNNER],
        # No sizes: those of the task hold, also where a submission asks for others.
        "readonlyRootFilesystem": True,
        "user": "10001:10001",
        "stopTimeout": _STOP_SECONDS,
        "mountPoints": [{"sourceVolume": _VOLUME, "containerPath": _WORK, "readOnly": False}],
        "linuxParameters": {"initProcessEnabled": True},
        "environment": [{"name": "AWS_REGION", "value": settings.aws_region}],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": settings.log_group,
                "awslogs-region": settings.aws_region,
                "awslogs-stream-prefix": settings.family,
            },
        },
    }


def _holds(found: object, wanted: object) -> bool:
    """Tell whether everything that is wanted is there, whatever else is."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _holds(found.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return (
            isinstance(found, Sequence)
            and len(found) == len(wanted)
            and all(map(_holds, found, wanted))
        )
    return found == wanted


def _plain(value: object) -> object:
    """Return a value as it compares: nothing, an empty list and fields without a value are one."""
    if isinstance(value, Mapping):
        said = {name: _plain(each) for name, each in value.items()}
        return {name: each for name, each in said.items() if each not in (None, [], {})} or None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value] or None
    return value
