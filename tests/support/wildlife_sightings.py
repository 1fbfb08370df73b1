"""For tests of the wildlife report: the sightings of a fortnight in a forest, and their report."""

import io
import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image, ImageDraw

from pipelines.wildlife.models.observations import TimelineEntry
from pipelines.wildlife.models.report import RunReport
from pipelines.wildlife.models.tables import ObservationRow
from pipelines.wildlife.models.weather import WeatherStatus

START = datetime(2026, 10, 3, tzinfo=UTC)
_DAYS = 14
_PLACES = (
    ("cam01", "Beaver dam", 59.9412, 13.4021),
    ("cam02", "Salt lick", 59.9467, 13.4178),
    ("cam03", "Old logging road", 59.9361, 13.4263),
    ("cam03", "Clearing", 59.9388, 13.4306),
    ("cam04", "Unknown_Cluster_1", 59.9503, 13.3902),
)
_HABITS: tuple[tuple[str, int, tuple[float, ...], float], ...] = (
    ("roe_deer", 118, (5.5, 17.5), 0.86),
    ("boar", 74, (22.0, 2.5), 0.78),
    ("moose", 41, (6.5, 18.5), 0.91),
    ("fox", 37, (21.0, 4.0), 0.74),
    ("badger", 22, (23.0,), 0.71),
    ("hare", 19, (20.0, 5.0), 0.66),
    ("raven", 11, (11.0,), 0.69),
    ("lynx", 3, (3.5,), 0.83),
    ("unknown", 9, (1.0, 13.0), 0.58),
)
_CONDITIONS = ("clear", "partly_cloudy", "cloudy", "cloudy", "rain")
_POINTS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def make_row(number: int = 0, **changed: Any) -> ObservationRow:
    """Return a sighting without weather."""
    fields: dict[str, Any] = dict.fromkeys(ObservationRow.__dataclass_fields__)
    fields |= {
        "observation_id": f"obs-{number:016x}",
        "session_id": "run-test",
        "camera_id": "cam01",
        "species": "roe_deer",
        "start_time": START,
        "end_time": START,
        "duration_seconds": 0.0,
        "max_confidence": 0.9,
        "avg_confidence": 0.8,
        "frame_count": 1,
        "individual_count": 1,
        "needs_review": False,
        "weather_status": WeatherStatus.NO_DATA,
    }
    return ObservationRow(**fields | changed)


def make_sightings(seed: int = 7) -> Iterator[tuple[ObservationRow, Sequence[TimelineEntry]]]:
    """Yield a fortnight's sightings with their timelines, the same each time."""
    chance = random.Random(seed)  # noqa: S311 - made-up animals
    number = 0
    for species, many, hours, confidence in _HABITS:
        for _ in range(many):
            number += 1
            yield _sighting(number, species, chance.choice(hours), confidence, chance)


def _sighting(
    number: int, species: str, hour: float, confidence: float, chance: random.Random
) -> tuple[ObservationRow, Sequence[TimelineEntry]]:
    camera, name, latitude, longitude = chance.choices(_PLACES, (5, 8, 4, 2, 1))[0]
    local = chance.gauss(hour, 1.4) % 24 - 2
    start = START + timedelta(days=chance.randrange(_DAYS), hours=local, minutes=chance.random())
    end = start + timedelta(seconds=chance.randrange(0, 500))
    best = min(0.99, max(0.5, chance.gauss(confidence, 0.07)))
    placed = number % 23 != 0
    warm = 8 + 7 * math.sin((local - 9) / 24 * 2 * math.pi) + chance.gauss(-2, 2.5)
    known = chance.random() < 0.86
    row = make_row(
        number,
        camera_id=camera,
        species=species,
        start_time=start,
        end_time=end,
        duration_seconds=(end - start).total_seconds(),
        max_confidence=best,
        avg_confidence=best - 0.04,
        frame_count=chance.randrange(1, 9),
        individual_count=chance.choice((1, 1, 1, 2, 2, 3)),
        needs_review=best < 0.6,
        latitude=latitude if placed else None,
        longitude=longitude if placed else None,
        cluster_id=f"clu-{round(latitude * 10_000):012x}" if placed else None,
        cluster_name=name if placed else None,
        **(_weather(warm, chance) if known and placed else {}),
    )
    crop = f"s3://cards/out/stage1/crops/{camera}/evt-{number:016x}_0.jpg"
    entry = TimelineEntry(timestamp=start, confidence=best, frame_number=None, crop_path=crop)
    return row, (entry,)


