"""What somebody asks for: satellite, regions, days, how to process, where it runs. Pure.

These are the facts that a plan is made from, whichever flag or file they came from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pipelines.glacier.dates import Window
from pipelines.glacier.layout import Layout
from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.regions import Selection
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.targets.target import ServiceName, Target
from pipelines.glacier.targets.tile_rule import LAMBDA_MAX_TILES

Asked: TypeAlias = Literal["lambda", "batch", "ecs", "fargate", "auto", "stepfunctions"]
"""A service, or `auto`: decided for each region. `stepfunctions` decides in the same way, and has a
state machine start the jobs and wait for them."""


@dataclass(frozen=True, slots=True)
class Processing:
    """How a region is processed."""

    layout: Layout = "old"
    cores: int = 1
    download_flag: bool = True
    post_processing_flag: bool = True
    clear_downloads: bool = False
    force_reprocess: bool = False


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """What decides the service of a region, and how long a window one job may have."""

    lambda_max_tiles: int = LAMBDA_MAX_TILES
    chunk_days: int = 0
    """Days of one Lambda job; 0: windows are not cut."""
    force_service: bool = False
    """Take the service that was asked for, however many tiles there are."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Which project code and configuration a job is meant to run with; empty where not known."""

    project: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything a plan is made from, but for the regions themselves."""

    submission_id: str
    """New for each submission, and the same for all deliveries of its requests."""
    satellite: SatelliteName
    service: Asked
    window: Window
    selection: Selection
    storage: Storage
    targets: Mapping[ServiceName, Target]
    """Those that the service needs: for `auto` and `stepfunctions`, Lambda and Batch."""
    processing: Processing = field(default_factory=Processing)
    routing: RoutingRules = field(default_factory=RoutingRules)
    digests: Digests = field(default_factory=Digests)
    allow_stale: bool = False
    """Where the code that runs has another digest: warn, and run."""
    email: str = ""
    """Who asks; kept in the record."""
    state_machine_arn: str = ""
    budget_usd: int | None = None
    """More than this is not sent."""
    dry_run: bool = False
    warnings: tuple[str, ...] = ()
