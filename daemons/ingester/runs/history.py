"""The runs so far, newest first: a page for people, and the whole summary of each as JSON.

    runs/2026-11-21T080003.412Z.json    one run: what --json-summary writes
    runs/2026-11-21T080003.412Z.md      the same for the page
    runs.md                             all of those, newest first

Rule: a run is added by files of its own, and the page is made of those: nothing that is written
can spoil what was written before. The oldest go when there are more than enough.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from daemons.ingester.runs.results import RunResult
from daemons.ingester.runs.summary import history_entry
from shared.files import make_folders, write_durably
from shared.redact import redact_text

RUNS_KEPT = 200
_TITLE = "# Runs of the ingester, newest first\n"
_LARGEST_ENTRY_BYTES = 256 * 1024


class History:
    """The runs that are kept below a state folder; blocks."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "runs"
        self.page = state / "runs.md"

    def add(self, result: RunResult) -> Path:
        """Keep a run; returns its JSON. OSError where the disk refuses."""
        make_folders(self._folder)
        name = _name(result.started_at)
        path = self._folder / f"{name}.json"
        write_durably(path, summary_document(result))
        write_durably(self._folder / f"{name}.md", history_entry(result).encode())
        self._forget_oldest()
        write_durably(self.page, self._rendered())
        return path

    def _forget_oldest(self) -> None:
        for suffix in (".json", ".md"):
            for path in self._newest_first(suffix)[RUNS_KEPT:]:
                path.unlink(missing_ok=True)

    def _rendered(self) -> bytes:
        entries = (_read(path) for path in self._newest_first(".md"))
        return "\n".join([_TITLE, *entries]).encode()

    def _newest_first(self, suffix: str) -> list[Path]:
        # The names are of one length and in UTC, so their order is that of the runs.
        return sorted(self._folder.glob(f"*{suffix}"), reverse=True)


def summary_document(result: RunResult) -> bytes:
    """Return the summary as JSON, without secrets."""
    text = json.dumps(_redacted(result.to_json()), indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _redacted(value: object) -> object:
    """Hide what looks like a secret in any text: an address that a feed names may carry one."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {name: _redacted(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    return value


def _name(moment: datetime) -> str:
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H%M%S}.{at.microsecond // 1000:03}Z"


def _read(path: Path) -> str:
    """Return what was written of a run, nothing of one that is gone by now."""
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST_ENTRY_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
