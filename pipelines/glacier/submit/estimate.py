"""What a plan will cost, about: how long its jobs run, times what their machines cost. Pure.

The times are those that were seen: Sentinel-2, one tile, one to three days: 42 to 102 s, four tiles
480 s; Landsat 4 to 38 s a region. There is an acquisition a day and tile, or less: days without one
make a plan cheaper than it is told. Not counted are what is stored, logs, and reading scenes, which
costs next to nothing from the same region of AWS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.glacier.dates import Window
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit import rates
from pipelines.glacier.targets.target import (
    BatchTarget,
    FargateTarget,
    LambdaTarget,
    ServiceName,
    Target,
)

_START_SECONDS = 30.0
_SECONDS_OF_DAY: Mapping[SatelliteName, float] = {"sentinel2": 25.0, "landsat": 10.0}
"""For Sentinel-2 of each tile."""
_HOUR = 3600.0
_GB = 1024.0
_ECS_VCPUS, _ECS_MEMORY_MB = 2, 8192
"""Of a task on instances, whose definition this module does not see."""


class EstimatedJob(Protocol):
    """What an estimate looks at."""

    @property
    def service(self) -> ServiceName:
        """Where it runs."""

    @property
    def tiles(self) -> int:
        """Of its region."""

    @property
    def window(self) -> Window:
        """Its days."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a plan, in US dollars."""

    by_service: Mapping[str, float]

    @property
    def usd(self) -> float:
        """All of it."""
        return sum(self.by_service.values())

    def to_json(self) -> Mapping[str, object]:
        """Return what the plan's document says of it."""
        return {
            "usd": round(self.usd, 4),
            "by_service": {name: round(usd, 4) for name, usd in self.by_service.items()},
            "prices": rates.PRICES,
        }


def estimate(
    jobs: Sequence[EstimatedJob],
    targets: Mapping[ServiceName, Target],
    satellite: SatelliteName,
    *,
    by_state_machine: bool = False,
) -> Estimate:
    """Return what some jobs cost, about."""
    told: dict[str, float] = {}
    for job in jobs:
        usd = job_usd(job, targets[job.service], satellite)
        told[job.service] = told.get(job.service, 0.0) + usd
    if by_state_machine:
        told["stepfunctions"] = len(jobs) * rates.TRANSITIONS_OF_JOB * rates.TRANSITION
    return Estimate(told)


def job_usd(job: EstimatedJob, target: Target, satellite: SatelliteName) -> float:
    """Return what a job costs, about."""
    seconds = job_seconds(job, satellite)
    scenes = job.window.days * (job.tiles if satellite == "sentinel2" else 1)
    stored = scenes * rates.OBJECTS_OF_SCENE * rates.PUT_REQUEST
    return _machine_usd(target, seconds) + stored


def job_seconds(job: EstimatedJob, satellite: SatelliteName) -> float:
    """Return how long a job runs, about."""
    tiles = job.tiles if satellite == "sentinel2" else 1
    return _START_SECONDS + tiles * job.window.days * _SECONDS_OF_DAY[satellite]


def _machine_usd(target: Target, seconds: float) -> float:
    if isinstance(target, LambdaTarget):
        storage = max(0.0, target.storage_mb / _GB - rates.LAMBDA_STORAGE_FREE_GB)
        second = target.memory_mb / _GB * rates.LAMBDA_GB_SECOND
        return rates.LAMBDA_REQUEST + seconds * (second + storage * rates.LAMBDA_STORAGE_GB_SECOND)
    if isinstance(target, FargateTarget):
        hour = target.cpu / _GB * rates.FARGATE_VCPU_HOUR
        return seconds / _HOUR * (hour + target.memory_mb / _GB * rates.FARGATE_GB_HOUR)
    if isinstance(target, BatchTarget):
        return _instance_usd(target.vcpus, target.memory_mb, seconds)
    return _instance_usd(_ECS_VCPUS, _ECS_MEMORY_MB, seconds)


def _instance_usd(vcpus: int, memory_mb: int, seconds: float) -> float:
    paid = max(vcpus, memory_mb / _GB / rates.EC2_GB_OF_VCPU)
    return seconds / _HOUR * paid * rates.EC2_VCPU_HOUR
