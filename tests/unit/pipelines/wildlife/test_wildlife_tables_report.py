"""The figures of the report, to the last decimal."""

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest

from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.models.detections import DetectionSummary
from pipelines.wildlife.models.payload import Payload
from pipelines.wildlife.models.report import RunReport, RunStatus
from pipelines.wildlife.models.tables import ObservationRow
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.report.compose import Told, compose_report, hit_rate, human_runtime
from pipelines.wildlife.report.tally import RowTally
from tests.support.wildlife_run import STARTED, make_event
from tests.support.wildlife_sightings import START, make_row

_SUMMARY = DetectionSummary(
    detector="yolo",
    stage1_model="tiny:0123456789abcdef",
    config_hash="0123456789abcdef",
    images=4,
    images_failed=1,
    detections=9,
    dropped={"area": 2, "confidence": 3},
    humans=1,
    seconds=8.0,
)
_TARGET = parse_place("s3://bucket/out/")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0s"),
        (12.34, "12.3s"),
        (59.94, "59.9s"),
        (60.0, "1.0m"),
        (270.0, "4.5m"),
        (3599.0, "60.0m"),
        (3600.0, "1.0h"),
        (4320.0, "1.2h"),
    ],
)
def test_a_runtime_is_told_in_its_own_unit(seconds: float, shown: str) -> None:
    """People compare runs by this text."""
    assert human_runtime(seconds) == shown


@pytest.mark.parametrize(
    ("hits", "calls", "rate"), [(0, 0, 0.0), (4, 2, 0.667), (0, 5, 0.0), (5, 0, 1.0), (1, 7, 0.125)]
)
def test_the_hit_rate_is_of_hits_and_calls(hits: int, calls: int, rate: float) -> None:
    """Divided by the calls alone it would exceed 1."""
    assert hit_rate(hits, calls) == rate


def test_a_species_has_the_plain_mean_of_its_sightings() -> None:
    """Halving at each step would make a single 0.9 into 0.45."""
    single = _report([make_row(species="fox", avg_confidence=0.9, max_confidence=0.95)])
    rows = [
        make_row(n, species="boar", avg_confidence=each, max_confidence=each, duration_seconds=1.1)
        for n, each in enumerate((0.9, 0.6, 0.6))
    ]
    several = _report(rows)

    fox = single.observations.species_summary["fox"]
    boar = several.observations.species_summary["boar"]
    assert (fox.count, fox.avg_confidence, fox.max_confidence) == (1, 0.9, 0.95)
    assert (boar.count, boar.avg_confidence, boar.max_confidence) == (3, 0.7, 0.9)
    assert boar.total_duration == 3.3


def test_money_has_four_decimals_and_time_two() -> None:
    """The figures of the guard come by as they were, rounded once."""
    report = _report([], seconds=187.456)

    costs = report.execution_summary
    assert costs.estimated_total_dkk == 0.1429
    assert costs.cost_breakdown == {"compute_dkk": 0.08, "storage_dkk": 0.0469}
    assert (costs.price_book, costs.usd_to_dkk) == ("reference", 7.0)
    assert (costs.actual_runtime_seconds, costs.actual_runtime_human) == (187.46, "3.1m")
    assert costs.cost_efficiency_dkk_per_second == 0.0008
    assert report.additional_metrics.worst_case_dkk == 0.7669


def test_a_run_that_took_no_time_has_no_cost_a_second() -> None:
    """Nobody divides by nothing; nor does a clock that went back make a negative time."""
    for seconds in (0.0, -5.0):
        costs = _report([], seconds=seconds).execution_summary
        assert costs.cost_efficiency_dkk_per_second == 0.0
        assert (costs.actual_runtime_seconds, costs.actual_runtime_human) == (0.0, "0.0s")


def test_a_run_without_sightings_has_a_report() -> None:
    """An empty card is a result."""
    report = _report([])

    found = report.observations
    assert (found.total_observations, found.time_range, found.species_summary) == (0, None, {})
    assert found.compression_stats.detections_per_observation == 0.0
    assert report.top3_stands == []


def test_sightings_are_counted_by_camera_place_time_and_medium() -> None:
    """Each row counts once in each of them."""
    rows = [
        make_row(1, species="fox", weather_status=WeatherStatus.OK, needs_review=True),
        make_row(2, camera_id="cam02", end_time=START + timedelta(hours=3)),
        make_row(3, camera_id="cam02", species="boar", source_video="v.mp4", individual_count=4),
    ]

    report = _report(rows)

    found = report.observations
    assert {name: (each.count, each.species) for name, each in found.camera_summary.items()} == {
        "cam01": (1, ["fox"]),
        "cam02": (2, ["boar", "roe_deer"]),
    }
    assert found.time_range is not None
    assert (found.time_range.start, found.time_range.duration_hours) == (START, 3.0)
    assert (found.video_observations, found.image_observations) == (1, 2)
    assert found.compression_stats.detections_per_observation == 3.0
    assert report.weather_statistics.by_status == {"no_data": 2, "ok": 1}
    assert (report.additional_metrics.needs_review, report.additional_metrics.individuals) == (1, 6)


