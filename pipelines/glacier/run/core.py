"""One delivery of one job, from its request to its record: what handler and runner both do.

| what happens                                | the run          | the record                      |
|---------------------------------------------|------------------|---------------------------------|
| this submission has an answer already       | gives it again   | stays                           |
| the project is another than the submitter's | ends             | failed                          |
| a region is unknown                         | ends             | invalid                         |
| the time is up, or somebody says stop       | stores what is   | partial, with what is not done  |
|                                             | finished, ends   |                                 |
| an error that nobody foresaw                | raises it        | failed, without an answer: the  |
|                                             |                  | next delivery begins again      |
| the process is killed                       |                  | running; the next delivery goes |
|                                             |                  | on from what is in the bucket   |
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.job_record import FINISHED, RunEntry, RunStatus
from pipelines.glacier.run.limits import Limits
from pipelines.glacier.run.processing import Processing
from pipelines.glacier.run.progress import explain, judge
from pipelines.glacier.run.records import Records
from pipelines.glacier.run.request import Place, RunRequest
from pipelines.glacier.run.response import (
    Answer,
    Facts,
    bounded_event,
    repeated_answer,
    run_answer,
    stored_form,
)
from pipelines.glacier.run.settings import RunSettings
from pipelines.glacier.run.work import Refused, Work
from shared.errors import SuiteError
from shared.s3.store import ObjectStore

log: FilteringBoundLogger = structlog.get_logger()

_RECORD_SECONDS = 10.0
"""Left for the last record where the time is up; where it is not, there is more."""
_RECORD_SECONDS_MAX = 120.0
_MARGIN_SECONDS = 2.0
_FLUSH_SECONDS = 30.0
_FAILURES_MAX = 1000
_ERROR_MAX = 1000
_NOTHING_DONE = (
    "no scene was finished in this delivery; where none ever is, one needs more time than there is:"
    " --service batch has it"
)


def utc_now() -> datetime:
    """Return the time for records."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Machine:
    """Does deliveries on this machine."""

    settings: RunSettings
    store: ObjectStore
    libraries: Mapping[str, str] = field(default_factory=dict)
    now: Callable[[], datetime] = utc_now

    async def run(
        self, request: RunRequest, limits: Limits, *, event: object = None, warnings: Sequence[str]
    ) -> Answer:
        """Do what is asked for within the limits, and keep the record; returns the answer.

        Raises:
            SuiteError, OSError: what nobody foresaw; the record says so if it could be written.
        """
        records = Records(self.store, request.place)
        if request.dry_run:
            entry = _begun(request, None, self, event)
            return await _Delivery(self, request, limits, records, entry, list(warnings)).rehearse()
        earlier = (await records.load()).entry(request.submission_id)
        if earlier is not None and earlier.status in FINISHED:
            repeated = None if request.force_reprocess else repeated_answer(earlier)
            if repeated is not None:
                log.info("run_repeated", status=earlier.status)
                return repeated
        entry = _begun(request, earlier, self, event)
        return await _Delivery(self, request, limits, records, entry, list(warnings)).run()

    async def refuse(self, place: Place, submission_id: str, answer: Answer, event: object) -> None:
        """Record that an event was no request, so that nobody waits for it."""
        records = Records(self.store, place)
        await records.load()
        moment = _moment(self.now())
        entry = RunEntry(submission_id, "invalid", moment, ended_at=moment, event=_event_of(event))
        error = str(answer.body.get("error", ""))
        await records.save(replace(entry, error=error, response=stored_form(answer)))


