"""Stage2Post as the state machine runs it, on a bucket in memory and in a folder."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.models.observations import ObservationLine
from pipelines.wildlife.models.payload import Payload, Stage2Results
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states.running import run_state
from pipelines.wildlife.states.world import World
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.storage.lines import read_records
from pipelines.wildlife.storage.protocol import Storage
from shared.errors import UsageError
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri
from tests.support.wildlife_seen import NOON, Seen, guarded_event, write_seen

_TARGET = parse_place("s3://forest/out/")
_LINE = TypeAdapter(ObservationLine)
_SEASON = [
    *(Seen(at=n * 200.0, where=(59.0, 18.0)) for n in range(8)),
    *(Seen(at=n * 40.0, camera="cam02", species="fox", where=None, sure=0.6) for n in range(3)),
    Seen(at=30.0, species="human", crop=None),
    Seen(at=90.0, camera="cam02", species="boar", sure=0.3),
]


@pytest.fixture
def store() -> MemoryStore:
    """An empty bucket."""
    return MemoryStore(MemoryBuckets("forest"))


async def _run(
    storage: Storage, seen: Sequence[Seen], *, target: Place = _TARGET, **chosen: Any
) -> Mapping[str, Any]:
    await write_seen(storage, target, seen, seen)
    world = World(storage=storage, settings=RunSettings(**chosen), local=True)
    return await run_state("Stage2Post", guarded_event(target), world)


async def _observations(storage: Storage, target: Place = _TARGET) -> list[ObservationLine]:
    uri = target.join(layout.OBSERVATIONS)
    return [line async for line in read_records(storage, uri, _LINE)]


@pytest.mark.asyncio
async def test_the_payload_grows_by_its_results(store: MemoryStore) -> None:
    """Nothing that earlier states said is lost, and the counts are those of the files."""
    event = await _run(BucketStorage(store), _SEASON)

    assert guarded_event(_TARGET).items() <= event.items()
    assert Payload.model_validate(event).stage2_results == Stage2Results(
        output_uri="s3://forest/out/stage2/",
        observations_uri="s3://forest/out/stage2/observations.jsonl",
        observations_processed=13,
        observations_created=3,
        clusters_created=1,
        species_detected=2,
        humans_excluded=1,
        low_confidence=1,
    )


@pytest.mark.asyncio
async def test_observations_are_written_in_the_tables_order(store: MemoryStore) -> None:
    """By start, camera and species; each with its place where it has one."""
    storage = BucketStorage(store)
    await _run(storage, _SEASON)

    lines = await _observations(storage)

    assert [(line.start_time - NOON, line.camera_id, line.cluster_name) for line in lines] == [
        (timedelta(0), "cam01", "Unknown_Cluster_1"),
        (timedelta(0), "cam02", None),
        (timedelta(seconds=800), "cam01", "Unknown_Cluster_1"),
    ]


@pytest.mark.asyncio
async def test_the_same_detections_give_the_same_bytes(store: MemoryStore, tmp_path: Path) -> None:
    """In a bucket or a folder, in any order, and when the state is run again."""
    bucket, folder = BucketStorage(store), FolderStorage()
    target = parse_place(f"file://{tmp_path}/out/")

    await _run(bucket, _SEASON)
    first = [await bucket.read(_TARGET.join(name)) for name in (layout.OBSERVATIONS, layout.PLACES)]
    await _run(folder, _SEASON[::-1], target=target)
    other = [await folder.read(target.join(name)) for name in (layout.OBSERVATIONS, layout.PLACES)]
    await _run(bucket, _SEASON[::-1])
    again = [await bucket.read(_TARGET.join(name)) for name in (layout.OBSERVATIONS, layout.PLACES)]

    assert first == other == again


@pytest.mark.asyncio
async def test_nothing_detected_is_a_result(store: MemoryStore) -> None:
    """Most pictures are empty, and so may be all of them."""
    storage = BucketStorage(store)

    event = await _run(storage, [])

    assert event["stage2_results"]["observations_created"] == 0
    assert await storage.read(_TARGET.join(layout.OBSERVATIONS)) == b""
    assert json.loads(await storage.read(_TARGET.join(layout.PLACES)))["features"] == []


@pytest.mark.asyncio
async def test_settings_change_what_a_sighting_is(store: MemoryStore) -> None:
    """A gap instead of a window, people where they are wanted, less confidence."""
    event = await _run(
        BucketStorage(store), _SEASON, compression="gap", include_humans=True, min_confidence=0.2
    )

    results = event["stage2_results"]
    assert (results["observations_created"], results["species_detected"]) == (4, 4)
    assert (results["humans_excluded"], results["low_confidence"]) == (0, 0)


@pytest.mark.asyncio
async def test_known_places_give_their_names(store: MemoryStore) -> None:
    """The owner's own names stand in the table."""
    storage = BucketStorage(store)
    places = [
        {
            "cluster_id": "hide-1",
            "name": "Tårnet",
            "center_latitude": 59.0001,
            "center_longitude": 18.0,
            "radius_meters": 20,
        }
    ]
    uri = "s3://forest/known_clusters.json"
    await storage.write(uri, json.dumps(places).encode(), kind=Kind.MANIFEST)

    await _run(storage, _SEASON, known_places_uri=uri)

    names = {line.cluster_name for line in await _observations(storage)}
    assert names == {"Tårnet", None}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        pytest.param("s3://forest/nothing.json", "is not there", id="missing"),
        pytest.param("file:///etc/hostname", "is no object", id="out of reach"),
        pytest.param("known.json", "neither", id="no URI"),
    ],
)
async def test_known_places_that_cannot_be_read_are_named(
    store: MemoryStore, uri: str, said: str
) -> None:
    """A typing error must not silently rename every place."""
    with pytest.raises(UsageError, match=said):
        await _run(BucketStorage(store), _SEASON, known_places_uri=uri)


@pytest.mark.asyncio
async def test_results_are_kept_and_manifests_are_manifests(store: MemoryStore) -> None:
    """Lifecycle rules go by the tags."""
    await _run(BucketStorage(store), _SEASON)

    for name, kind in ((layout.OBSERVATIONS, "manifest"), (layout.PLACES, "result")):
        assert (await store.tags(S3Uri("forest", f"out/{name}")))["kind"] == kind
