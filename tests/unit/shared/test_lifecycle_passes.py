import errno
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
import pytest
from structlog.testing import capture_logs

from shared.errors import CredentialsMissing, PermanentError, TransientError
from shared.lifecycle import Control, run_passes
from shared.s3.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsExpired,
    NotFound,
    OutcomeUnknown,
    Unreachable,
)
from shared.s3.uri import S3Uri
from shared.schedule import Pace
from shared.systemd import Notifier

LONG_SECONDS = 1000.0
URI = S3Uri("colony-shots", "a.png")
FULL = OSError(errno.ENOSPC, "no space left on device")
SURVIVED = [
    TransientError("throttled"),
    Unreachable(URI),
    OutcomeUnknown(URI),
    AccessDenied(URI),
    BucketMissing(URI),
    CredentialsExpired(URI),
    FULL,
    OSError(errno.EDQUOT, "quota exceeded"),
    ExceptionGroup("tasks", [Unreachable(URI), ExceptionGroup("inner", [FULL])]),
]
NOT_SURVIVED = [
    PermanentError("no"),
    CredentialsMissing("nobody"),
    NotFound(URI),
    OSError(errno.EIO, "broken disk"),
    ValueError("a mistake of ours"),
    ExceptionGroup("tasks", [Unreachable(URI), ValueError("a mistake of ours")]),
]


class Report:
    """The report of a pass in which all went well."""

    failed = 0

    def fields(self) -> Mapping[str, object]:
        """Return no counts."""
        return {}


@dataclass
class Passes:
    """Passes that end as the test says, and then stop."""

    control: Control
    outcomes: list[Exception | None]
    seen: list[tuple[int, str]] = field(default_factory=list)
    """What the control said of failures when each pass began."""
    wakes: bool = False

    async def run_once(self) -> Report:
        """Do one."""
        self.seen.append((self.control.failures, self.control.trouble))
        if self.wakes:
            self.control.wake()
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome
        if not self.outcomes:
            self.control.stopping.set()
        return Report()


@pytest.fixture
def control() -> Control:
    """Make a control that no life cycle holds."""
    return Control(Notifier({}))


def name_of(error: Exception) -> str:
    """Name a case."""
    return repr(error)[:40]


@pytest.mark.asyncio
async def test_passes_follow_one_another_until_stopping(control: Control) -> None:
    """A pass that fails for now is logged and tried again."""
    slow = TransientError("throttled")
    passes = Passes(control, [None, slow, slow, None, slow, None])
    pace = Pace(interval_seconds=0, first_back_off_seconds=0.001)

    with capture_logs() as logs, anyio.fail_after(10):
        await run_passes(passes.run_once, control, pace, chance=lambda: 0.5)

    said = [(entry["event"], entry.get("failures")) for entry in logs]
    assert said == [
        ("pass_finished", None),
        ("pass_failed", 1),
        ("pass_failed", 2),
        ("pass_finished", None),
        ("pass_failed", 1),
        ("pass_finished", None),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("error", SURVIVED, ids=name_of)
async def test_a_daemon_outlives_what_is_mended_from_outside(
    control: Control, error: Exception
) -> None:
    """A bucket policy that was wrong for an hour must not end a daemon that runs for months."""
    passes = Passes(control, [error, None])
    pace = Pace(interval_seconds=0, first_back_off_seconds=0)

    with capture_logs() as logs, anyio.fail_after(10):
        await run_passes(passes.run_once, control, pace)

    assert [entry["event"] for entry in logs] == ["pass_failed", "pass_finished"]
    (_, before), (failures, trouble) = passes.seen
    assert (before, failures) == ("", 1)
    assert trouble == logs[0]["reason"] != ""
    assert (control.failures, control.trouble) == (0, "")


@pytest.mark.asyncio
@pytest.mark.parametrize("error", NOT_SURVIVED, ids=name_of)
async def test_whatever_else_a_pass_ends_in_ends_the_daemon(
    control: Control, error: Exception
) -> None:
    """A mistake of ours that is repeated for months helps nobody."""
    passes = Passes(control, [error, None])

    with pytest.raises(type(error)) as raised:
        await run_passes(passes.run_once, control, Pace(interval_seconds=0))

    assert raised.value is error


@pytest.mark.asyncio
async def test_waking_brings_the_next_pass_forward(control: Control) -> None:
    """The rhythm is for what nobody tells us."""
    passes = Passes(control, [None, None, None], wakes=True)

    with anyio.fail_after(10):
        await run_passes(passes.run_once, control, Pace(interval_seconds=LONG_SECONDS))

    assert len(passes.seen) == 3


@pytest.mark.asyncio
async def test_waking_does_not_cut_a_back_off_short(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events go on while S3 is down; a pass for each would hammer it."""
    rested: list[float] = []

    async def rest(_control: Control, seconds: float) -> bool:
        rested.append(round(seconds))
        return len(rested) == 2

    monkeypatch.setattr(Control, "rest", rest)
    passes = Passes(control, [TransientError("down"), TransientError("down")], wakes=True)
    pace = Pace(interval_seconds=0, first_back_off_seconds=100)

    with anyio.fail_after(10):
        await run_passes(passes.run_once, control, pace, chance=lambda: 0.0)

    assert rested == [100, 200]


@pytest.mark.asyncio
async def test_a_wait_ends_when_woken(control: Control) -> None:
    """A file event, a request to retry: nobody waits an interval for an answer."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(control.wait, LONG_SECONDS)
            await anyio.wait_all_tasks_blocked()
            control.wake()

        assert control.pulse.waits == []


@pytest.mark.asyncio
async def test_a_call_before_the_wait_is_not_lost(control: Control) -> None:
    """What was dropped while a pass ran is not seen by that pass; the next must come at once."""
    control.wake()

    with anyio.fail_after(10):
        assert not await control.wait(LONG_SECONDS)
    with anyio.move_on_after(0.01) as scope:
        await control.wait(LONG_SECONDS)
    assert scope.cancelled_caught, "one call ends one wait"


@pytest.mark.asyncio
async def test_a_rest_is_not_ended_by_waking(control: Control) -> None:
    """Only stopping ends a back-off."""
    control.wake()

    with anyio.move_on_after(0.01) as scope:
        await control.rest(LONG_SECONDS)
    assert scope.cancelled_caught
    control.stopping.set()
    with anyio.fail_after(10):
        assert await control.rest(LONG_SECONDS)


@pytest.mark.asyncio
async def test_tasks_wait_side_by_side(control: Control) -> None:
    """A heartbeat and the working loop both wait; neither may speak for the other."""
    now = anyio.current_time()
    first, second = control.waiting(LONG_SECONDS), control.waiting(5)

    with first:
        second.__enter__()
        assert control.pulse.beat(now)
        assert not control.pulse.beat(now + 6), "one of them hangs"
    assert control.pulse.beat(now), "ending a wait is progress"
    assert control.pulse.beat(now), "the other still waits"
    second.__exit__(None, None, None)
    control.pulse.beat(now)
    assert not control.pulse.beat(now)