@dataclass(slots=True)
class _Delivery:
    """One delivery under way."""

    machine: Machine
    request: RunRequest
    limits: Limits
    records: Records
    entry: RunEntry
    """As it was when the delivery began, with what earlier ones did."""
    warnings: list[str]
    work: Work = field(init=False)
    _saving: anyio.Lock = field(default_factory=anyio.Lock)
    _saved_at: float = 0.0

    def __post_init__(self) -> None:
        """Have work to do; its scenes are told here."""
        machine = self.machine
        self.work = Work(
            Processing(
                machine.settings, machine.store, self.request, self.limits, self.entry, self._flush
            )
        )

    async def run(self) -> Answer:
        """Work, and record how it went, whatever happens."""
        await self.records.save(self.entry)
        self._saved_at = anyio.current_time()
        try:
            await self.work.run()
            facts = self._facts()
        except Refused as refusal:
            facts = self._facts(refusal.status, str(refusal))
        except BaseException as error:
            # Whoever waits for the job learns it from the record, whoever called from the error.
            with suppress(SuiteError, TimeoutError):
                await self._save_last(self._entry_now("failed", _said(error)))
            raise
        answer = run_answer(self.request, facts)
        entry = self._entry_now(facts.status, facts.error)
        await self._save_last(replace(entry, response=stored_form(answer)))
        _tell(facts)
        return answer

    async def rehearse(self) -> Answer:
        """Check everything, and run and record nothing."""
        try:
            await self.work.rehearse()
        except Refused as refusal:
            return run_answer(self.request, self._facts(refusal.status, str(refusal)))
        return run_answer(self.request, self._facts("success"))

    def _facts(self, status: RunStatus | None = None, error: str = "") -> Facts:
        """Return what the answer is made of; without a status, as the work went."""
        work, done = self.work, self.work.processing
        failures = done.delivery.failures_by_key if done.delivery else {}
        if status is None:
            status = judge(done.progress, done.end, failures=failures, cut_off=work.cut_off)
            if status == "failed" and done.end is not None:
                error = explain(done.progress, done.end, failures)
        command, project = done.command, work.project
        if status == "partial" and not done.progress.with_status("written"):
            work.warnings.append(_NOTHING_DONE)
        return Facts(
            status,
            done.progress,
            self.records.key,
            end=done.end,
            command=command.argv if command else (),
            mode=self.machine.settings.mode,
            warnings=(*self.warnings, *work.warnings),
            keys=[file.key for file in done.delivery.sent.values()] if done.delivery else [],
            failures=failures,
            error=error,
            remaining_seconds=self.limits.remaining_seconds,
            project_files=project.fetched if project else 0,
            project_digest=project.digest if project else "",
            libraries=self.machine.libraries,
            deliveries=self.entry.deliveries,
        )

    def _entry_now(self, status: RunStatus, error: str = "") -> RunEntry:
        """Return the submission's entry as it is now, earlier deliveries included."""
        entry, work, done = self.entry, self.work, self.work.processing
        sent = done.delivery.sent.values() if done.delivery else ()
        failures = done.delivery.failures_by_key if done.delivery else {}
        peak = done.end.peak_memory_bytes if done.end else 0
        return replace(
            entry,
            status=status,
            ended_at="" if status == "running" else _moment(self.machine.now()),
            scenes=done.progress.entries(entry.scenes),
            files=tuple({file.key: file for file in (*entry.files, *sent)}.values()),
            upload_failures=tuple(f"{key}: {why}" for key, why in failures.items())[:_FAILURES_MAX],
            warnings=(*self.warnings, *work.warnings)[:_FAILURES_MAX],
            error=error[:_ERROR_MAX],
            peak_memory_bytes=max(entry.peak_memory_bytes, peak),
            project_digest=work.project.digest if work.project else entry.project_digest,
            config_sha256=work.project.config_sha256 if work.project else entry.config_sha256,
        )

    async def _flush(self) -> None:
        """Record what is done so far, every now and then: a kill leaves no other trace of it."""
        if self._saving.locked() or anyio.current_time() - self._saved_at < _FLUSH_SECONDS:
            return
        async with self._saving:
            try:
                await self.records.save(self._entry_now("running"))
            except SuiteError as error:
                # The next one, or the last, will do.
                log.warning("record_not_saved", key=self.records.key, reason=str(error))
            self._saved_at = anyio.current_time()

    async def _save_last(self, entry: RunEntry) -> None:
        """Save the entry also when everything else is being ended."""
        left = min(self.limits.remaining_seconds - _MARGIN_SECONDS, _RECORD_SECONDS_MAX)
        with anyio.CancelScope(shield=True), anyio.fail_after(max(left, _RECORD_SECONDS)):
            await self.records.save(entry)


def _begun(
    request: RunRequest, earlier: RunEntry | None, machine: Machine, event: object
) -> RunEntry:
    entry = RunEntry(
        request.submission_id,
        "running",
        _moment(machine.now()),
        version=machine.settings.version,
        project_digest=request.project_digest,
        config_sha256=request.config_sha256,
        event=_event_of(event),
    )
    if earlier is None:
        return entry
    entry = replace(entry, deliveries=earlier.deliveries + 1)
    if earlier.status in FINISHED and earlier.response:
        return entry
    return replace(
        entry,
        started_at=earlier.started_at,
        scenes=earlier.scenes,
        files=earlier.files,
        peak_memory_bytes=earlier.peak_memory_bytes,
    )


def _event_of(event: object) -> Mapping[str, object]:
    said = bounded_event(event)
    return said if isinstance(said, dict) else {"cut": str(said)}


def _moment(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        # What several tasks were ended by, the first one began.
        error = error.exceptions[0]
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _tell(facts: Facts) -> None:
    report = log.error if facts.status == "failed" else log.info
    report(
        "run_finished",
        status=facts.status,
        scenes_found=len(facts.progress.found),
        scenes_written=len(facts.progress.with_status("written")),
        scenes_pending=len(facts.progress.pending),
        files=len(facts.keys),
        failures=len(facts.failures),
        peak_memory_bytes=facts.end.peak_memory_bytes if facts.end else 0,
        error=facts.error,
    )
