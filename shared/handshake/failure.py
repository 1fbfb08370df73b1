"""Why a job is parked, for people: `failed/CID-<CID>.json`. Pure."""

import re
from dataclasses import dataclass

from shared.handshake.fields import count_field, dump_record, parse_record, text_field
from shared.handshake.layout import CID, JobFolder, parse_job_folder

SCHEMA = 1
TAIL_CHARACTERS_MAX = 16 * 1024
_LINE = re.compile(r"[^\x00-\x1f\x7f]{0,2000}")


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
                "step": self.step,
                "reason": " ".join(self.reason.split())[:2000],
                "exit_status": self.exit_status,
                "attempts": self.attempts,
                "host": self.host,
                "failed_at": self.failed_at,
                "log_tail": self.log_tail[-TAIL_CHARACTERS_MAX:],
            }
        )


def parse_failure(body: bytes, cid: str) -> FailureReport:
    """Read the report of a parked job; ValueError says what is wrong with it."""
    record = parse_record(body, "the failure report", SCHEMA)
    if text_field(record, "cid", CID) != cid:
        raise ValueError(f"the report is of CID {record.get('cid')!r}, and lies under CID {cid}")
    status = record.get("exit_status")
    if status is not None and (not isinstance(status, int) or isinstance(status, bool)):
        raise ValueError("field 'exit_status' must be a whole number or null")
    return FailureReport(
        cid=cid,
        job=parse_job_folder(text_field(record, "job", None)),
        step=text_field(record, "step", _LINE),
        reason=text_field(record, "reason", _LINE),
        exit_status=status,
        attempts=count_field(record, "attempts"),
        host=text_field(record, "host", _LINE),
        failed_at=text_field(record, "failed_at", _LINE),
        log_tail=text_field(record, "log_tail", None),
    )
