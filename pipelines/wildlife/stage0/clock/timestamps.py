"""Which of a camera's times counts, and how it is read. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, TypeAlias

from pipelines.wildlife.stage0.exif.notes import Notes

ClockSource: TypeAlias = Literal["exif_original", "exif_digitized", "exif_datetime"]

_TIME = re.compile(r"([0-9]{4}):([0-9]{2}):([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})", re.ASCII)
_OFFSET = re.compile(r"([+-])([0-9]{2}):([0-9]{2})", re.ASCII)
_SUBSEC = re.compile(r"[0-9]{1,9}", re.ASCII)
_YEARS = range(200, 9800)
"""Far enough from both ends of the calendar for every zone and correction."""
_HOURS_MAX = 14


@dataclass(frozen=True, slots=True)
class Shown:
    """What a camera's clock showed."""

    at: datetime
    """Without a zone."""
    source: ClockSource
    offset: timezone | None = None
    """That of the clock, where the camera noted it."""


def find_time(notes: Notes) -> Shown | None:
    """Return the first of a camera's three times that is one."""
    times: Sequence[tuple[str | None, ClockSource]] = (
        (notes.original, "exif_original"),
        (notes.digitized, "exif_digitized"),
        (notes.changed, "exif_datetime"),
    )
    for text, source in times:
        at = parse_time(text or "")
        if at is not None:
            # Parts of a second are noted of the original time alone.
            subsec = notes.subsec if source == "exif_original" else None
            return Shown(at + _part_of_second(subsec), source, parse_offset(notes.offset or ""))
    return None


def parse_time(text: str) -> datetime | None:
    """Return the time of `2026:06:01 04:30:00`; None for anything else."""
    found = _TIME.fullmatch(text)
    if not found or int(found[1]) not in _YEARS:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - it has no zone
    except ValueError:
        return None


def parse_offset(text: str) -> timezone | None:
    """Return the offset of `+02:00`; None for anything else."""
    found = _OFFSET.fullmatch(text)
    if not found:
        return None
    hours, minutes = int(found[2]), int(found[3])
    if hours > _HOURS_MAX or minutes > 59:  # noqa: PLR2004 - minutes of an hour
        return None
    away = timedelta(hours=hours, minutes=minutes)
    return timezone(-away if found[1] == "-" else away, text)


def _part_of_second(text: str | None) -> timedelta:
    if text is None or not _SUBSEC.fullmatch(text):
        return timedelta()
    return timedelta(microseconds=int(f"{text:0<6}"[:6]))
