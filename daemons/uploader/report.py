"""What the uploader says: one line an event, one line a pass, nothing twice."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.uploader.job import Ending, Result
from shared.removal import Removal
from shared.s3.errors import ObjectError

log: FilteringBoundLogger = structlog.get_logger()

_SAID_MAX = 10_000


@dataclass(slots=True)
class PassCounts:
    """Counts of one pass: all that happened since the pass before ended."""

    found: int = 0
    """Settled files that were looked at."""
    uploaded: int = 0
    already_there: int = 0
    removed: int = 0
    kept: int = 0
    """In S3 and still on disk: held open, or not to be removed."""
    unremovable: int = 0
    """Those of the kept that no pass will remove: the file system refuses, or S3 proves little."""
    unsettled: int = 0
    skipped: int = 0
    """Links, pipes, devices, files without a bucket."""
    parked: int = 0
    held_back: int = 0
    """Not tried because their bucket does not answer as it should."""
    failed: int = 0
    """Failed this time, parked and held back ones included."""
    bytes: int = 0
    """Sent to S3."""

    def fields(self) -> Mapping[str, object]:
        """Return all counts, for the line `pass_finished`."""
        return asdict(self)

    def add(self, other: "PassCounts") -> None:
        """Add another pass's counts."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


class Once:
    """Remembers what was said, so that it is said once; bounded, the oldest is forgotten first."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], None] = {}

    def first(self, event: str, subject: str) -> bool:
        """Say whether `event` is news about `subject`."""
        if (event, subject) in self._said:
            return False
        self._said[event, subject] = None
        if len(self._said) > _SAID_MAX:
            del self._said[next(iter(self._said))]
        return True

    def forget(self, subject: str, *events: str) -> None:
        """Make events about `subject` news again."""
        for event in events:
            self._said.pop((event, subject), None)


class Narrator:
    """Turns results into log lines and counts."""

    def __init__(self) -> None:
        self.counts = PassCounts()
        self.once = Once()

    def take_counts(self) -> PassCounts:
        """Return the counts of the pass that ends and begin anew."""
        counts, self.counts = self.counts, PassCounts()
        return counts

    def told(self, result: Result) -> None:
        """Log and count one result; failures of a bucket are the gate's to report."""
        uri = result.found.uri
        facts = {"bucket": uri.bucket, "key": uri.key}
        match result.ending:
            case Ending.UPLOADED:
                self._uploaded(result, facts)
            case Ending.ALREADY_THERE:
                self.counts.already_there += 1
                # A file that stays on disk is met by every scan, and is news once.
                if self.once.first("file_already_there", result.found.file.path):
                    log.info("file_already_there", **facts, evidence=result.evidence.name)
            case Ending.CHANGED | Ending.VANISHED:
                log.debug("file_left", **facts, reason=result.ending.value)
            case Ending.UNREADABLE | Ending.FAILED:
                self._failed(result, facts)
        if result.delivered:
            self._removal(result, facts)

    def _uploaded(self, result: Result, facts: Mapping[str, str]) -> None:
        size = result.found.file.identity.size
        self.counts.uploaded += 1
        self.counts.bytes += size
        replaced = result.replaced
        extra = (
            {}
            if replaced is None
            else {
                "replaced_etag": replaced.etag,
                "replaced_version": replaced.version,
                "replaced_size_bytes": replaced.size,
            }
        )
        log.info(
            "file_uploaded",
            **facts,
            size_bytes=size,
            duration_seconds=round(result.seconds, 3),
            evidence=result.evidence.name,
            **extra,
        )

    def _removal(self, result: Result, facts: Mapping[str, str]) -> None:
        path = result.found.file.path
        if result.removal is Removal.REMOVED:
            self.counts.removed += 1
            self.once.forget(
                path, "file_already_there", "file_not_removed", "file_held_open", "file_unproven"
            )
            return
        self.counts.kept += 1
        if result.error is not None:
            event, reason = "file_not_removed", str(result.error)
        elif result.removal is Removal.HELD_OPEN:
            event, reason = "file_held_open", "removed once its writer has closed it"
        elif result.removal is None:
            event, reason = "file_unproven", "S3 did not prove that it holds these bytes"
        elif result.removal is Removal.IN_THE_WAY:
            event, reason = "file_not_removed", result.removal.value
        else:
            log.debug("file_left", **facts, reason=result.removal.value)
            return
        if result.removal is not Removal.HELD_OPEN:
            self.counts.unremovable += 1
        if self.once.first(event, path):
            log.warning(event, **facts, reason=reason)

    def _failed(self, result: Result, facts: Mapping[str, str]) -> None:
        self.counts.failed += 1
        error = result.error
        code = error.code if isinstance(error, ObjectError) else type(error).__name__
        request = error.answer.request_id if isinstance(error, ObjectError) else ""
        log.error("file_failed", **facts, code=code, reason=str(error), request_id=request)
