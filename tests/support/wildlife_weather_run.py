"""A run that has come to its weather: its observations, the state, and what it wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.models.observations import ObservationLine
from pipelines.wildlife.models.weather import WeatherLine
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states import weather_enrichment
from pipelines.wildlife.states.world import World
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.lines import read_records, write_records
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from tests.support.wildlife_weather import AT_ONCE, FakeStation, WeatherWeb

NOW = datetime(2025, 6, 11, 12, 20, tzinfo=UTC)
PLACE = parse_place("s3://bucket/out/run/")
OBSERVATIONS = PLACE.join("stage2/observations.jsonl")
HOUR = timedelta(hours=1)
NORWAY = FakeStation("SN18700", 59.95, 10.72)
SWEDEN = FakeStation("98230", 59.94, 10.72)


def seen(
    start: datetime,
    species: str = "moose",
    latitude: float | None = 59.94239,
    longitude: float = 10.72,
) -> ObservationLine:
    """Return an observation of one picture, near both stations."""
    return ObservationLine(
        observation_id=f"obs-{species}-{start:%Y%m%dT%H%M}-{latitude}",
        camera_id="cam01",
        species=species,
        start_time=start,
        end_time=start,
        duration_seconds=0.0,
        max_confidence=0.9,
        avg_confidence=0.9,
        frame_count=1,
        individual_count=1,
        source_video=None,
        needs_review=False,
        latitude=latitude,
        longitude=longitude if latitude is not None else None,
    )


@dataclass(slots=True)
class WeatherRun:
    """A run that has come to its weather."""

    web: WeatherWeb
    days_back: int = 7
    storage: BucketStorage = field(
        default_factory=lambda: BucketStorage(MemoryStore(MemoryBuckets("bucket")))
    )
    seconds_left: float = float("inf")
    now: datetime = NOW
    progress: list[tuple[int, int]] = field(default_factory=list)

    async def weather(
        self, settings: RunSettings, observations: Sequence[ObservationLine]
    ) -> Mapping[str, Any]:
        """Return what the state adds to the event."""
        form = TypeAdapter(ObservationLine)
        await write_records(self.storage, OBSERVATIONS, form, observations)
        world = World(
            storage=self.storage,
            settings=settings,
            now=lambda: self.now,
            seconds_left=lambda: self.seconds_left,
            progress=lambda done, total: self.progress.append((done, total)),
        )
        event = {**weather_event(len(observations)), "weather_days_back": self.days_back}
        told = await weather_enrichment.run(event, world, manner=AT_ONCE)
        assert {**told, **event} == told
        results: Mapping[str, Any] = told["weather_results"]
        return results

    async def lines(self) -> list[WeatherLine]:
        """Return what was written."""
        uri = PLACE.join("weather/observations_weather.jsonl")
        form = TypeAdapter(WeatherLine)
        return [each async for each in read_records(self.storage, uri, form)]

    async def statuses(self) -> list[str]:
        """Return the statuses of all rows, in their order."""
        return [str(each.weather_status) for each in await self.lines()]


def weather_event(observations: int) -> dict[str, object]:
    """Return what the states before have said."""
    return {
        "input_uri": "s3://bucket/raw/cam01/",
        "output_uri": str(PLACE),
        "budget_dkk": 25,
        "use_spot": True,
        "max_images": 10,
        "max_job_duration": 3600,
        "weather_days_back": 7,
        "session_id": "run-abc",
        "price_book": "reference",
        "started_at": NOW.isoformat(),
        "images_found": 10,
        "estimated_images": 10,
        "seconds_per_image": 0.7,
        "compute_mode": "hybrid",
        "max_runtime_min": 60,
        "estimated_cost_dkk": 0.1,
        "estimated_total_dkk": 0.1,
        "cost_breakdown": {},
        "worst_case_dkk": 0.1,
        "budget_remaining_dkk": 24.9,
        "stage0_output_uri": PLACE.join("stage0/manifest.jsonl"),
        "intermediate_uri": PLACE.join("stage1/"),
        "weather_uri": PLACE.join("weather/"),
        "job_queue": "local",
        "batch_state_timeout_s": 9000,
        "stage2_results": {
            "output_uri": PLACE.join("stage2/"),
            "observations_uri": OBSERVATIONS,
            "observations_processed": observations,
            "observations_created": observations,
            "clusters_created": 1,
            "species_detected": 1,
        },
    }
