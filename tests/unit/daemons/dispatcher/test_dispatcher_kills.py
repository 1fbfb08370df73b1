import pytest

from tests.support.dispatcher_kill import FAILPOINTS
from tests.support.kill_reports import kill_everywhere
from tests.support.soak import repetitions

# Ten seconds on two idle cores; the rest is for machines that have other things to do.
LIMIT_SECONDS = repetitions(110, 3600)


@pytest.mark.timeout(LIMIT_SECONDS + 20)
def test_killed_anywhere_no_cid_is_sent_twice_and_none_left_out() -> None:
    """PROD is a workstation that people switch off; the ledger's last line may be torn by it."""
    kills = repetitions(500, 5000)

    reports = kill_everywhere("dispatcher_kill", kills, LIMIT_SECONDS)

    assert [fault for report in reports for fault in report["faults"]] == []
    assert sum(report["kills"] for report in reports) >= kills
    for report in reports:
        assert set(report["by_failpoint"]) == set(FAILPOINTS)
        assert report["torn"] > 0
