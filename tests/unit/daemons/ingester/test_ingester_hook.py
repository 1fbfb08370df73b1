import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemons.ingester.runs.hook import Event, call_hook, event_of

WRITE = (
    "import os, sys; from pathlib import Path; Path(sys.argv[1]).write_text("
    "'|'.join([*sys.argv[2:], os.environ['TOWPATH_EVENT'], os.environ['TOWPATH_REASON']]))"
)


@pytest.mark.parametrize(
    ("failures", "event"),
    [
        (0, Event.ERRORS),
        (1, Event.FAILED),
        (3, Event.FAILED),
        (4, Event.REPEATED),
        (9, Event.REPEATED),
    ],
)
def test_the_fourth_failure_in_a_row_is_another_event(failures: int, event: Event) -> None:
    """One night may be an accident."""
    assert event_of(failures) is event


@pytest.mark.asyncio
async def test_the_hook_is_told_what_happened(tmp_path: Path) -> None:
    """Its arguments are the operator's own, then ours."""
    target, summary = tmp_path / "said", tmp_path / "a.json"

    await call_hook([sys.executable, "-c", WRITE, str(target)], summary, 4, "2 errors")

    assert target.read_text() == f"{summary}|4|failed-repeatedly|2 errors"


@pytest.mark.asyncio
async def test_a_run_that_could_not_begin_has_no_summary(tmp_path: Path) -> None:
    """The argument is there and empty, so that the count keeps its place."""
    target = tmp_path / "said"

    await call_hook([sys.executable, "-c", WRITE, str(target)], None, 1, "no drive\0 'x'")

    assert target.read_text() == "|1|failed|no drive  'x'"


@pytest.mark.asyncio
@pytest.mark.parametrize("program", ["/nowhere/hook", "false"])
async def test_a_hook_that_fails_is_logged_and_nothing_else(program: str) -> None:
    """The run is over, and went as it went."""
    with capture_logs() as logs:
        await call_hook([program], None, 1, "x")

    assert [(one["event"], one["log_level"]) for one in logs] == [("hook_failed", "warning")]
