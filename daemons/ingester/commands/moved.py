"""What a sync did, or would do, as the commands tell it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from daemons.ingester.notes import Note, Notes
from daemons.ingester.syncing.report import SyncReport, SyncStatus

_SHOWN = 20
"""Of each kind of note, in the text; the JSON has them all."""
_KINDS = {
    "failures": "failed",
    "skipped": "left out",
    "deferred": "changed meanwhile",
    "conflicts": "left as it is",
}


def has_failed(report: SyncReport) -> bool:
    """Say whether the next run has something to repair."""
    return report.status is not SyncStatus.OK


def to_json(report: SyncReport, *, dry_run: bool) -> Mapping[str, object]:
    """Return a direction's report."""
    return {
        "direction": _name(report),
        "dryRun": dry_run,
        "status": report.status.value,
        "filesMoved": report.moved,
        "bytesMoved": report.moved_bytes,
        "folders": {
            folder.value: {
                "moved": counts.moved,
                **{state.name.lower(): count for state, count in counts.states.items()},
            }
            for folder, counts in report.folders.items()
        },
        **{kind: _notes(getattr(report, kind)) for kind in _KINDS},
        "unlisted": {folder.value: reason for folder, reason in report.unlisted.items()},
        "blocked": report.blocked,
        "planned": list(report.planned),
    }


def to_text(report: SyncReport, *, dry_run: bool) -> Iterator[str]:
    """Yield a direction's report as lines."""
    verb = "to move" if dry_run else "moved"
    size = "" if dry_run else f", {report.moved_bytes} bytes"
    yield f"{_name(report)}: {_files(report.moved)} {verb}{size}"
    for folder, counts in report.folders.items():
        states = ", ".join(f"{count} {state.value}" for state, count in counts.states.items())
        yield f"  {folder.value:<17}{counts.moved:>8} {verb}, of {states or 'nothing'}"
    yield from _some(list(islice(report.planned, _SHOWN)), len(report.planned))
    for kind, words in _KINDS.items():
        notes: Notes = getattr(report, kind)
        lines = [_line(words, note) for note in notes.named[:_SHOWN]]
        yield from _some(lines, notes.count)


def reasons_of(report: SyncReport) -> Iterator[str]:
    """Yield what failed, a line each."""
    if report.blocked:
        yield report.blocked
    yield from (f"{folder.value}: {reason}" for folder, reason in report.unlisted.items())
    yield from (f"{note.path!r}: {note.reason}" for note in report.failures.named)


def _name(report: SyncReport) -> str:
    return "look" if report.direction is None else report.direction.value


def _notes(notes: Notes) -> Sequence[Mapping[str, str]]:
    return [{"path": note.path, "reason": note.reason} for note in notes.named]


def _line(words: str, note: Note) -> str:
    return f"{words}: {note.path!r}: {note.reason}"


def _some(lines: Sequence[str], count: int) -> Iterator[str]:
    yield from (f"  {line}" for line in lines)
    if count > len(lines):
        yield f"  and {count - len(lines)} more, which --format json names"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
