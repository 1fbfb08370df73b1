import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.kill import FAILPOINTS
from tests.support.soak import repetitions

REPOSITORY = Path(__file__).parents[4]
SEEDS = (1, 2)
# Half a minute on two idle cores; the rest is for machines that have other things to do.
LIMIT_SECONDS = repetitions(280, 3600)


def play(kills: int) -> list[dict[str, Any]]:
    """Run the kill programme once a seed, all at the same time: it has to fork without threads."""
    command = [sys.executable, "-W", "error", "-m", "tests.support.kill", "--kills", str(kills)]
    running = [
        subprocess.Popen([*command, "--seed", str(seed)], cwd=REPOSITORY, stdout=subprocess.PIPE)
        for seed in SEEDS
    ]
    try:
        return [json.loads(one.communicate(timeout=LIMIT_SECONDS)[0]) for one in running]
    finally:
        for one in running:
            one.kill()
            one.wait()


@pytest.mark.timeout(LIMIT_SECONDS + 20)
def test_killed_anywhere_it_loses_repeats_and_leaves_nothing() -> None:
    """A spot machine goes without notice; what was under way must be found whole or done."""
    kills = repetitions(2000, 10_000)

    reports = play(kills // len(SEEDS))

    assert [fault for report in reports for fault in report["faults"]] == []
    assert sum(report["kills"] for report in reports) >= kills
    for report in reports:
        assert set(report["by_failpoint"]) == set(FAILPOINTS)
