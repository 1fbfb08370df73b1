"""Whether what is deployed can do its work: every finding with what is and what must be. Pure.

The limits are those of the configuration file, else those that the runs were measured with: four
tiles fill 512 MB of storage, and a function that gets three seconds is killed before its first
scene.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from pipelines.glacier.deploy.function.deployment import (
    MEMORY_MB,
    STORAGE_MB,
    TIMEOUT_SECONDS,
    Deployment,
)
from pipelines.glacier.deploy.function.function_plan import ALIAS, FunctionState

Level: TypeAlias = Literal["ok", "warning", "failed"]

TIMEOUT_LEAST_SECONDS = 600
"""Below this a month of one tile does not come to its end."""
_DEPLOY = "towpath glacier deploy --apply"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    level: Level
    current: str
    required: str
    reason: str = ""
    """Why it matters; empty where it is as it must be."""
    fix: str = ""
    """What to do."""

    def to_json(self) -> dict[str, str]:
        """Return the finding as the document has it."""
        return {name: str(value) for name, value in asdict(self).items()}


def judge(
    check: str, current: object, required: object, *, met: bool, reason: str, fix: str = _DEPLOY
) -> Finding:
    """Return a finding that is a failure where the requirement is not met."""
    if met:
        return Finding(check, "ok", str(current), str(required))
    return Finding(check, "failed", str(current), str(required), reason, fix)


def warn(check: str, current: object, required: object, *, reason: str, fix: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(check, "warning", str(current), str(required), reason, fix)


def check_function(
    function: FunctionState, live: FunctionState | None, wanted: Deployment
) -> Iterator[Finding]:
    """Yield what is found of the function itself."""
    yield judge(
        "package type",
        function.package_type,
        "Image",
        met=function.package_type == "Image",
        reason="the libraries are larger than a Zip may be",
        fix=f"{_DEPLOY} --replace",
    )
    yield from _check_image(function, wanted)
    yield from _check_sizes(function, wanted)
    yield judge(
        "architecture",
        function.architecture,
        wanted.architecture,
        met=function.architecture == wanted.architecture,
        reason="an image for the other one does not start",
        fix=f"{_DEPLOY} --replace",
    )
    yield from _check_live(function, live)


def _check_image(function: FunctionState, wanted: Deployment) -> Iterator[Finding]:
    repository = function.image_uri.partition("@")[0].partition("/")[2].partition(":")[0]
    yield judge(
        "image repository",
        repository or "none",
        wanted.repository,
        met=repository == wanted.repository,
        reason="another image has other code",
    )
    if function.package_type == "Image" and not function.image_digest:
        yield warn(
            "image digest",
            function.image_uri or "none",
            "REPOSITORY@sha256:...",
            reason="a tag does not say which code runs",
            fix=_DEPLOY,
        )


def _check_sizes(function: FunctionState, wanted: Deployment) -> Iterator[Finding]:
    settings = function.settings
    yield judge(
        "memory",
        f"{settings.memory_mb} MB",
        f"at least {wanted.memory_mb} MB",
        met=settings.memory_mb >= wanted.memory_mb,
        reason="merging two tiles takes several gigabytes; the run is killed without a word",
    )
    least = min(TIMEOUT_LEAST_SECONDS, wanted.timeout_seconds)
    yield judge(
        "timeout",
        f"{settings.timeout_seconds} s",
        f"at least {least} s",
        met=settings.timeout_seconds >= least,
        reason="a run is stopped before its first results",
    )
    if least <= settings.timeout_seconds < min(wanted.timeout_seconds, TIMEOUT_SECONDS):
        yield warn(
            "timeout",
            f"{settings.timeout_seconds} s",
            f"{wanted.timeout_seconds} s",
            reason="runs are continued more often than need be",
            fix=_DEPLOY,
        )
    yield judge(
        "storage",
        f"{settings.storage_mb} MB",
        f"at least {wanted.storage_mb} MB",
        met=settings.storage_mb >= wanted.storage_mb,
        reason="no space is left on the device after three or four tiles",
    )


def check_configuration(wanted: Deployment) -> Iterator[Finding]:
    """Yield a warning for each size of the file that is smaller than what was measured."""
    for name, value, usual in (
        ("memory_size", wanted.memory_mb, MEMORY_MB),
        ("timeout", wanted.timeout_seconds, TIMEOUT_SECONDS),
        ("ephemeral_storage", wanted.storage_mb, STORAGE_MB),
    ):
        if value < usual:
            yield warn(
                f"[LAMBDA] {name}",
                value,
                usual,
                reason="the configuration file asks for less than runs were measured with",
                fix=f"write {usual} into aws_config.ini",
            )


def _check_live(function: FunctionState, live: FunctionState | None) -> Iterator[Finding]:
    if live is None:
        yield warn(
            f"alias {ALIAS}",
            "not there",
            "leads to a version",
            reason="jobs meet code that has not answered a test",
            fix=_DEPLOY,
        )
        return
    same = (live.image_digest, live.settings) == (function.image_digest, function.settings)
    if same:
        yield Finding(f"alias {ALIAS}", "ok", "the newest", "the newest")
        return
    yield warn(
        f"alias {ALIAS}",
        live.image_digest or "an older version",
        function.image_digest or "the newest",
        reason="the newest code or settings are not what jobs meet",
        fix=_DEPLOY,
    )


def summarize(findings: Sequence[Finding]) -> str:
    """Return the sums, in a line."""
    counts = dict.fromkeys(("ok", "warning", "failed"), 0)
    for finding in findings:
        counts[finding.level] += 1
    return f"{counts['ok']} ok, {counts['warning']} warnings, {counts['failed']} failed"


def exit_status(findings: Sequence[Finding], *, checked: bool) -> int:
    """Return 0 where nothing failed, 1 where something did, 2 where nothing could be checked."""
    if not checked:
        return 2
    return 1 if any(finding.level == "failed" for finding in findings) else 0
