"""The services that run jobs, what a project's configuration says of each, and one job. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

ServiceName: TypeAlias = Literal["lambda", "batch", "ecs", "fargate"]
Arguments: TypeAlias = Mapping[str, object]
"""The arguments of one AWS operation, spelled as the API has them."""


@dataclass(frozen=True, slots=True)
class LambdaTarget:
    """A function, and how large it is: what its time costs."""

    function_name: str
    alias: str = ""
    """Of the version that is called; empty: the newest, well or not."""
    memory_mb: int = 10_240
    storage_mb: int = 10_240


@dataclass(frozen=True, slots=True)
class BatchTarget:
    """A queue of AWS Batch, and what a job is given there."""

    job_queue: str
    job_definition: str
    vcpus: int
    memory_mb: int
    timeout_seconds: int
    """Of one tile and one month."""


@dataclass(frozen=True, slots=True)
class EcsTarget:
    """A cluster of EC2 instances."""

    cluster: str
    task_definition: str
    container_name: str


@dataclass(frozen=True, slots=True)
class FargateTarget:
    """A cluster without instances, and what a task is given there."""

    cluster: str
    task_definition: str
    container_name: str
    cpu: int
    memory_mb: int
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    spot: bool
    """Take spare capacity, which may be taken away again."""


Target: TypeAlias = LambdaTarget | BatchTarget | EcsTarget | FargateTarget


@dataclass(frozen=True, slots=True)
class Task:
    """One job as all services see it."""

    name: str
    """`aws-{satellite}-{first day}-{region}`."""
    region: str
    token: str
    """The same for all deliveries of this job in one submission, and for nothing else."""
    event: Mapping[str, object]
    """What Lambda's handler is sent."""
    environment: Mapping[str, str]
    """What a container is started with."""
    tile_months: int
    """Tiles times started months, which the time limit is scaled by."""
