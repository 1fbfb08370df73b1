"""Stage2Post: detections to observations, observations to places."""

from datetime import timedelta

import anyio.to_thread
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.labels import HUMAN
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.models.payload import Stage2Results
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.stage2.clustering import Clustering
from pipelines.wildlife.stage2.compression import Compression, Sightings, compress
from pipelines.wildlife.stage2.geojson import collection_pieces
from pipelines.wildlife.stage2.known_places import load_known_places
from pipelines.wildlife.stage2.observing import cut_timelines, observation_lines
from pipelines.wildlife.stage2.placing import Places, place_sightings
from pipelines.wildlife.stage2.reading import Pairing, read_detections
from pipelines.wildlife.states.world import Event, World, parse_payload
from pipelines.wildlife.storage.lines import write_pieces
from pipelines.wildlife.storage.protocol import Storage

log: FilteringBoundLogger = structlog.get_logger()


async def run(event: Event, world: World) -> Event:
    """Write observations and places, and add `stage2_results`.

    Raises:
        Unpaired: the files of the detection do not belong together.
        UsageError: the known places are not what they should be; each line is one mistake.
    """
    target = parse_place(parse_payload(event).output_uri)
    settings = world.settings
    known = await load_known_places(world.storage, settings.known_places_uri)
    pairing = await read_detections(world.storage, target, settings.min_confidence)

    def group() -> tuple[Sightings, Places]:
        sightings = compress(pairing.detections, _compression(settings))
        return sightings, place_sightings(sightings, known, _clustering(settings))

    sightings, places = await anyio.to_thread.run_sync(group)
    await _write(world.storage, target, sightings, places)
    results = _results(target, pairing, sightings, places)
    log.info("observations_written", **results.model_dump(mode="json"))
    return {**event, "stage2_results": results.model_dump(mode="json")}


def _compression(settings: RunSettings) -> Compression:
    return Compression(
        window=timedelta(minutes=settings.window_minutes),
        gap=settings.compression == "gap",
        min_duration=timedelta(seconds=settings.min_duration_seconds),
        without=frozenset() if settings.include_humans else frozenset({HUMAN}),
    )


def _clustering(settings: RunSettings) -> Clustering:
    return Clustering(radius_meters=settings.radius_meters, min_points=settings.min_points)


async def _write(storage: Storage, target: Place, sightings: Sightings, places: Places) -> None:
    """Write places first: who sees the observations can rely on all of it."""
    pieces = collection_pieces(places.seen(sightings), places.overlaps)
    await write_pieces(storage, target.join(layout.PLACES), pieces, kind=Kind.RESULT)
    lines = observation_lines(sightings, places)
    await write_pieces(storage, target.join(layout.OBSERVATIONS), lines, kind=Kind.MANIFEST)


def _results(
    target: Place, pairing: Pairing, sightings: Sightings, places: Places
) -> Stage2Results:
    return Stage2Results(
        output_uri=target.join("stage2/"),
        observations_uri=target.join(layout.OBSERVATIONS),
        observations_processed=pairing.read,
        observations_created=len(sightings),
        clusters_created=len(places.clusters),
        species_detected=len(sightings.species()),
        humans_excluded=sightings.left_out,
        low_confidence=pairing.low_confidence,
        short_videos=sightings.too_short,
        timelines_cut=cut_timelines(sightings),
        overlaps=len(places.overlaps),
    )
