"""What was decided about runouts, kept over restarts: `verdicts.json` in the state folder.

It saves work and repeated warnings and nothing else: without it every second result is compared
once more, and every orphan is told of once more. So a file that cannot be read is an empty one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from shared.files import write_durably
from shared.handshake.layout import Runout, parse_runout

log: FilteringBoundLogger = structlog.get_logger()

SCHEMA = 1
FILE_NAME = "verdicts.json"
_VERDICTS_MAX = 20_000
_BYTES_MAX = 32 * 1024 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Kind(StrEnum):
    """What a runout turned out to be."""

    SAME = "same"
    """Its rows are those of the central table."""
    DIFFERENT = "different"
    """They are not; it stays in the inbox until a person has looked."""
    ORPHAN = "orphan"
    """Its CID is committed with another runout."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and what it was made from."""

    kind: Kind
    fingerprint: str
    """Of the runout's listing."""
    central: str = ""
    """What identified the central table that it was compared with; empty when there was none."""
    reason: str = ""


class Verdicts:
    """The decisions of one collector; `load` and `save` block."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._known: dict[Runout, Verdict] = {}
        self._sightings: Mapping[Runout, tuple[str, float]] = {}
        self._changed = False

    def load(self) -> Mapping[Runout, tuple[str, float]]:
        """Read the file; returns since when waiting runouts were listed as they are.

        These times are on the monotonic clock of this boot; those of another boot are dropped.
        """
        try:
            with self._path.open("rb") as stream:
                document = json.loads(stream.read(_BYTES_MAX))
            known, sightings = _parse(document)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("verdicts_ignored", path=str(self._path), reason=str(error))
            return {}
        self._known, self._sightings = known, sightings
        return sightings

    def save(self, sightings: Mapping[Runout, tuple[str, float]]) -> None:
        """Write the file if anything is new; a folder out of order stops no collector."""
        if not self._changed and sightings == self._sightings:
            return
        document = {
            "schema": SCHEMA,
            "boot": _boot(),
            "verdicts": {
                str(runout): {
                    "kind": one.kind.value,
                    "fingerprint": one.fingerprint,
                    "central": one.central,
                    "reason": one.reason,
                }
                for runout, one in self._known.items()
            },
            "sightings": {str(runout): list(seen) for runout, seen in sightings.items()},
        }
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self._path, json.dumps(document).encode() + b"\n")
        except OSError as error:
            log.warning("verdicts_not_written", path=str(self._path), reason=str(error))
            return
        self._changed, self._sightings = False, dict(sightings)

    def get(self, runout: Runout, fingerprint: str) -> Verdict | None:
        """Return the verdict on a runout that is still listed as it was then."""
        found = self._known.get(runout)
        return found if found is not None and found.fingerprint == fingerprint else None

    def put(self, runout: Runout, verdict: Verdict) -> bool:
        """Remember a verdict; say whether it is news."""
        before = self._known.pop(runout, None)
        self._known[runout] = verdict
        if len(self._known) > _VERDICTS_MAX:
            del self._known[next(iter(self._known))]
        self._changed |= before != verdict
        return before is None or (before.kind, before.reason) != (verdict.kind, verdict.reason)

    def drop(self, runout: Runout) -> None:
        """Forget the verdict on a runout that turned out otherwise."""
        self._changed |= self._known.pop(runout, None) is not None

    def known(self) -> set[Runout]:
        """Return the runouts with a verdict."""
        return set(self._known)

    def conflicts(self) -> dict[Runout, str]:
        """Return the runouts whose tables differ from the central ones, and how."""
        return {
            runout: one.reason for runout, one in self._known.items() if one.kind is Kind.DIFFERENT
        }

    def __contains__(self, runout: object) -> bool:
        return runout in self._known


def _parse(
    document: Mapping[str, Any],
) -> tuple[dict[Runout, Verdict], Mapping[Runout, tuple[str, float]]]:
    if document["schema"] != SCHEMA:
        raise ValueError(f"it has schema {document['schema']!r}")
    known = {
        parse_runout(name): Verdict(
            Kind(one["kind"]), str(one["fingerprint"]), str(one["central"]), str(one["reason"])
        )
        for name, one in document["verdicts"].items()
    }
    seen = document["sightings"] if document["boot"] == _boot() != "" else {}
    sightings = {
        parse_runout(name): (str(print_), float(at)) for name, (print_, at) in seen.items()
    }
    return known, sightings


def _boot() -> str:
    """Return what names this boot of the machine, if the system tells."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
