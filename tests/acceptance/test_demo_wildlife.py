"""The chapter of the camera traps as a person starts it, with fewer pictures."""

from pathlib import Path

import pytest

from tests.support.demonstration import LIMIT_SECONDS, play

# Four runs in processes of their own; `make test` runs each part of them by itself.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(LIMIT_SECONDS + 20)]


def test_every_visit_is_in_the_table(tmp_path: Path) -> None:
    """From wrong clocks to a report, and not a step beyond the budget."""
    work = tmp_path / "work"

    done = play(work, "wildlife")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "FAILED" not in done.stdout
    assert "Every visit is in the table, at the time it happened." in done.stdout
    assert (work / "wildlife" / "results" / "report.html").read_text().startswith("<!doctype html>")
