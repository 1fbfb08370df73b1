"""CIDs whose chunk is at fault, and when each is tried again; one file a CID in the state folder.

| the chunk failed                        | it is tried again                                      |
|-----------------------------------------|--------------------------------------------------------|
| for good: its content is bad            | when the chunk is another file, or the command another |
| otherwise, fewer times than the limit   | after a delay that doubles                             |
| otherwise, as many times as the limit   | as for good                                            |
| any of these, and its file was removed  | at the next pass: that is what `--retry` does          |

Only causes in the chunk bring a CID here. What is wrong with S3, with credentials, with the disk or
with the configuration never does.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.dispatcher.plan import retry_delay_seconds
from shared.files import write_durably
from shared.fswatch.stability import FileIdentity
from shared.handshake.fields import (
    count_field,
    dump_record,
    line_field,
    one_line,
    parse_record,
    tail_lines,
    text_field,
)
from shared.handshake.layout import CID

log: FilteringBoundLogger = structlog.get_logger()

FOLDER = "quarantine"
SCHEMA = 1
TAIL_CHARACTERS_MAX = 4000
_RECORD_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """One CID that failed."""

    cid: str
    reason: str
    final: bool
    attempts: int
    stamp: str
    """The chunk and the command that failed; another one is another matter."""
    since: str
    """For people."""
    exit_status: int | None = None
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how soon a chunk is tried again that failed for no reason of its content."""

    attempts: int = 3
    first_delay_seconds: float = 60.0
    longest_delay_seconds: float = 3600.0


class Quarantine:
    """The CIDs that failed; what stands in the folder is the truth. These calls block."""

    def __init__(self, folder: Path, command: Sequence[str], patience: Patience) -> None:
        self._folder = folder / FOLDER
        self._command = sha256("\0".join(command).encode()).hexdigest()[:16]
        self._patience = patience
        self._held: dict[str, Held] = {}
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._held.values())

    def load(self) -> None:
        """Read what earlier lives left; what cannot be read is as if it had not failed."""
        for cid, path in sorted(_records(self._folder).items()):
            try:
                with path.open("rb") as stream:
                    self._held[cid] = _parse(stream.read(_RECORD_BYTES_MAX), cid)
            except (OSError, ValueError) as error:
                log.warning("quarantine_ignored", cid=cid, path=str(path), reason=str(error))

    def take_back(self) -> Sequence[str]:
        """Let go of the CIDs whose files somebody has removed; returns them."""
        if not self._held:
            return ()
        there = _records(self._folder)
        gone = [cid for cid in self._held if cid not in there]
        for cid in gone:
            self._drop(cid)
        return gone

    def why_not(self, cid: str, identity: FileIdentity, now: float) -> str:
        """Say why a CID is not tried on this monotonic moment; empty: it may be tried."""
        held = self._held.get(cid)
        if held is None or held.stamp != self._stamp(identity):
            return ""
        if held.final:
            return f"quarantined: {held.reason}"
        if now < self._due.get(cid, now):
            return f"failed {held.attempts} times, tried again later: {held.reason}"
        return ""

    def concerns(self, held: Held, identity: FileIdentity) -> bool:
        """Tell whether it is this very chunk, under this very command, that failed."""
        return held.stamp == self._stamp(identity)

    def blame(self, held: Held, identity: FileIdentity, now: float) -> Held:
        """Note that a chunk has failed once more; durable when this returns."""
        stamp = self._stamp(identity)
        before = self._held.get(held.cid)
        attempts = 1 if before is None or before.stamp != stamp else before.attempts + 1
        noted = Held(
            cid=held.cid,
            reason=one_line(held.reason),
            final=held.final or attempts >= self._patience.attempts,
            attempts=attempts,
            stamp=stamp,
            since=held.since,
            exit_status=held.exit_status,
            log_tail=tail_lines(held.log_tail, TAIL_CHARACTERS_MAX),
        )
        delay = retry_delay_seconds(
            attempts,
            first=self._patience.first_delay_seconds,
            longest=self._patience.longest_delay_seconds,
        )
        self._held[held.cid] = noted
        self._due[held.cid] = now + delay
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._folder / _name(held.cid), _to_bytes(noted))
        return noted

    def forgive(self, cid: str) -> None:
        """Forget that a CID failed, if it ever did."""
        if cid in self._held:
            self._drop(cid)
            with suppress(FileNotFoundError):
                (self._folder / _name(cid)).unlink()

    def _drop(self, cid: str) -> None:
        self._held.pop(cid, None)
        self._due.pop(cid, None)

    def _stamp(self, identity: FileIdentity) -> str:
        parts = (identity.device, identity.inode, identity.size, identity.mtime_ns, self._command)
        return ":".join(map(str, parts))


def put_back(state_folder: Path, cids: Sequence[str] | None) -> Sequence[str]:
    """Let these CIDs be tried again, None for all; returns those that were in quarantine."""
    records = _records(state_folder / FOLDER)
    chosen = sorted(records if cids is None else records.keys() & set(cids))
    for cid in chosen:
        with suppress(FileNotFoundError):
            records[cid].unlink()
    return chosen


def _records(folder: Path) -> Mapping[str, Path]:
    """Return the files of the quarantine by CID; whatever else lies there is none."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return {}
    found = {name.removeprefix("CID-").removesuffix(".json"): name for name in names}
    return {
        cid: folder / name
        for cid, name in found.items()
        if CID.fullmatch(cid) and name == _name(cid)
    }


def _name(cid: str) -> str:
    return f"CID-{cid}.json"


def _to_bytes(held: Held) -> bytes:
    return dump_record(
        {
            "schema": SCHEMA,
            "cid": held.cid,
            "reason": held.reason,
            "final": held.final,
            "attempts": held.attempts,
            "exit_status": held.exit_status,
            "since": held.since,
            "stamp": held.stamp,
            "log_tail": held.log_tail,
        }
    )


def _parse(body: bytes, cid: str) -> Held:
    record = parse_record(body, "the record", SCHEMA)
    if text_field(record, "cid", CID) != cid:
        raise ValueError(f"it is of CID {record.get('cid')!r}")
    status = record.get("exit_status")
    return Held(
        cid=cid,
        reason=line_field(record, "reason"),
        final=record.get("final") is True,
        attempts=count_field(record, "attempts"),
        stamp=text_field(record, "stamp", None, longest=200),
        since=line_field(record, "since"),
        exit_status=status if isinstance(status, int) and not isinstance(status, bool) else None,
        log_tail=text_field(record, "log_tail", None),
    )
