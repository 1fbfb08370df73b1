"""What goes from state to state. Nothing that was said is ever dropped; URIs and counts only.

A state checks what it got with `Payload`, and gives back the whole event with its own keys added.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from pipelines.wildlife.models.input import Coordinates
from pipelines.wildlife.models.moments import Moment

Count: TypeAlias = Annotated[int, Field(ge=0)]


class _Said(BaseModel):
    """Frozen; what is not known is kept by those who pass it on, and not looked at here."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Stage0Results(_Said):
    """Added by Stage0Exif."""

    output_uri: str
    processed_images: Count
    exif_errors: Count
    time_corrections: Count
    images_skipped: Count
    cameras: Count


class CostEstimate(_Said):
    """Added by CostEstimation; it informs, except that the guard's formula is applied once more."""

    file_count: Count
    estimated_hours: float
    estimated_cost: float
    """USD."""
    cost_per_file: float
    """USD."""
    estimated_cost_dkk: float


class Stage1Job(_Said):
    """Added by SubmitBatchStage1, from what Batch says of the job."""

    job_id: str
    job_name: str
    status: str
    attempts: list[object] = Field(default_factory=list)


class Stage2Results(_Said):
    """Added by Stage2Post."""

    output_uri: str
    observations_uri: str
    observations_processed: Count
    """Detections that came in."""
    observations_created: Count
    clusters_created: Count
    species_detected: Count
    humans_excluded: Count = 0
    """Observations of people, which were left out."""
    low_confidence: Count = 0
    """Detections that were too doubtful to count."""
    short_videos: Count = 0
    """Observations in videos that were too short to count."""
    timelines_cut: Count = 0
    """Observations whose timeline does not name every detection."""
    overlaps: Count = 0
    """Pairs of places that are hardly apart."""
    sink_format: Literal["parquet"] = "parquet"


class WeatherResults(_Said):
    """Added by WeatherEnrichment."""

    weather_uri: str
    observations_enriched: Count
    weather_observations: Count
    """Those for which weather was looked for."""
    days_back: Count
    provider: str
    """Names of those that were asked, joined by a comma; `none` where nobody was."""
    weather_calls: Count
    cache_hits: Count
    by_status: dict[str, int]
    attribution: list[str] = Field(default_factory=list)


class Payload(_Said):
    """What every state behind the guard can rely on, and what those before it have added."""

    input_uri: str
    output_uri: str
    budget_dkk: float
    use_spot: bool
    max_images: int
    max_job_duration: int
    weather_days_back: int
    session_id: str
    coordinates: Coordinates | None = None
    write_details: bool = False
    price_book: str
    started_at: Moment
    images_found: Count
    estimated_images: Count
    seconds_per_image: float
    compute_mode: str
    max_runtime_min: int
    estimated_cost_dkk: float
    estimated_total_dkk: float
    cost_breakdown: dict[str, float]
    worst_case_dkk: float
    budget_remaining_dkk: float
    stage0_output_uri: str
    intermediate_uri: str
    weather_uri: str
    job_queue: str
    batch_state_timeout_s: int
    warnings: list[str] = Field(default_factory=list)
    stage_seconds: dict[str, float] = Field(default_factory=dict)
    """How long each state took that a function did, by its name."""
    stage0_results: Stage0Results | None = None
    cost_estimate: CostEstimate | None = None
    stage1_job: Stage1Job | None = None
    stage2_results: Stage2Results | None = None
    weather_results: WeatherResults | None = None
    weather_error: dict[str, object] | None = None
    """What the state machine caught where the weather failed as a whole."""


class FinalResults(_Said):
    """What a run has made."""

    parquet_uri: str
    report_uri: str
    weather_uri: str
    files_created: Count
    """Tables and the JSON report; 2, or 4 with details."""


class Output(_Said):
    """What an execution gives back."""

    session_id: str
    final_results: FinalResults
