"""Why a job is parked, for people: `failed/CID-<CID>.json`. Pure.

The lease says whether a job is parked, this says why: a report beside a lease in any other state is
left over from a crash or a late writer, and means nothing.
"""

from dataclasses import dataclass

from shared.handshake.fields import (
    COUNT_END,
    count_field,
    dump_record,
    line_field,
    one_line,
    parse_record,
    tail_lines,
    text_field,
)
from shared.handshake.layout import CID, JobFolder, parse_job_folder

SCHEMA = 1
TAIL_CHARACTERS_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class FailureReport:
    """What a person needs to mend a job and put it back."""

    cid: str
    job: JobFolder
    step: str
    """`seeds`, `sidecar`, `closest` or the name of another step."""
    reason: str
    """One line: what failed, and what to do."""
    exit_status: int | None
    """Of the step's command; None when it did not end by itself."""
    attempts: int
    host: str
    failed_at: str
    """On the clock of `host`."""
    log_tail: str
    """The last output of the step, without secrets."""

    def to_bytes(self) -> bytes:
        """Return the object's content."""
        return dump_record(
            {
                "schema": SCHEMA,
                "cid": self.cid,
                "job": str(self.job),
                "step": one_line(self.step),
                "reason": one_line(self.reason),
                "exit_status": self.exit_status,
                "attempts": self.attempts,
                "host": one_line(self.host),
                "failed_at": one_line(self.failed_at),
                "log_tail": tail_lines(self.log_tail, TAIL_CHARACTERS_MAX),
            }
        )


def parse_failure(body: bytes, cid: str) -> FailureReport:
    """Read the report of a parked job; ValueError says what is wrong with it."""
    record = parse_record(body, "the failure report", SCHEMA)
    if text_field(record, "cid", CID) != cid:
        raise ValueError(f"the report is of CID {record.get('cid')!r}, and lies under CID {cid}")
    return FailureReport(
        cid=cid,
        job=parse_job_folder(text_field(record, "job", None)),
        step=line_field(record, "step"),
        reason=line_field(record, "reason"),
        exit_status=_exit_status(record.get("exit_status")),
        attempts=count_field(record, "attempts"),
        host=line_field(record, "host"),
        failed_at=line_field(record, "failed_at"),
        log_tail=tail_lines(text_field(record, "log_tail", None), TAIL_CHARACTERS_MAX),
    )


def _exit_status(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= COUNT_END:
        raise ValueError("field 'exit_status' must be a whole number or null")
    return value
