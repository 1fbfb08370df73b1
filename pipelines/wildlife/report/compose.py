"""`run_report.json` from what the states said, what the detection said, and the rows. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pipelines.wildlife.costs.prices import PriceBook
from pipelines.wildlife.models.detections import DetectionSummary
from pipelines.wildlife.models.payload import Payload, WeatherResults
from pipelines.wildlife.models.report import (
    AdditionalMetrics,
    CameraFigures,
    CompressionStats,
    ExecutionSummary,
    ImageFigures,
    ObservationFigures,
    RunReport,
    RunStatus,
    SpeciesFigures,
    Stand,
    TimeRange,
    WeatherStatistics,
)
from pipelines.wildlife.report.stages import stage_figures
from pipelines.wildlife.report.tally import RowTally, SiteTally, SpeciesTally

_STANDS = 3
_RATE_DECIMALS = 3
_SHOWN_DECIMALS = 2
_SHARE_DECIMALS = 6
"""Of a mean, so that what sums of floats add at the end is not shown."""
_MINUTE, _HOUR = 60.0, 3600.0
_CAUSE_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that a report is made of."""

    payload: Payload
    prices: PriceBook
    summary: DetectionSummary | None
    """None where the detection left none."""
    rows: RowTally
    files_created: int
    began_at: datetime
    """When the last state began."""
    now: datetime
    pipeline_version: str


def compose_report(told: Told) -> RunReport:
    """Return the report."""
    payload, rows = told.payload, told.rows
    stage2 = payload.stage2_results
    return RunReport(
        run_id=payload.session_id,
        generated_at=told.now,
        status=RunStatus.SUCCESS if payload.weather_results else RunStatus.PARTIAL,
        execution_summary=_execution(told),
        stages=stage_figures(
            payload,
            told.summary,
            rows=rows.total,
            files=told.files_created,
            last_seconds=_seconds(told.began_at, told.now),
        ),
        weather_statistics=_weather(payload.weather_results, rows),
        observations=_observations(rows, stage2.observations_processed if stage2 else 0),
        images=_images(payload),
        humans_excluded=stage2.humans_excluded if stage2 else 0,
        top3_stands=_stands(rows),
        warnings=_warnings(payload),
        additional_metrics=_additional(told),
    )


