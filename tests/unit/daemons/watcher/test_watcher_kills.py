import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.soak import repetitions
from tests.support.watcher_kill import FAILPOINTS

REPOSITORY = Path(__file__).parents[4]
SEEDS = (1, 2)
# Twenty seconds on two idle cores; the rest is for machines that have other things to do.
LIMIT_SECONDS = repetitions(240, 3600)


def play(kills: int) -> list[dict[str, Any]]:
    """Run the kill programme once a seed, all at the same time: it has to fork without threads."""
    command = [sys.executable, "-W", "error", "-m", "tests.support.watcher_kill"]
    running = [
        subprocess.Popen(
            [*command, "--kills", str(kills), "--seed", str(seed)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )
        for seed in SEEDS
    ]
    try:
        return [json.loads(one.communicate(timeout=LIMIT_SECONDS)[0]) for one in running]
    finally:
        for one in running:
            one.kill()
            one.wait()


@pytest.mark.timeout(LIMIT_SECONDS + 20)
def test_killed_anywhere_every_cid_has_one_whole_result_and_is_recorded() -> None:
    """A spot instance is gone without notice; nothing may be lost, computed twice or half there."""
    kills = repetitions(500, 5000)

    reports = play(kills // len(SEEDS))

    assert [fault for report in reports for fault in report["faults"]] == []
    assert sum(report["kills"] for report in reports) >= kills
    assert {name for report in reports for name in report["by_failpoint"]} == set(FAILPOINTS)
