"""Jobs as Batch runs them: real processes with time limit, retry strategy, log and exit status."""

import re
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.support.local_aws_sandbox import Image, Sandbox, settle_all

_LOG_GROUP = "/aws/batch/job"
_LOG_BYTES_MAX = 200_000
_EXITED = "Essential container in task exited"
_TOO_LONG = "Job attempt duration exceeded timeout"
_RECLAIMED = "Host EC2 (instance i-0123456789abcdef0) terminated."
_NO_IMAGE = "CannotPullContainerError: image not found"
_DEFAULT_SECONDS = 600.0


class Jobs:
    """Runs what is submitted."""

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        images: Mapping[str, Image],
        *,
        at_a_time: int,
    ) -> None:
        self.ids: dict[str, str] = {}
        """Of the newest job of each name."""
        self._folder = folder
        self._environ = environ
        self._images = images
        self._lock = threading.Lock()
        self._closed = False
        self._running: dict[str, Sandbox] = {}
        self._reasons: dict[str, str] = {}
        """Why a job's process was ended from outside."""
        self._pool = ThreadPoolExecutor(at_a_time, thread_name_prefix="local-batch")
        self._promised: list[Future[None]] = []

    def start(self, job: Any, strategy: Mapping[str, Any]) -> None:
        """Run a job of moto as soon as there is a place for it."""
        self.ids[job.job_name] = job.job_id
        job.status = "RUNNABLE"
        job.terminate = lambda reason: self.end(job.job_id, reason)
        future = self._pool.submit(self._run, job, strategy)
        with self._lock:
            self._promised.append(future)

    def end(self, job_id: str, reason: str) -> None:
        """End a job as TerminateJob does; one that has not begun does not begin."""
        with self._lock:
            self._reasons.setdefault(job_id, reason)
            sandbox = self._running.get(job_id)
        if sandbox is not None:
            sandbox.send(signal.SIGTERM)

    def reclaim(self, job_id: str) -> None:
        """Take the instance away from a job, as a Spot interruption does."""
        self.end(job_id, _RECLAIMED)

    def wait(self, seconds: float) -> None:
        """Wait until every job has ended; raises TimeoutError."""
        with self._lock:
            promised = list(self._promised)
        settle_all(promised, seconds)

    def close(self) -> None:
        """End every job."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for sandbox in running:
            sandbox.end()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, job: Any, strategy: Mapping[str, Any]) -> None:
        attempt, attempts = 1, int(strategy.get("attempts", 1))
        status, reason = self._attempt(job, attempt)
        while _may_go_on(status, reason) and attempt < attempts:
            if not wants_retry(strategy, status, reason):
                break
            attempt += 1
            status, reason = self._attempt(job, attempt)
        job.exit_code = status
        job.job_stopped_reason = reason
        _show_exit_status(job, status)
        job._mark_stopped(success=status == 0)

    def _attempt(self, job: Any, attempt: int) -> tuple[int, str]:
        """Run a job's process once; returns its status, and why it ended."""
        image = self._images.get(_properties(job).get("image", ""))
        if image is None:
            return 1, _NO_IMAGE
        folder = self._folder / f"job-{job.job_id}-{attempt}"
        with self._lock:
            early = self._reasons.get(job.job_id)
            if self._closed or early is not None:
                return 1, early or "closed"
            sandbox = Sandbox(
                image, _command(job, image), self._variables(job, attempt), folder=folder
            )
            self._running[job.job_id] = sandbox
        job.job_started_at = datetime.now()  # noqa: DTZ005 - as moto's own
        job.log_stream_name = job._stream_name
        job._start_attempt()
        job.status = "RUNNING"
        status, reason = _awaited(sandbox, _limit_of(job))
        with self._lock:
            del self._running[job.job_id]
            # A reclaimed job may be tried again, and ends then by itself.
            reason = self._reasons.pop(job.job_id, reason)
        _keep_attempt(job, status, reason, sandbox.log)
        return status, reason

    def _variables(self, job: Any, attempt: int) -> Mapping[str, str]:
        given = [*_properties(job)["environment"], *job.container_overrides.get("environment", [])]
        return {
            **self._environ,
            **{one["name"]: one["value"] for one in given},
            "AWS_BATCH_JOB_ID": job.job_id,
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "AWS_BATCH_JQ_NAME": job.job_queue.name,
        }


def wants_retry(strategy: Mapping[str, Any], status: int, reason: str) -> bool:
    """Say whether a failed attempt is repeated, by the first rule that fits; without one, yes."""
    facts = {"onStatusReason": reason, "onReason": "", "onExitCode": str(status)}
    for rule in strategy.get("evaluateOnExit", []):
        asked = [name for name in facts if name in rule]
        if all(fnmatchcase(facts[name], rule[name]) for name in asked):
            return bool(rule["action"].upper() == "RETRY")
    return True


def _may_go_on(status: int, reason: str) -> bool:
    # Neither a time limit nor a person's will is overcome by another attempt.
    return status != 0 and reason in {_EXITED, _RECLAIMED}


def _awaited(sandbox: Sandbox, seconds: float) -> tuple[int, str]:
    status = sandbox.ended(seconds)
    if status is None:
        return sandbox.stop() or 1, _TOO_LONG
    return status, _EXITED


def _properties(job: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = job.job_definition.container_properties
    return found


def _command(job: Any, image: Image) -> Sequence[str]:
    words = job.container_overrides.get("command") or _properties(job)["command"]
    parameters: Mapping[str, str] = job.parameters
    filled = [
        re.sub(r"^Ref::(\w+)$", lambda match: parameters.get(match[1], match[0]), word)
        for word in words
    ]
    return [*image.entry, *(filled or image.command)]


def _limit_of(job: Any) -> float:
    limits = job.timeout or job.job_definition.timeout or {}
    return float(limits.get("attemptDurationSeconds", _DEFAULT_SECONDS))


def _keep_attempt(job: Any, status: int, reason: str, log: Path) -> None:
    job.latest_attempt["container"]["exitCode"] = status
    job.latest_attempt["statusReason"] = reason
    job._stop_attempt()
    written = log.read_bytes()[-_LOG_BYTES_MAX:].decode(errors="replace")
    now = int(datetime.now().timestamp() * 1000)  # noqa: DTZ005 - as moto's own
    events = [{"timestamp": now, "message": line} for line in written.splitlines() if line]
    job._log_backend.ensure_log_group(_LOG_GROUP)
    job._log_backend.ensure_log_stream(_LOG_GROUP, job.log_stream_name)
    job._log_backend.put_log_events(_LOG_GROUP, job.log_stream_name, events)


def _show_exit_status(job: Any, status: int) -> None:
    """Have DescribeJobs tell the exit status, which moto forgets where it tells of a container."""
    details = job._container_details
    job._container_details = lambda: {**details(), "exitCode": status}