def human_runtime(seconds: float) -> str:
    """Return a runtime as people read it: `12.3s`, `4.5m`, `1.2h`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f}s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.1f}m"
    return f"{seconds / _HOUR:.1f}h"


def hit_rate(hits: int, calls: int) -> float:
    """Return the share of look-ups that needed no call; 0 where there was none."""
    return round(hits / (hits + calls), _RATE_DECIMALS) if hits + calls else 0.0


def _execution(told: Told) -> ExecutionSummary:
    payload = told.payload
    seconds = _seconds(payload.started_at, told.now)
    return ExecutionSummary(
        estimated_cost_dkk=payload.estimated_cost_dkk,
        estimated_total_dkk=payload.estimated_total_dkk,
        budget_dkk=payload.budget_dkk,
        cost_breakdown=payload.cost_breakdown,
        price_book=payload.price_book,
        usd_to_dkk=told.prices.usd_to_dkk,
        actual_runtime_seconds=seconds,
        actual_runtime_human=human_runtime(seconds),
        cost_efficiency_dkk_per_second=payload.estimated_total_dkk / seconds if seconds else 0.0,
    )


def _seconds(began: datetime, ended: datetime) -> float:
    """Return the time between; clocks of two machines may make it seem less than none."""
    return max(0.0, round((ended - began).total_seconds(), _SHOWN_DECIMALS))


def _weather(results: WeatherResults | None, rows: RowTally) -> WeatherStatistics:
    calls = results.weather_calls if results else 0
    hits = results.cache_hits if results else 0
    return WeatherStatistics(
        weather_calls=calls,
        cache_hits=hits,
        cache_hit_rate=hit_rate(hits, calls),
        api_calls_saved=hits,
        by_status={status: rows.weather[status] for status in sorted(rows.weather)},
        attribution=results.attribution if results else [],
    )


def _observations(rows: RowTally, detections: int) -> ObservationFigures:
    ratio = detections / rows.total if rows.total else 0.0
    return ObservationFigures(
        total_observations=rows.total,
        species_summary={name: _species(rows.species[name]) for name in sorted(rows.species)},
        camera_summary={
            name: CameraFigures(count=camera.count, species=sorted(camera.species))
            for name, camera in sorted(rows.cameras.items())
        },
        time_range=_time_range(rows),
        video_observations=rows.video,
        image_observations=rows.total - rows.video,
        compression_stats=CompressionStats(
            detections=detections,
            observations=rows.total,
            detections_per_observation=round(ratio, _SHOWN_DECIMALS),
        ),
    )


def _species(tally: SpeciesTally) -> SpeciesFigures:
    return SpeciesFigures(
        count=tally.count,
        total_duration=round(tally.total_duration, _SHARE_DECIMALS),
        max_confidence=tally.max_confidence,
        avg_confidence=round(tally.confidence_sum / tally.count, _SHARE_DECIMALS),
    )


def _time_range(rows: RowTally) -> TimeRange | None:
    if rows.span is None:
        return None
    start, end = rows.span
    hours = (end - start).total_seconds() / _HOUR
    return TimeRange(start=start, end=end, duration_hours=round(hours, _SHOWN_DECIMALS))


def _images(payload: Payload) -> ImageFigures:
    stage0 = payload.stage0_results
    return ImageFigures(
        found=payload.images_found,
        used=payload.estimated_images,
        skipped=stage0.images_skipped
        if stage0
        else payload.images_found - payload.estimated_images,
        errors=stage0.exif_errors if stage0 else 0,
    )


def _stands(rows: RowTally) -> list[Stand]:
    """Return the places with most observations; cameras stand in for what has no position."""
    sites = [*rows.places.items(), *rows.unplaced.items()]
    ranked = sorted(sites, key=lambda each: (-each[1].count, each[0]))[:_STANDS]
    return [_stand(name, site, placed=name in rows.places) for name, site in ranked]


def _stand(stand_id: str, site: SiteTally, *, placed: bool) -> Stand:
    return Stand(
        stand_id=stand_id,
        name=site.name,
        observation_count=site.count,
        species=sorted(site.species),
        latitude=site.latitude_sum / site.count if placed else None,
        longitude=site.longitude_sum / site.count if placed else None,
    )


def _warnings(payload: Payload) -> list[str]:
    if payload.weather_results:
        return payload.warnings
    failed = payload.weather_error or {}
    # A mistake of the configuration is mended by who reads of it; the name alone would not do.
    parts = filter(None, [str(failed.get("Error", "not run")), _said_in(failed.get("Cause"))])
    return [*payload.warnings, f"weather_failed: {': '.join(parts)}"[:_CAUSE_SHOWN]]


def _said_in(cause: object) -> str:
    """Return the first line of what a function's error said; empty where it was no function's."""
    try:
        told = json.loads(str(cause))
    except ValueError:
        return ""
    message = told.get("errorMessage") if isinstance(told, Mapping) else None
    return message.partition("\n")[0] if isinstance(message, str) else ""


def _additional(told: Told) -> AdditionalMetrics:
    payload, rows, summary = told.payload, told.rows, told.summary
    stage0, stage2, weather = (
        payload.stage0_results,
        payload.stage2_results,
        payload.weather_results,
    )
    speed = summary.images / summary.seconds if summary and summary.seconds else 0.0
    return AdditionalMetrics(
        started_at=payload.started_at,
        input_uri=payload.input_uri,
        output_uri=payload.output_uri,
        worst_case_dkk=payload.worst_case_dkk,
        budget_remaining_dkk=payload.budget_remaining_dkk,
        cameras=stage0.cameras if stage0 else 0,
        time_corrections=stage0.time_corrections if stage0 else 0,
        clusters=stage2.clusters_created if stage2 else 0,
        needs_review=rows.needs_review,
        individuals=rows.individuals,
        detector=summary.detector if summary else "unknown",
        stage1_model=summary.stage1_model if summary else "unknown",
        config_hash=summary.config_hash if summary else "unknown",
        detections_dropped=summary.dropped if summary else {},
        images_failed=summary.images_failed if summary else 0,
        pictures_per_second=round(speed, _SHOWN_DECIMALS),
        weather_provider=weather.provider if weather else "none",
        pipeline_version=told.pipeline_version,
    )
