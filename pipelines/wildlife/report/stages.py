"""What each state took and counted, in the order of the states. Pure."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from pipelines.wildlife.models.detections import DetectionSummary
from pipelines.wildlife.models.payload import Payload
from pipelines.wildlife.models.report import StageFigures

_LAST, _DETECTION = "WriteParquet", "SubmitBatchStage1"
_STAGE0 = ("processed_images", "exif_errors", "time_corrections", "images_skipped", "cameras")
_STAGE2 = (
    "observations_processed",
    "observations_created",
    "clusters_created",
    "species_detected",
    "humans_excluded",
)
_WEATHER = ("weather_observations", "observations_enriched", "weather_calls", "cache_hits")


def stage_figures(
    payload: Payload,
    summary: DetectionSummary | None,
    *,
    rows: int,
    files: int,
    last_seconds: float,
) -> dict[str, StageFigures]:
    """Return the figures of each state; the last one's time is that until its report."""
    counts: Mapping[str, Mapping[str, int]] = {
        "GuardBudget": _counts(payload, ("images_found", "estimated_images")),
        "Stage0Exif": _counts(payload.stage0_results, _STAGE0),
        "CostEstimation": _counts(payload.cost_estimate, ("file_count",)),
        _DETECTION: _detection(summary),
        "Stage2Post": _counts(payload.stage2_results, _STAGE2),
        "WeatherEnrichment": _counts(payload.weather_results, _WEATHER),
        _LAST: {"rows": rows, "files_created": files},
    }
    seconds = {**payload.stage_seconds, _LAST: last_seconds}
    if summary is not None:
        seconds[_DETECTION] = summary.seconds
    return {
        name: StageFigures(seconds=seconds.get(name), counts=dict(counted))
        for name, counted in counts.items()
    }


def _counts(results: BaseModel | None, names: Sequence[str]) -> Mapping[str, int]:
    """Return the counts of these names; none of a state that said nothing."""
    return {} if results is None else {name: getattr(results, name) for name in names}


def _detection(summary: DetectionSummary | None) -> Mapping[str, int]:
    if summary is None:
        return {}
    return {
        "images": summary.images,
        "images_failed": summary.images_failed,
        "detections": summary.detections,
        "dropped": sum(summary.dropped.values()),
        "humans": summary.humans,
    }
