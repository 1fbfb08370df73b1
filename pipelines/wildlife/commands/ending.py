"""What the end of a run means to whoever called the command: its exit status, and what is printed.

| the execution                                       | status            |
|-----------------------------------------------------|-------------------|
| has succeeded                                       | 0                 |
| failed: `InvalidInput`                              | 2                 |
| failed: `BudgetExceeded`                            | 3                 |
| failed: a setting is wrong, or nobody can be acted  | 5                 |
| as; or the detection says so by its exit status 2   |                   |
| failed for another reason, timed out, was aborted   | 4                 |
"""

import json
from collections.abc import Mapping

from pipelines.wildlife.errors import WildlifeStatus
from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.failures import TASK_FAILED, said_by

_BY_ERROR: Mapping[str, WildlifeStatus] = {
    "InvalidInput": WildlifeStatus.INVALID_INPUT,
    "BudgetExceeded": WildlifeStatus.BUDGET_EXCEEDED,
    "UsageError": WildlifeStatus.CONFIGURATION,
    "CredentialsMissing": WildlifeStatus.CONFIGURATION,
    "EndpointRefused": WildlifeStatus.CONFIGURATION,
    "CredentialsExpired": WildlifeStatus.CONFIGURATION,
    "AccessDenied": WildlifeStatus.CONFIGURATION,
    "BucketMissing": WildlifeStatus.CONFIGURATION,
    "CertificateInvalid": WildlifeStatus.CONFIGURATION,
    "Unreachable": WildlifeStatus.CONFIGURATION,
}
_MISCONFIGURED = 2
"""The detection's exit status for bad input or configuration."""
_PREFIX = "Estimated cost exceeds budget: "


def status_of(ending: Ending) -> WildlifeStatus:
    """Return the exit status."""
    if ending.status == Status.SUCCEEDED:
        return WildlifeStatus.DONE
    if ending.error == TASK_FAILED and _exit_code(ending.cause) == _MISCONFIGURED:
        return WildlifeStatus.CONFIGURATION
    return _BY_ERROR.get(ending.error, WildlifeStatus.STAGE_FAILED)


def reason_of(ending: Ending) -> str:
    """Return in words why a run has not succeeded; each line is one mistake."""
    if ending.error == TASK_FAILED:
        return _job_reason(ending.cause)
    cause = ending.cause
    if cause.startswith(f"{_PREFIX}{{"):
        # The state puts what it caught behind words of its own, which the error has as well.
        cause = cause.removeprefix(_PREFIX)
    words = said_by(cause)
    # The status says already of which kind these are.
    return (
        words
        if ending.error in _BY_ERROR and words
        else f"{ending.error}: {words}"
        if words
        else ending.error
    )


def _exit_code(cause: str) -> object:
    attempts = _job(cause).get("Attempts")
    last = attempts[-1] if isinstance(attempts, list) and attempts else {}
    container = last.get("Container") if isinstance(last, Mapping) else None
    return container.get("ExitCode") if isinstance(container, Mapping) else None


def _job_reason(cause: str) -> str:
    job = _job(cause)
    if not job:
        return f"the detection failed: {cause}"
    attempts = job.get("Attempts")
    tried = attempts if isinstance(attempts, list) else []
    said = [_attempt_reason(each) for each in tried if isinstance(each, Mapping)]
    times = f" after {len(said)} attempts" if len(said) > 1 else ""
    why = said[-1] if said else str(job.get("StatusReason", "no reason is given"))
    return f"the detection failed{times}: {why}"


def _attempt_reason(attempt: Mapping[str, object]) -> str:
    container = attempt.get("Container")
    facts = container if isinstance(container, Mapping) else {}
    words = str(facts.get("Reason") or attempt.get("StatusReason") or "")
    code = facts.get("ExitCode")
    return words if code is None else f"exit status {code}: {words}"


def _job(cause: str) -> Mapping[str, object]:
    try:
        found = json.loads(cause)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
