import pytest

from tests.support.kill_reports import kill_everywhere
from tests.support.soak import repetitions
from tests.support.watcher_kill import FAILPOINTS

# Twenty seconds on two idle cores; the rest is for machines that have other things to do.
LIMIT_SECONDS = repetitions(240, 3600)


@pytest.mark.timeout(LIMIT_SECONDS + 20)
def test_killed_anywhere_every_cid_has_one_whole_result_and_is_recorded() -> None:
    """A spot instance is gone without notice; nothing may be lost, computed twice or half there."""
    kills = repetitions(500, 5000)

    reports = kill_everywhere("watcher_kill", kills, LIMIT_SECONDS)

    assert [fault for report in reports for fault in report["faults"]] == []
    assert sum(report["kills"] for report in reports) >= kills
    assert {name for report in reports for name in report["by_failpoint"]} == set(FAILPOINTS)
