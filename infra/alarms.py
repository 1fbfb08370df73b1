"""Which alarms a service has, on which metrics, and what each means. Pure.

Rule: every alarm has a section of its own name in docs/alarms.md, which its message names; and
silence is an alarm: where a metric must come, its absence rings as its worst value does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from infra.permissions import NAMESPACE
from shared.metrics import SINCE_REPORT, SINCE_SUCCESS

PAGE = "docs/alarms.md"
_GROUP_NAMESPACE = "AWS/AutoScaling"
_SENT_IN_A_PERIOD = 5
"""So often a daemon sends each of its metrics in five minutes, once for the service."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A limit on a metric."""

    name: str
    """Also the section in the page."""
    metric: str
    limit: float
    meaning: str
    above: bool = True
    """Rings at the limit and above; else below it."""
    silence_rings: bool = False
    namespace: str = NAMESPACE
    statistic: Literal["Maximum", "SampleCount", "Sum"] = "Maximum"
    period_minutes: int = 5
    periods: int = 1
    """How many in a row have to be over the limit."""
    tells_when_well: bool = True
    """Its end means that something was mended."""
    dimensions: Mapping[str, str] | None = None
    """Of a metric that neither our daemons send nor a group of machines."""


def glacier_alarms(function: str, *, timeout_seconds: int, state_machine: str) -> Sequence[Alarm]:
    """Return the alarms of a function and of the state machine that calls it."""
    of_function = {"FunctionName": function}
    return (
        Alarm(
            "errors",
            "Errors",
            1,
            "a call of the function has ended without an answer",
            namespace="AWS/Lambda",
            statistic="Sum",
            # An error is one number, and nobody has mended anything five minutes later.
            tells_when_well=False,
            dimensions=of_function,
        ),
        Alarm(
            "slow",
            "Duration",
            timeout_seconds * 1000 * 4 // 5,
            "a call has taken more than four fifths of the function's time limit",
            namespace="AWS/Lambda",
            tells_when_well=False,
            dimensions=of_function,
        ),
        Alarm(
            "run-broken-off",
            "ExecutionsFailed",
            1,
            "a run of the state machine has not got through its jobs",
            namespace="AWS/States",
            statistic="Sum",
            tells_when_well=False,
            dimensions={"StateMachineArn": state_machine},
        ),
    )


def wildlife_alarms(*, machine: str, exif: str, rule: str) -> Sequence[Alarm]:
    """Return the alarms of wildlife runs: of the state machine, its longest function, its rule."""
    return (
        Alarm(
            "run-broken-off",
            "ExecutionsFailed",
            1,
            "a run has failed, or was refused",
            namespace="AWS/States",
            statistic="Sum",
            # A failure is one number, and nobody has mended anything five minutes later.
            tells_when_well=False,
            dimensions={"StateMachineArn": machine},
        ),
        Alarm(
            "slow",
            "Duration",
            900 * 1000 * 4 // 5,
            "reading the pictures of a run has taken more than four fifths of the time limit",
            namespace="AWS/Lambda",
            tells_when_well=False,
            dimensions={"FunctionName": exif},
        ),
        Alarm(
            "untold",
            "FailedInvocations",
            1,
            "a run has ended, and nobody could be told",
            namespace="AWS/Events",
            statistic="Sum",
            tells_when_well=False,
            dimensions={"RuleName": rule},
        ),
    )


def alarms_of(
    service: Literal["uploader", "watcher"],
    *,
    success_minutes: int,
    machines: int,
    daemons_each: int = 1,
) -> Sequence[Alarm]:
    """Return the alarms of a service on `machines` machines; without machines silence is right.

    `daemons_each` of it run on every machine.
    """
    expected = machines > 0
    alarms = [
        Alarm(
            "silent",
            SINCE_REPORT,
            15 * 60,
            "its working loop has not reported for 15 minutes, or nobody has said so",
            silence_rings=expected,
            periods=3,
        )
    ]
    if success_minutes:
        alarms.append(
            Alarm(
                "no-success",
                SINCE_SUCCESS,
                success_minutes * 60,
                f"nothing has gone well for {success_minutes} minutes, or nobody has said so",
                silence_rings=expected,
                periods=3,
            )
        )
    if (daemons := machines * daemons_each) > 1:
        alarms.append(_too_few_daemons(daemons))
    alarms += [_INSTALL_FAILED, _too_few(machines)] if expected else [_INSTALL_FAILED]
    return [*alarms, *(_UPLOADER if service == "uploader" else _WATCHER)]


_INSTALL_FAILED = Alarm(
    "install-failed",
    "install_failed",
    1,
    "a machine could not install itself",
    # A failure is one number, and missing five minutes later, with nobody having done anything.
    tells_when_well=False,
)


def _too_few_daemons(daemons: int) -> Alarm:
    """Return the alarm of one that is dead among several, whose ages hide that it sends none.

    Each sends one a minute. What the sending itself takes is lost of every minute, so that among
    more than forty daemons a fiftieth has to be missing.
    """
    return Alarm(
        "too-few-daemons",
        SINCE_REPORT,
        min(_SENT_IN_A_PERIOD * (daemons - 1) + 1, _SENT_IN_A_PERIOD * daemons * 98 // 100),
        f"fewer than {daemons} daemons have reported for 15 minutes",
        above=False,
        silence_rings=True,
        statistic="SampleCount",
        periods=3,
    )


def _too_few(machines: int) -> Alarm:
    return Alarm(
        "too-few-machines",
        "GroupInServiceInstances",
        machines,
        f"fewer than {machines} machines have been running for an hour",
        above=False,
        silence_rings=True,
        namespace=_GROUP_NAMESPACE,
        period_minutes=15,
        periods=4,
    )


_UPLOADER = (
    Alarm(
        "backlog",
        "oldest_pending_age_seconds",
        3600,
        "a file that has settled has not left the disk for an hour",
        periods=3,
    ),
    Alarm("parked", "parked_files", 1, "files wait for a person", periods=3),
    Alarm(
        "refused",
        "buckets_refused",
        1,
        "a bucket takes nothing: it is missing, or it denies access",
        periods=3,
    ),
)
_WATCHER = (
    Alarm("parked", "parked_jobs", 1, "CIDs have failed by themselves and wait for a person"),
    Alarm("in-trouble", "in_trouble", 1, "a watcher can do nothing at all", periods=3),
)
