import pytest

from tests.support.collector_kill import FAILPOINTS
from tests.support.kill_reports import kill_everywhere
from tests.support.soak import repetitions

# Twenty seconds on two idle cores; the rest is for machines that have other things to do.
LIMIT_SECONDS = repetitions(200, 3600)


@pytest.mark.timeout(LIMIT_SECONDS + 20)
def test_killed_anywhere_every_cid_is_merged_whole_and_recorded_once() -> None:
    """PROD reboots without notice; nothing may be lost, repeated or half visible."""
    kills = repetitions(500, 5000)

    reports = kill_everywhere("collector_kill", kills, LIMIT_SECONDS)

    assert [fault for report in reports for fault in report["faults"]] == []
    assert sum(report["kills"] for report in reports) >= kills
    for report in reports:
        assert set(report["by_failpoint"]) == set(FAILPOINTS)
