"""What report and page need besides the rows, read from storage. Small things, each bounded."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import anyio
import anyio.to_thread
import structlog
from pydantic import TypeAdapter
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.models.detections import DetectionSummary
from pipelines.wildlife.storage.lines import read_batches
from pipelines.wildlife.storage.protocol import Missing, Storage, Unusable
from shared.s3.errors import ObjectError

_SUMMARY = TypeAdapter(DetectionSummary)
_PLACES_BYTES_MAX = 16 * 1024 * 1024
_AT_ONCE = 8

log: FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Zoned:
    """What is wanted of a picture's line."""

    timezone: str


async def read_summary(storage: Storage, uri: str) -> DetectionSummary | None:
    """Return what the detection said of itself, None where it said nothing."""
    try:
        return _SUMMARY.validate_json(await storage.read(uri))
    except Missing:
        return None


async def read_places(storage: Storage, uri: str) -> Mapping[str, Any]:
    """Return the GeoJSON of the places; `{}` where there is none, or more than can be drawn."""
    try:
        body = await storage.read(uri, length=_PLACES_BYTES_MAX + 1)
    except Missing:
        return {}
    if len(body) > _PLACES_BYTES_MAX:
        return {}
    places = await anyio.to_thread.run_sync(json.loads, body)
    return places if isinstance(places, dict) else {}


async def read_zone(storage: Storage, uri: str) -> tzinfo:
    """Return the time zone of most pictures, by whose hours sightings are shown; UTC if none is."""
    names: Counter[str] = Counter()
    try:
        async for batch in read_batches(storage, uri, _Zoned):
            names.update(line.timezone for line in batch)
    except Missing:
        return UTC
    for name in sorted(names, key=lambda name: (-names[name], name)):
        zone = _zone(name)
        if zone is not None:
            return zone
    return UTC


def _zone(name: str) -> tzinfo | None:
    """Return the zone of a name; None for an offset that a picture brought along, or nonsense."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


async def read_crops(
    storage: Storage, uris: Iterable[str], *, below: str, bytes_max: int
) -> Mapping[str, bytes]:
    """Return those crops below the run's own output that can be had and are no larger than that.

    The page does without a crop that cannot be read.
    """
    found: dict[str, bytes] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def read(uri: str) -> None:
        async with limiter:
            try:
                body = await storage.read(uri, length=bytes_max + 1)
            except (Missing, ObjectError, Unusable) as error:
                log.warning("crop_unread", uri=uri, error=str(error))
                return
        if len(body) <= bytes_max:
            found[uri] = body

    async with anyio.create_task_group() as tasks:
        for uri in uris:
            if uri.startswith(below):
                tasks.start_soon(read, uri)
    return found
