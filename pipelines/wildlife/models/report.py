"""`run_report.json`: what a run was, cost and found.

Money is DKK with four decimals. Everything in here follows from the manifests and the payload of
the run; only `generated_at` and what comes of the runtime differ when the same run is written anew.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipelines.wildlife.models.moments import Latitude, Longitude, Moment, Share
from pipelines.wildlife.models.payload import Count
from pipelines.wildlife.models.weather import WeatherStatus

_MONEY_DECIMALS = 4


def _round_money(value: float) -> float:
    return round(value, _MONEY_DECIMALS)


Money = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_round_money)]
"""DKK, with four decimals."""
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RunStatus(StrEnum):
    """How a run that came to its report went."""

    SUCCESS = "success"
    PARTIAL = "partial"
    """The weather failed as a whole; everything else is there."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExecutionSummary(_Part):
    """What the run costs by the guard's figures, and how long it took."""

    estimated_cost_dkk: Money
    estimated_total_dkk: Money
    """What was compared with the budget."""
    budget_dkk: Money
    cost_breakdown: dict[str, Money]
    price_book: str
    usd_to_dkk: float
    actual_runtime_seconds: Seconds
    """From the guard to this report."""
    actual_runtime_human: str
    """`12.3s`, `4.5m` or `1.2h`."""
    cost_efficiency_dkk_per_second: Money
    """The total by the runtime; 0 where there was none."""


class StageFigures(_Part):
    """What one state took and counted."""

    seconds: Seconds | None
    """None where nobody measured it."""
    counts: dict[str, Count]


class WeatherStatistics(_Part):
    """What was asked for, and how each observation ended."""

    weather_calls: Count
    cache_hits: Count
    cache_hit_rate: Share
    """Hits by hits and calls, three decimals; 0 where there was neither."""
    api_calls_saved: Count
    """Look-ups that needed no request, because the answer was known."""
    by_status: dict[WeatherStatus, Count]
    """Of all observations, so that the counts add up; in the order of the names."""
    attribution: list[str]
    """What has to be said of the data's origin."""


class SpeciesFigures(_Part):
    """The observations of a species."""

    count: Count
    total_duration: Seconds
    max_confidence: Share
    avg_confidence: Share
    """Plain mean of the observations' own averages."""


class CameraFigures(_Part):
    """The observations of a camera."""

    count: Count
    species: list[str]
    """In the order of the names."""


class TimeRange(_Part):
    """From the first observation's start to the last one's end."""

    start: Moment
    end: Moment
    duration_hours: Seconds


class CompressionStats(_Part):
    """How many detections became how many observations."""

    detections: Count
    observations: Count
    detections_per_observation: Seconds
    """Two decimals; 0 where there is no observation."""


class ObservationFigures(_Part):
    """What is in `clusters.parquet`."""

    total_observations: Count
    species_summary: dict[str, SpeciesFigures]
    """By species, in the order of the names."""
    camera_summary: dict[str, CameraFigures]
    """By camera, in the order of the names."""
    time_range: TimeRange | None
    """None where nothing was observed."""
    video_observations: Count
    image_observations: Count
    compression_stats: CompressionStats


class ImageFigures(_Part):
    """What became of the pictures."""

    found: Count
    used: Count
    """The first `max_images` of those found."""
    skipped: Count
    errors: Count
    """Of those used, that could not be read."""


class Stand(_Part):
    """A place with many observations, or a camera where there is no position."""

    stand_id: str
    """`clu-…`, or the camera's id."""
    name: str
    observation_count: Count
    species: list[str]
    """In the order of the names."""
    latitude: Latitude | None = None
    """Mean of its observations; None for a camera."""
    longitude: Longitude | None = None


class AdditionalMetrics(_Part):
    """What else is worth knowing of a run."""

    started_at: Moment
    input_uri: str
    output_uri: str
    worst_case_dkk: Money
    """If both attempts of the detection use up their time."""
    budget_remaining_dkk: Money
    cameras: Count
    time_corrections: Count
    clusters: Count
    needs_review: Count
    """Observations that a person should look at."""
    individuals: Count
    """Sum of the observations' animals; the same animal counts in each."""
    detector: str
    stage1_model: str
    config_hash: str
    detections_dropped: dict[str, Count]
    """By the filter's reason."""
    images_failed: Count
    """Pictures that the detector could not decode."""
    pictures_per_second: Seconds
    """Of the detection, two decimals; 0 where its time is not known."""
    weather_provider: str
    """Names of those that were asked, joined by a comma; `none` where nobody was."""
    pipeline_version: str


class RunReport(_Part):
    """The whole of `run_report.json`."""

    run_id: str
    """The session."""
    generated_at: Moment
    status: RunStatus
    execution_summary: ExecutionSummary
    stages: dict[str, StageFigures]
    """By the state's name, in their order."""
    weather_statistics: WeatherStatistics
    observations: ObservationFigures
    images: ImageFigures
    humans_excluded: Count
    top3_stands: list[Stand] = Field(max_length=3)
    warnings: list[str]
    additional_metrics: AdditionalMetrics
