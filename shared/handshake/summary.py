"""What a daemon tells everybody with read access about its part: `status/<service>.json`.

PROD's ledgers lie on PROD; a laptop or EC2 sees them through these summaries. The codec is pure;
`Publisher` writes one when it says something new.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.handshake.fields import (
    RECORD_BYTES_MAX,
    dump_record,
    line_field,
    one_line,
    parse_record,
    text_field,
)
from shared.handshake.layout import CID, Layout
from shared.s3.store import ObjectStore, PutOptions

SCHEMA = 1
_NOTES_MAX = 1000
_NOTE_CHARACTERS_MAX = 500
_STATE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_STATES_MAX = 40
_RATE_MAX = 1e9
_RANGE = re.compile(r"([0-9]{5})(?:-([0-9]{5}))?")


@dataclass(frozen=True, slots=True)
class Summary:
    """One daemon's part of the hand-shake."""

    service: str
    host: str
    written_at: str
    """ISO 8601 with offset, on the clock of `host`."""
    cids: Mapping[str, frozenset[str]]
    """State, such as `sent` or `collected`, to the CIDs that are in it."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """CID to one line about what is wrong with it; at most a thousand."""
    per_hour: float = 0.0

    def to_bytes(self) -> bytes:
        """Return the object's content."""
        record = self.said()
        rate = min(max(self.per_hour, 0.0), _RATE_MAX) if math.isfinite(self.per_hour) else 0.0
        return dump_record({**record, "written_at": one_line(self.written_at), "per_hour": rate})

    def says_the_same_as(self, other: "Summary | None") -> bool:
        """Tell whether publishing it again would be no news."""
        return other is not None and self.said() == other.said()

    def said(self) -> dict[str, object]:
        """Return what is worth publishing again when it changes; a rate alone is not."""
        notes = dict(sorted(self.notes.items())[:_NOTES_MAX])
        return {
            "schema": SCHEMA,
            "service": self.service,
            "host": one_line(self.host),
            "cids": {state: pack_cids(cids) for state, cids in self.cids.items()},
            "notes": {cid: one_line(note, _NOTE_CHARACTERS_MAX) for cid, note in notes.items()},
        }


def parse_summary(body: bytes, service: str) -> Summary:
    """Read the summary of a service; ValueError says what is wrong with it."""
    record = parse_record(body, "the summary", SCHEMA)
    if record.get("service") != service:
        raise ValueError(f"the summary is of {record.get('service')!r}, and lies under {service}")
    cids, notes = record.get("cids"), record.get("notes")
    if not isinstance(cids, dict) or not isinstance(notes, dict) or len(cids) > _STATES_MAX:
        raise ValueError("the fields 'cids' and 'notes' must be objects, of few states")
    return Summary(
        service=service,
        host=line_field(record, "host"),
        written_at=line_field(record, "written_at"),
        cids={_state(name): unpack_cids(_ranges(cids, name)) for name in cids},
        notes={
            cid: line_field(notes, cid, _NOTE_CHARACTERS_MAX)
            for cid in sorted(notes)[:_NOTES_MAX]
            if CID.fullmatch(cid)
        },
        per_hour=_rate(record.get("per_hour")),
    )


def _state(name: str) -> str:
    if not _STATE.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name of a state; allowed: {_STATE.pattern}")
    return name


def _ranges(cids: Mapping[str, object], state: str) -> str:
    return text_field(cids, state, None, longest=RECORD_BYTES_MAX)


def _rate(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("field 'per_hour' must be a number")  # noqa: TRY004 - callers wait for one type
    if not 0 <= value <= _RATE_MAX:
        raise ValueError("field 'per_hour' must be a number from 0 to a billion")
    return float(value)


def pack_cids(cids: Iterable[str]) -> str:
    """Write CIDs as sorted ranges: `00001-00007,00010`."""
    parts: list[str] = []
    first = last = -2
    for number in sorted({int(cid) for cid in cids}):
        if number != last + 1:
            if last >= 0:
                parts.append(_range(first, last))
            first = number
        last = number
    if last >= 0:
        parts.append(_range(first, last))
    return ",".join(parts)


def unpack_cids(text: str) -> frozenset[str]:
    """Read what `pack_cids` wrote; ValueError names the part that is no range."""
    cids: set[str] = set()
    before = -1
    for part in text.split(",") if text else ():
        found = _RANGE.fullmatch(part)
        if found is None:
            raise ValueError(f"{part[:40]!r} is no CID and no range of CIDs")
        first, last = int(found[1]), int(found[2] or found[1])
        # In ascending order five digits bound the work, however long the text is.
        if not before < first <= last:
            raise ValueError(f"{part!r} does not lie behind the ranges before it")
        cids.update(f"{number:05d}" for number in range(first, last + 1))
        before = last
    return frozenset(cids)


def _range(first: int, last: int) -> str:
    return f"{first:05d}" if first == last else f"{first:05d}-{last:05d}"


class Publisher:
    """Publishes a daemon's summary when it says something new."""

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout
        self._last: Summary | None = None

    async def publish(self, summary: Summary) -> bool:
        """Write it unless it says what was written last; tell whether it did."""
        if summary.says_the_same_as(self._last):
            return False
        uri = self._layout.summary(summary.service)
        await self._store.put(
            uri, summary.to_bytes(), options=PutOptions(content_type="application/json")
        )
        self._last = summary
        return True
