import pytest

from tests.support.kill_reports import kill_everywhere
from tests.support.soak import repetitions
from tests.support.uploader_kill import FAILPOINTS

# Half a minute on two idle cores; the rest is for machines that have other things to do.
LIMIT_SECONDS = repetitions(280, 3600)


@pytest.mark.timeout(LIMIT_SECONDS + 20)
def test_killed_anywhere_it_loses_repeats_and_leaves_nothing() -> None:
    """A spot machine goes without notice; what was under way must be found whole or done."""
    kills = repetitions(2000, 10_000)

    reports = kill_everywhere("uploader_kill", kills, LIMIT_SECONDS)

    assert [fault for report in reports for fault in report["faults"]] == []
    assert sum(report["kills"] for report in reports) >= kills
    for report in reports:
        assert set(report["by_failpoint"]) == set(FAILPOINTS)