def test_the_best_stands_are_three_places_and_ties_go_by_id() -> None:
    """A camera stands in where there is no position, and two runs name the same three."""
    placed = {"latitude": 60.0, "longitude": 13.0, "cluster_name": "Salt lick"}
    rows = [make_row(n, cluster_id="clu-b", **placed) for n in range(2)]
    rows += [make_row(2, cluster_id="clu-b", **placed | {"latitude": 60.3, "species": "boar"})]
    rows += [make_row(3 + n, camera_id="cam09") for n in range(2)]
    rows += [make_row(5 + n, cluster_id="clu-a", **placed) for n in range(2)]
    rows += [make_row(7, camera_id="cam08")]

    stands = _report(rows).top3_stands

    assert [(each.stand_id, each.observation_count) for each in stands] == [
        ("clu-b", 3),
        ("cam09", 2),
        ("clu-a", 2),
    ]
    assert (stands[0].name, stands[0].species) == ("Salt lick", ["boar", "roe_deer"])
    assert stands[0].latitude == pytest.approx(60.1)
    assert (stands[1].name, stands[1].latitude) == ("cam09", None)


def test_stages_have_what_they_took_and_counted() -> None:
    """The detection tells its own time; what nobody measured is null, not nothing."""
    stages = _report([make_row()]).stages

    assert list(stages) == [
        *("GuardBudget", "Stage0Exif", "CostEstimation", "SubmitBatchStage1"),
        *("Stage2Post", "WeatherEnrichment", "WriteParquet"),
    ]
    assert (stages["GuardBudget"].seconds, stages["Stage0Exif"].seconds) == (0.5, None)
    detection = stages["SubmitBatchStage1"]
    assert detection.seconds == 8.0
    assert (detection.counts["images"], detection.counts["dropped"]) == (4, 5)
    assert stages["CostEstimation"].counts == {}
    assert stages["WriteParquet"].counts == {"rows": 1, "files_created": 2}


def test_a_run_whose_weather_failed_is_partial_and_says_why() -> None:
    """Nulls without a word would look like a station that never measures."""
    caught = {"Error": "States.Timeout", "Cause": "300 seconds"}
    row = make_row(weather_status=WeatherStatus.NOT_RUN)

    report = _report([row], weather_results=None, weather_error=caught)

    assert report.status is RunStatus.PARTIAL
    assert report.warnings[-1] == "weather_failed: States.Timeout"
    caught = {"Error": "UsageError", "Cause": '{"errorMessage": "no file\\nno contact"}'}
    mistaken = _report([row], weather_results=None, weather_error=caught)
    assert mistaken.warnings[-1] == "weather_failed: UsageError: no file"
    assert report.weather_statistics.by_status == {"not_run": 1}
    assert report.additional_metrics.weather_provider == "none"


def test_images_and_people_are_counted_as_the_states_said() -> None:
    """Found is used and skipped; errors are among the used."""
    report = _report([])

    images = report.images
    assert (images.found, images.used, images.skipped, images.errors) == (5, 2, 3, 1)
    assert report.humans_excluded == 6
    assert report.additional_metrics.pictures_per_second == 0.5
    assert report.additional_metrics.detections_dropped == {"area": 2, "confidence": 3}


def test_a_detection_that_left_no_summary_is_unknown() -> None:
    """The report of a run by a foreign detector is a report all the same."""
    report = _report([], summary=None)

    assert report.additional_metrics.detector == "unknown"
    assert report.stages["SubmitBatchStage1"].counts == {}


def test_the_order_of_rows_changes_no_count() -> None:
    """What the table sorts, the report does not depend on."""
    rows = [
        make_row(
            n,
            species=("fox", "boar")[n % 2],
            camera_id=f"cam{n % 3}",
            start_time=START + timedelta(hours=n),
            end_time=START + timedelta(hours=24 - n),
        )
        for n in range(12)
    ]
    shuffled = random.Random(5).sample(rows, len(rows))  # noqa: S311 - any order

    report = _report(rows)

    assert report == _report(shuffled)
    assert report.observations.time_range is not None
    assert report.observations.time_range.duration_hours == 24.0


def _report(
    rows: Sequence[ObservationRow],
    *,
    seconds: float = 60.0,
    summary: DetectionSummary | None = _SUMMARY,
    **changed: object,
) -> RunReport:
    tally = RowTally()
    for row in rows:
        tally.add(row)
    now = STARTED + timedelta(seconds=seconds)
    return compose_report(
        Told(
            payload=Payload.model_validate(make_event(_TARGET, **changed)),
            prices=BOOKS["reference"],
            summary=summary,
            rows=tally,
            files_created=2,
            began_at=now,
            now=now,
            pipeline_version="1.0",
        )
    )
