"""What is read of an EXIF block: the main directory, and the two that it points to. Pure.

The times of a picture lie in the directory behind tag 0x8769, its position in that behind 0x8825;
both are opened by name here, as the main directory has neither.
"""

from dataclasses import dataclass

from pipelines.wildlife.stage0.exif.directory import (
    Block,
    Damage,
    Directory,
    Field,
    open_block,
    read_directory,
)
from pipelines.wildlife.stage0.exif.position import Position, decimal_degrees
from pipelines.wildlife.stage0.exif.values import fractions_of, number_of, text_of
from pipelines.wildlife.stage0.loaded import Loaded

_MAKE, _MODEL, _CHANGED = 0x010F, 0x0110, 0x0132
_EXIF, _GPS = 0x8769, 0x8825
_ORIGINAL, _DIGITIZED, _OFFSET, _SUBSEC = 0x9003, 0x9004, 0x9011, 0x9291
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE = range(1, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """A camera's notes; None for what it did not write, or wrote so that nobody can read it."""

    original: str | None = None
    """Times as they stand there, `2026:06:01 04:30:00`."""
    digitized: str | None = None
    changed: str | None = None
    offset: str | None = None
    """`+02:00`, of the original time."""
    subsec: str | None = None
    make: str | None = None
    model: str | None = None
    position: Position | None = None
    bad_position: bool = False
    """Something is written of a position that is none."""
    damaged: bool = False
    """Something in the block is not where or what it must be."""


def read_notes(source: Loaded, start: int, end: int) -> Notes:
    """Read what there is between two bytes; damage costs only what lies in it."""
    try:
        block, first = open_block(source, start, end)
        main = read_directory(block, first, {_MAKE, _MODEL, _CHANGED, _EXIF, _GPS})
    except Damage:
        return Notes(damaged=True)
    times = _below(block, main, _EXIF, {_ORIGINAL, _DIGITIZED, _OFFSET, _SUBSEC})
    place = _below(block, main, _GPS, set(range(_LATITUDE_REF, _ALTITUDE + 1)))
    position = _position(place)
    return Notes(
        original=text_of(times.fields.get(_ORIGINAL)),
        digitized=text_of(times.fields.get(_DIGITIZED)),
        changed=text_of(main.fields.get(_CHANGED)),
        offset=text_of(times.fields.get(_OFFSET)),
        subsec=text_of(times.fields.get(_SUBSEC)),
        make=text_of(main.fields.get(_MAKE)),
        model=text_of(main.fields.get(_MODEL)),
        position=position,
        bad_position=position is None and bool({_LATITUDE, _LONGITUDE} & place.fields.keys()),
        damaged=main.damaged or times.damaged or place.damaged,
    )


def _below(block: Block, main: Directory, pointer: int, tags: set[int]) -> Directory:
    if pointer not in main.fields:
        return Directory()
    offset = number_of(main.fields[pointer])
    if offset is None:
        return Directory(damaged=True)
    try:
        return read_directory(block, offset, tags)
    except Damage:
        return Directory(damaged=True)


def _position(place: Directory) -> Position | None:
    found = place.fields
    latitude = _axis(found.get(_LATITUDE), found.get(_LATITUDE_REF), "NS")
    longitude = _axis(found.get(_LONGITUDE), found.get(_LONGITUDE_REF), "EW")
    if latitude is None or longitude is None:
        return None
    return Position(latitude, longitude, _altitude(place))


def _axis(value: Field | None, ref: Field | None, axis: str) -> float | None:
    return decimal_degrees(fractions_of(value, 3), text_of(ref), axis)


def _altitude(place: Directory) -> float | None:
    found = fractions_of(place.fields.get(_ALTITUDE), 1)
    below = number_of(place.fields.get(_ALTITUDE_REF)) == 1
    return None if found is None else -found[0] if below else found[0]
