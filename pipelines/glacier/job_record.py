"""A job's record: `{s3_base_path}/{satellite}/_runs/{job_name}.json`. Pure.

Whoever runs a job writes it when it begins (`running`) and when it ends; whoever submitted it waits
on it. It has one entry for each submission, the newest last, so that a second delivery of a request
finds what the first one did.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, cast, get_args

RunStatus: TypeAlias = Literal["running", "success", "no_data", "partial", "failed", "invalid"]
FINISHED: frozenset[RunStatus] = frozenset({"success", "no_data", "failed", "invalid"})
"""`partial` is not among them: another delivery goes on."""
ENTRIES_MAX = 50
"""Older submissions are dropped."""
_STATUSES = frozenset(get_args(RunStatus))


class BadRecord(ValueError):
    """The object is not a job's record."""


@dataclass(frozen=True, slots=True)
class SceneEntry:
    """What became of one scene."""

    id: str
    status: str
    """`written`, `present`, `skipped`, `failed`, or `pending`: not reached in time."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An object that the run stored."""

    key: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One submission's run, or the last of its continuations."""

    submission_id: str
    status: RunStatus
    started_at: str
    """ISO 8601, UTC."""
    ended_at: str = ""
    deliveries: int = 1
    """How often the request arrived and ran, continuations included."""
    version: str = ""
    project_digest: str = ""
    config_sha256: str = ""
    event: Mapping[str, object] = field(default_factory=dict)
    scenes: tuple[SceneEntry, ...] = ()
    files: tuple[UploadedFile, ...] = ()
    upload_failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""
    peak_memory_bytes: int = 0
    """Of the processing step."""
    response: Mapping[str, object] = field(default_factory=dict)
    """What the handler answered, for a second delivery of the same request."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Everything that is known of a job, by submission."""

    job_name: str
    satellite: str
    entries: tuple[RunEntry, ...] = ()

    @property
    def status(self) -> RunStatus | None:
        """The status of the newest entry."""
        return self.entries[-1].status if self.entries else None

    def entry(self, submission_id: str) -> RunEntry | None:
        """Return the entry of a submission."""
        found = [each for each in self.entries if each.submission_id == submission_id]
        return found[-1] if found else None

    def with_entry(self, entry: RunEntry) -> "JobRecord":
        """Return the record with this entry as the newest, in the place of the submission's own."""
        others = [each for each in self.entries if each.submission_id != entry.submission_id]
        return replace(self, entries=(*others, entry)[-ENTRIES_MAX:])

    def to_bytes(self) -> bytes:
        """Return the document as it is stored."""
        document = {
            "job_name": self.job_name,
            "satellite": self.satellite,
            "status": self.status,
            "submissions": [_entry_document(entry) for entry in self.entries],
        }
        # Without indentation: that is written in Python, which takes seconds for a long record.
        return (json.dumps(document) + "\n").encode()


def parse_record(content: bytes) -> JobRecord:
    """Read a record; BadRecord. Fields that are not known are left out."""
    try:
        document = json.loads(content)
        entries = tuple(_parse_entry(each) for each in _listed(document["submissions"]))
        return JobRecord(str(document["job_name"]), str(document["satellite"]), entries)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadRecord(f"not a job's record: {error!r}"[:200]) from error


def _entry_document(entry: RunEntry) -> Mapping[str, object]:
    names = [name for name in RunEntry.__slots__ if name not in {"scenes", "files"}]
    return {
        **{name: _plain(getattr(entry, name)) for name in names},
        "scenes": [
            {"id": each.id, "status": each.status, "reason": each.reason} for each in entry.scenes
        ],
        "files": [{"key": each.key, "size": each.size} for each in entry.files],
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _parse_entry(said: Mapping[str, object]) -> RunEntry:
    status = said["status"]
    if status not in _STATUSES:
        raise ValueError(f"status {status!r}")
    return RunEntry(
        str(said["submission_id"]),
        cast("RunStatus", status),
        str(said["started_at"]),
        ended_at=_text(said, "ended_at"),
        deliveries=_number(said, "deliveries"),
        version=_text(said, "version"),
        project_digest=_text(said, "project_digest"),
        config_sha256=_text(said, "config_sha256"),
        error=_text(said, "error"),
        peak_memory_bytes=_number(said, "peak_memory_bytes"),
        event=_mapping(said.get("event", {})),
        response=_mapping(said.get("response", {})),
        scenes=tuple(
            SceneEntry(str(each["id"]), str(each["status"]), str(each.get("reason", "")))
            for each in _listed(said.get("scenes", []))
        ),
        files=tuple(
            UploadedFile(str(each["key"]), int(str(each["size"])))
            for each in _listed(said.get("files", []))
        ),
        upload_failures=_texts(said.get("upload_failures", [])),
        warnings=_texts(said.get("warnings", [])),
    )


def _text(said: Mapping[str, object], name: str) -> str:
    return str(said.get(name, ""))


def _number(said: Mapping[str, object], name: str) -> int:
    return int(str(said.get(name, 0)))


def _listed(value: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise TypeError(f"a list of objects is wanted, not {str(value)[:80]!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"a list is wanted, not {str(value)[:80]!r}")
    return tuple(map(str, value))


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"an object is wanted, not {str(value)[:80]!r}")
    return value