def _weather(warm: float, chance: random.Random) -> dict[str, Any]:
    sky = chance.choice(_CONDITIONS)
    return {
        "weather_temp_c": warm,
        "weather_humidity_pc": min(100.0, max(35.0, chance.gauss(84, 9))),
        "weather_precip_mm": chance.random() * 2 if sky == "rain" else 0.0,
        "weather_wind_ms": abs(chance.gauss(3, 2)),
        "weather_wind_dir_card": chance.choices(_POINTS, (1, 1, 2, 2, 4, 7, 6, 2))[0],
        "weather_pressure_hpa": chance.gauss(1009, 6),
        "weather_condition_code": sky,
        "weather_status": WeatherStatus.OK,
    }


def make_crop(species: str, number: int) -> bytes:
    """Return a picture of an animal: a bright block before trees, by night or by day."""
    chance = random.Random(f"{species}{number}")  # noqa: S311 - made-up animals
    night = chance.random() < 0.6
    ground, trunk = ((34, 38, 44), (22, 25, 30)) if night else ((120, 132, 92), (74, 62, 48))
    picture = Image.new("RGB", (480, 360), ground)
    draw = ImageDraw.Draw(picture)
    for _ in range(9):
        x = chance.randrange(480)
        draw.rectangle((x, 0, x + chance.randrange(8, 26), 300), trunk)
    coat = (188, 188, 188) if night else (150, 96, 52)
    draw.ellipse((130, 150, 340, 250), coat)
    for x in (150, 190, 280, 318):
        draw.rectangle((x, 230, x + 12, 310), coat)
    draw.ellipse((310, 110, 380, 175), coat)
    draw.ellipse((352, 132, 360, 140), (250, 250, 220))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=90)
    return written.getvalue()


def make_report(**changed: Any) -> RunReport:
    """Return the report of a run; changes are whole parts of it."""
    states = ("GuardBudget", "Stage0Exif", "CostEstimation", "Stage2Post", "WeatherEnrichment")
    fields: dict[str, Any] = {
        "run_id": "run-1f0c9a7be254",
        "generated_at": datetime(2026, 10, 17, 9, 30, tzinfo=UTC),
        "status": "success",
        "execution_summary": {
            "estimated_cost_dkk": 0.096,
            "estimated_total_dkk": 0.142875,
            "budget_dkk": 1.0,
            "cost_breakdown": {
                "compute_dkk": 0.08,
                "lambda_dkk": 0.0078,
                "step_functions_dkk": 0.0016,
                "storage_dkk": 0.0469,
                "overhead_dkk": 0.016,
            },
            "price_book": "reference",
            "usd_to_dkk": 7.0,
            "actual_runtime_seconds": 1284.2,
            "actual_runtime_human": "21.4m",
            "cost_efficiency_dkk_per_second": 0.0001,
        },
        "stages": {
            state: {"seconds": 0.4 + 17.3 * place, "counts": {"pictures": 1200 - place}}
            for place, state in enumerate(states)
        },
        "weather_statistics": {
            "weather_calls": 61,
            "cache_hits": 211,
            "cache_hit_rate": 0.776,
            "api_calls_saved": 211,
            "by_status": {"ok": 280},
            "attribution": ["Weather: SMHI, CC BY 4.0."],
        },
        "observations": {
            "total_observations": 334,
            "species_summary": {},
            "camera_summary": {},
            "time_range": None,
            "video_observations": 0,
            "image_observations": 334,
            "compression_stats": {
                "detections": 1480,
                "observations": 334,
                "detections_per_observation": 4.43,
            },
        },
        "images": {"found": 1312, "used": 1200, "skipped": 112, "errors": 3},
        "humans_excluded": 6,
        "top3_stands": [],
        "warnings": ["estimated_duration_exceeds_max_job_duration"],
        "additional_metrics": {
            "started_at": datetime(2026, 10, 17, 9, 8, tzinfo=UTC),
            "input_uri": "s3://cards/raw/",
            "output_uri": "s3://cards/out/",
            "worst_case_dkk": 1.4869,
            "budget_remaining_dkk": 0.8571,
            "cameras": 4,
            "time_corrections": 402,
            "clusters": 5,
            "needs_review": 21,
            "individuals": 540,
            "detector": "yolo",
            "stage1_model": "northern-12:9f86d081884c7d65",
            "config_hash": "9f86d081884c7d65",
            "detections_dropped": {"confidence": 212, "area": 17},
            "images_failed": 1,
            "pictures_per_second": 2.1,
            "weather_provider": "smhi",
            "pipeline_version": "0.1.0",
        },
    }
    return RunReport.model_validate(fields | changed)
