"""Reading the three files, each of which may be missing; all their mistakes are told at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from zoneinfo import ZoneInfo

import anyio.to_thread

from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.errors import in_lines
from pipelines.wildlife.stage0.clock.rules import ClockError, Clocks, Correction, newest_first
from pipelines.wildlife.stage0.clock.zones import Zone
from pipelines.wildlife.stage0.clock_files.camera_settings import (
    CameraSettings,
    parse_camera_settings,
)
from pipelines.wildlife.stage0.clock_files.camera_table import parse_camera_table
from pipelines.wildlife.stage0.clock_files.corrections import check_sum, parse_corrections
from pipelines.wildlife.stage0.clock_files.forms import DEFAULT_ZONE, LARGE_SECONDS, find_zone
from pipelines.wildlife.stage0.clock_files.mistakes import Mistakes
from pipelines.wildlife.storage.protocol import Missing, Storage
from shared.errors import UsageError

Said = TypeVar("Said")

_CORRECTIONS = "current/corrections.json"
_MANIFESTS = ("current/manifest.json", "manifest.json")
_TABLE = "time_corrections.csv"
_SETTINGS = "time_offsets.yaml"
_BYTES_MAX = 8 * 1024 * 1024
_WARNINGS_MAX = 20
"""They travel with the run's payload, which must stay small."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the files say, and what is odd about it."""

    clocks: Clocks
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    storage: Storage
    place: Place
    found: int = 0
    """Files that are there."""
    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    async def body(self, name: str) -> bytes | None:
        """Return a file, None where there is none."""
        try:
            body = await self.storage.read(self.place.join(name), start=0, length=_BYTES_MAX + 1)
        except Missing:
            return None
        self.found += 1
        if len(body) > _BYTES_MAX:
            raise UsageError(f"{self.place.join(name)!r} is longer than {_BYTES_MAX} bytes")
        return body

    async def parsed(self, name: str, parse: Callable[[bytes], Said], body: bytes) -> Said | None:
        """Return what a file says, None where it has mistakes, which are kept."""
        try:
            return await anyio.to_thread.run_sync(parse, body)
        except Mistakes as error:
            self.mistakes += [f"{self.place.join(name)!r}: {line}" for line in error.lines]
            return None


async def load_clocks(storage: Storage, uri: str) -> Known:
    """Read what is known of clocks below a place; an empty URI knows nothing.

    Raises:
        UsageError: each line is a mistake in one of the files.
    """
    default = Zone(DEFAULT_ZONE, _default_zone())
    if not uri:
        return Known(Clocks(default_zone=default))
    reading = _Reading(storage, _place(uri))
    corrections = await _corrections(reading)
    table = await reading.body(_TABLE)
    rows = await reading.parsed(_TABLE, parse_camera_table, table) if table is not None else {}
    said = await reading.body(_SETTINGS)
    settings = await reading.parsed(_SETTINGS, parse_camera_settings, said or b"")
    if reading.mistakes or settings is None:
        raise UsageError(in_lines(reading.mistakes))
    if not reading.found:
        # Whoever mistypes the folder would have all times wrong, without a word.
        reading.warnings.append("clock_files_missing")
    clocks = Clocks(
        default_zone=default,
        corrections=newest_first(corrections),
        rows=rows or {},
        entries=settings.entries,
        systems=settings.systems,
        types=settings.types,
        positions=settings.positions,
    )
    return Known(clocks, (*reading.warnings, *_warnings(clocks, settings)))


def _place(uri: str) -> Place:
    try:
        return parse_place(uri)
    except ValueError as error:
        raise UsageError(f"clocks_uri = {uri[:200]!r} is not valid; allowed: {error}") from error


def _default_zone() -> ZoneInfo:
    try:
        return find_zone(DEFAULT_ZONE)
    except ValueError as error:
        raise UsageError(
            f"time zone {DEFAULT_ZONE!r} is not on this machine; install tzdata"
        ) from error


async def _corrections(reading: _Reading) -> list[Correction]:
    body = await reading.body(_CORRECTIONS)
    if body is None:
        return []
    manifest = None
    for name in _MANIFESTS:
        manifest = await reading.body(name) if manifest is None else manifest
    if manifest is None:
        reading.warnings.append("corrections_without_manifest")
    elif await reading.parsed(_CORRECTIONS, lambda text: _checked(text, manifest), body) is None:
        # What was torn or mixed up would only lead to more lines about it.
        return []
    return await reading.parsed(_CORRECTIONS, parse_corrections, body) or []


def _checked(text: bytes, manifest: bytes) -> bytes:
    check_sum(text, manifest)
    return text


def _warnings(clocks: Clocks, settings: CameraSettings) -> list[str]:
    large = list(dict.fromkeys(_large(clocks)))
    warnings = ["seasonal_adjustments_ignored"] if settings.seasonal else []
    warnings += [f"large_clock_offset: {rule_id}" for rule_id in large[:_WARNINGS_MAX]]
    if len(large) > _WARNINGS_MAX:
        warnings.append(f"large_clock_offset: and {len(large) - _WARNINGS_MAX} more")
    return warnings


def _large(clocks: Clocks) -> Iterator[str]:
    """Yield the rules that change a time by more than is usual."""
    used = set(clocks.types.values())
    named: list[ClockError] = [*clocks.rows.values(), *clocks.entries.values()]
    named += [each for name, each in clocks.systems.items() if name in used]
    for error in named:
        if abs(error.offset_seconds) > LARGE_SECONDS:
            yield error.rule_id
    for corrections in clocks.corrections.values():
        for correction in corrections:
            if abs(correction.delta_seconds) > LARGE_SECONDS:
                yield correction.rule_id
