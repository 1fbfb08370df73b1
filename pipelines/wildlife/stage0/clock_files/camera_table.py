"""`time_corrections.csv`: a row for each camera.

Its notes have commas that nobody quoted: cells beyond those of the header are part of the notes.
"""

import csv
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from pipelines.wildlife.stage0.clock.rules import ClockError
from pipelines.wildlife.stage0.clock.zones import Zone
from pipelines.wildlife.stage0.clock_files.forms import CameraId, Offset, ZoneName, find_zone
from pipelines.wildlife.stage0.clock_files.mistakes import Mistakes, mistakes_of, shown

_NOTES = "notes"
_REQUIRED = ("camera_id", "location", "timezone", "offset_seconds", "clock_drift_ppm", _NOTES)
_OPTIONAL = ("last_sync",)
_DRIFT_MAX_PPM = 1000
"""A minute and a half a day; a clock that gains more is broken."""


class _Row(BaseModel):
    """Cells that are empty are not given."""

    model_config = ConfigDict(frozen=True)

    camera_id: CameraId
    timezone: ZoneName | None = None
    offset_seconds: Offset = 0.0
    clock_drift_ppm: Annotated[
        float, Field(ge=-_DRIFT_MAX_PPM, le=_DRIFT_MAX_PPM, allow_inf_nan=False)
    ] = 0.0
    last_sync: AwareDatetime | None = None


def parse_camera_table(text: bytes) -> Mapping[str, ClockError]:
    """Return the clocks of the file, by camera; Mistakes."""
    try:
        lines = text.decode("utf-8-sig").splitlines()
        rows = [(number, row) for number, row in enumerate(csv.reader(lines), 1) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Mistakes([f"is no CSV in UTF-8: {error}"]) from error
    if not rows:
        raise Mistakes([f"is empty; begin it with {','.join(_REQUIRED)}"])
    header = [cell.strip() for cell in rows[0][1]]
    _check_header(header)
    return _clocks(header, rows[1:])


def _check_header(header: Sequence[str]) -> None:
    lines = [f"lacks the column {name!r}; add it" for name in _REQUIRED if name not in header]
    known = (*_REQUIRED, *_OPTIONAL)
    lines += [
        f"has the column {shown(name)}; known are {', '.join(known)}"
        for name in header
        if name not in known
    ]
    if len(set(header)) != len(header):
        lines.append("has a column twice; remove one")
    if lines:
        raise Mistakes(lines)


def _clocks(
    header: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]
) -> Mapping[str, ClockError]:
    found: dict[str, ClockError] = {}
    lines: list[str] = []
    for number, cells in rows:
        try:
            row = _Row.model_validate(_named(header, cells))
        except ValidationError as error:
            lines += mistakes_of(error, f"line {number}")
            continue
        if row.camera_id in found:
            lines.append(f"line {number} is about {row.camera_id!r} again; keep one of them")
        found[row.camera_id] = _clock(row)
    if lines:
        raise Mistakes(lines)
    return found


def _named(header: Sequence[str], cells: Sequence[str]) -> Mapping[str, str]:
    """Return the cells of a row by their columns, those too many joined into the notes."""
    surplus = max(0, len(cells) - len(header))
    notes = header.index(_NOTES)
    joined = [
        *cells[:notes],
        ",".join(cells[notes : notes + surplus + 1]),
        *cells[notes + surplus + 1 :],
    ]
    # A row may end early, as its last cells are optional.
    pairs = zip(header, joined, strict=False)
    return {name: cell.strip() for name, cell in pairs if cell.strip()}


def _clock(row: _Row) -> ClockError:
    return ClockError(
        rule_id=f"csv:{row.camera_id}",
        offset_seconds=row.offset_seconds,
        zone=Zone(row.timezone, find_zone(row.timezone)) if row.timezone else None,
        drift_ppm=row.clock_drift_ppm,
        last_sync=row.last_sync,
    )
