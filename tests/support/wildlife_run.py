"""What the states before WriteParquet leave behind, as small as a test wants it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.models.detections import DetectionLine, DetectionSummary, PredictionLine
from pipelines.wildlife.models.observations import ObservationLine, TimelineEntry
from pipelines.wildlife.models.pictures import PictureLine
from pipelines.wildlife.models.report import RunReport
from pipelines.wildlife.models.weather import WeatherLine, WeatherStatus
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states import write_parquet
from pipelines.wildlife.states.world import World
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.lines import write_records
from pipelines.wildlife.storage.protocol import Storage
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets

Line = TypeVar("Line")

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
OUTPUT = parse_place("s3://bucket/out/")
STARTED = datetime(2026, 6, 3, 8, tzinfo=UTC)


def make_observation(number: int, **changed: Any) -> ObservationLine:
    """Return the sighting of a fox at noon, or what it is changed to."""
    fields: dict[str, Any] = {
        "observation_id": f"obs-{number:016x}",
        "camera_id": "cam01",
        "species": "fox",
        "start_time": NOON,
        "end_time": NOON,
        "duration_seconds": 0.0,
        "max_confidence": 0.9,
        "avg_confidence": 0.9,
        "frame_count": 1,
        "individual_count": 1,
        "source_video": None,
        "needs_review": False,
        "latitude": None,
        "longitude": None,
    }
    return ObservationLine(**fields | changed)


def make_member(crop: str | None = None, **changed: Any) -> TimelineEntry:
    """Return a member of a sighting."""
    fields: dict[str, Any] = {"timestamp": NOON, "confidence": 0.9, "frame_number": None}
    return TimelineEntry(**fields | {"crop_path": crop} | changed)


def make_weather(number: int, **changed: Any) -> WeatherLine:
    """Return the weather of a sighting."""
    fields: dict[str, Any] = {"weather_status": WeatherStatus.OK, "weather_temp_c": -1.5}
    return WeatherLine(observation_id=f"obs-{number:016x}", **fields | changed)


def make_picture(number: int, **changed: Any) -> PictureLine:
    """Return a picture whose clock was an hour fast."""
    fields: dict[str, Any] = {
        "event_id": f"evt-{number:016x}",
        "session_id": "run-test",
        "camera_id": "cam01",
        "image_uri": f"s3://bucket/raw/cam01/{number:04}.jpg",
        "etag": "e",
        "file_size_bytes": 1000,
        "image_width": 640,
        "image_height": 480,
        "image_format": "JPEG",
        "timestamp_original": NOON + timedelta(hours=1),
        "timestamp_corrected": NOON,
        "timestamp_utc": NOON,
        "timestamp_source": "exif_original",
        "timezone": "Europe/Stockholm",
        "offset_seconds_applied": -3600.0,
    }
    return PictureLine(**fields | changed)


def make_detection(number: int, event: int, **changed: Any) -> DetectionLine:
    """Return a detection in a picture."""
    fields: dict[str, Any] = {
        "detection_id": f"det-{number:016x}",
        "event_id": f"evt-{event:016x}",
        "source_path": f"s3://bucket/raw/cam01/{event:04}.jpg",
        "crop_path": None,
        "camera_id": "cam01",
        "timestamp": NOON,
        "bbox": (10.0, 20.0, 110.0, 220.0),
        "det_score": 0.9,
        "raw_label": "fox",
        "stage1_model": "tiny:0123456789abcdef",
        "config_hash": "0123456789abcdef",
        "latitude": None,
        "longitude": None,
        "image_width": 640,
        "image_height": 480,
        "doubtful": False,
    }
    return DetectionLine(**fields | changed)


def make_prediction(number: int, label: str = "fox") -> PredictionLine:
    """Return what a detection was called."""
    return PredictionLine(
        detection_id=f"det-{number:016x}",
        crop_path=None,
        label=label,
        confidence=0.8,
        auto_ok=True,
        stage2_model="none",
        stage1_model="tiny:0123456789abcdef",
        config_hash="0123456789abcdef",
    )


@dataclass
class LeftBehind:
    """The manifests of a run; what is None is not written."""

    observations: Sequence[ObservationLine] = ()
    weather: Sequence[WeatherLine] | None = None
    pictures: Sequence[PictureLine] = ()
    detections: Sequence[DetectionLine] = ()
    predictions: Sequence[PredictionLine] = ()
    summary: DetectionSummary | None = None
    crops: dict[str, bytes] = field(default_factory=dict)

    async def put(self, storage: Storage, target: Place) -> None:
        """Write the manifests below an output."""
        await _put(storage, target.join(layout.OBSERVATIONS), ObservationLine, self.observations)
        await _put(storage, target.join(layout.PICTURES), PictureLine, self.pictures)
        await _put(storage, target.join(layout.DETECTIONS), DetectionLine, self.detections)
        await _put(storage, target.join(layout.PREDICTIONS), PredictionLine, self.predictions)
        if self.weather is not None:
            await _put(storage, target.join(layout.WEATHER), WeatherLine, self.weather)
        if self.summary is not None:
            body = TypeAdapter(DetectionSummary).dump_json(self.summary)
            kind = layout.Kind.MANIFEST
            await storage.write(target.join(layout.DETECTION_SUMMARY), body, kind=kind)
        for name, body in self.crops.items():
            await storage.write(target.join(name), body, kind=layout.Kind.CROP)


def make_event(target: Place, **changed: Any) -> dict[str, Any]:
    """Return the payload that WriteParquet gets: two pictures of one camera, weather and all."""
    output = str(target)
    return {
        "input_uri": "s3://bucket/raw/",
        "output_uri": output,
        "budget_dkk": 25.0,
        "use_spot": True,
        "max_images": 2,
        "max_job_duration": 3600,
        "weather_days_back": 7,
        "session_id": "run-test",
        "price_book": "reference",
        "started_at": STARTED.isoformat(),
        "images_found": 5,
        "estimated_images": 2,
        "seconds_per_image": 0.8,
        "compute_mode": "hybrid",
        "max_runtime_min": 60,
        "estimated_cost_dkk": 0.096,
        "estimated_total_dkk": 0.142875,
        "cost_breakdown": {"compute_dkk": 0.08, "storage_dkk": 0.046875},
        "worst_case_dkk": 0.76687512,
        "budget_remaining_dkk": 24.857125,
        "stage0_output_uri": f"{output}stage0/",
        "intermediate_uri": f"{output}stage1/",
        "weather_uri": f"{output}weather/",
        "job_queue": "local",
        "batch_state_timeout_s": 9000,
        "warnings": ["estimated_duration_exceeds_max_job_duration"],
        "stage_seconds": {"GuardBudget": 0.5, "WeatherEnrichment": 2.25},
        "stage0_results": {
            "output_uri": f"{output}stage0/",
            "processed_images": 1,
            "exif_errors": 1,
            "time_corrections": 1,
            "images_skipped": 3,
            "cameras": 1,
        },
        "stage2_results": {
            "output_uri": f"{output}stage2/",
            "observations_uri": f"{output}stage2/observations.jsonl",
            "observations_processed": 9,
            "observations_created": 4,
            "clusters_created": 1,
            "species_detected": 2,
            "humans_excluded": 6,
        },
        "weather_results": {
            "weather_uri": f"{output}weather/",
            "observations_enriched": 3,
            "weather_observations": 4,
            "days_back": 7,
            "provider": "smhi",
            "weather_calls": 2,
            "cache_hits": 4,
            "by_status": {"ok": 3, "no_data": 1},
            "attribution": ["Weather: SMHI, CC BY 4.0."],
        },
    } | changed


@dataclass
class Ground:
    """A bucket with what a run left in it."""

    left: LeftBehind
    store: MemoryStore = field(default_factory=lambda: MemoryStore(MemoryBuckets("bucket")))
    told: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = BucketStorage(self.store)

    async def write(
        self, *, settings: RunSettings | None = None, now: datetime = STARTED, **changed: Any
    ) -> Mapping[str, Any]:
        """Run the state, and return what it gives back."""
        await self.left.put(self.storage, OUTPUT)
        world = World(
            storage=self.storage,
            settings=settings or RunSettings(),
            now=lambda: now,
            progress=lambda done, total: self.told.append((done, total)),
        )
        return await write_parquet.run(make_event(OUTPUT, **changed), world)

    async def body(self, name: str) -> bytes:
        """Return what lies below the output."""
        return await self.storage.read(OUTPUT.join(name))

    async def table(self, name: str = layout.CLUSTERS_TABLE) -> pa.Table:
        """Return a table."""
        return pq.read_table(BytesIO(await self.body(name)))

    async def report(self) -> RunReport:
        """Return the JSON report."""
        return RunReport.model_validate_json(await self.body(layout.REPORT))


async def _put(storage: Storage, uri: str, form: type[Line], lines: Sequence[Line]) -> None:
    await write_records(storage, uri, TypeAdapter(form), lines)
