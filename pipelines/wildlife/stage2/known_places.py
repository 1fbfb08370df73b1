"""Reading known_clusters.json: places that have names already."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from pipelines.wildlife.errors import in_lines
from pipelines.wildlife.models.moments import Latitude, Longitude
from pipelines.wildlife.stage2.clustering import KnownPlace
from pipelines.wildlife.storage.protocol import Missing, Storage, Unusable
from shared.errors import UsageError

_BYTES_MAX = 16 * 1024 * 1024
_SHOWN = 200
_Text: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownClusterEntry:
    """One entry of known_clusters.json."""

    cluster_id: _Text
    name: _Text
    center_latitude: Latitude
    center_longitude: Longitude
    radius_meters: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


_FORM = TypeAdapter(list[KnownClusterEntry])


async def load_known_places(storage: Storage, uri: str) -> Sequence[KnownPlace]:
    """Return the known places, none for an empty URI; UsageError with all mistakes, one a line."""
    if not uri:
        return []
    try:
        body = await storage.read(uri, length=_BYTES_MAX + 1)
    except (Missing, Unusable, ValueError) as error:
        raise UsageError(f"known_places_uri: {error}; give a file, or leave it empty") from error
    if len(body) > _BYTES_MAX:
        raise UsageError(f"{uri!r} has more than {_BYTES_MAX} bytes; known places need far less")
    return parse_known_places(body, uri)


def parse_known_places(body: bytes, name: str) -> Sequence[KnownPlace]:
    """Return the places that a file lists; UsageError with all mistakes, one a line."""
    try:
        entries = _FORM.validate_json(body)
    except ValidationError as error:
        raise UsageError(in_lines([f"{name!r} {said}" for said in _mistakes(error)])) from error
    often = [each for each, times in Counter(e.cluster_id for e in entries).items() if times > 1]
    if often:
        raise UsageError(in_lines([f"{name!r} lists {each!r} twice; keep one" for each in often]))
    return [
        KnownPlace(
            cluster_id=entry.cluster_id,
            name=entry.name,
            center=(entry.center_latitude, entry.center_longitude),
            radius_meters=entry.radius_meters,
        )
        for entry in entries
    ]


def _mistakes(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False, include_context=False):
        said = each["msg"][:1].lower() + each["msg"][1:_SHOWN]
        where, value = each["loc"], repr(each["input"])[:_SHOWN]
        if not where:
            yield f"is no list of places: {said}"
        elif each["type"] == "missing":
            yield f"entry {int(where[0]) + 1} has no {where[-1]!r}"
        else:
            name = ".".join(map(str, where[1:])) or "itself"
            yield f"entry {int(where[0]) + 1}: {name} = {value}: {said}"
