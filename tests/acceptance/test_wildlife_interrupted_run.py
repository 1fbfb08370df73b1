"""A local run that is interrupted, as a person at a terminal does it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.soak import SOAKING
from tests.support.wildlife_forest import FOX, Forest

_PROJECT = Path(__file__).resolve().parents[2]
_LIMIT_SECONDS = 100


def _start(forest: Forest, *words: str) -> "subprocess.Popen[str]":
    where = ("--state-directory", str(forest.state))
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.wildlife", *words, *where],
        cwd=_PROJECT,
        env={"HOME": str(forest.folder), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not SOAKING, reason="starts many processes; `make soak` does")
def test_an_interrupted_run_is_aborted_and_goes_on_from_there(tmp_path: Path) -> None:
    """Ctrl-C leaves no child, says so in the history, and loses no finished chunk.

    On the way the detection loses its machine once, and goes on by itself.
    """
    forest = Forest(tmp_path)
    for number in range(300):
        forest.take("cam03", f"IMG_{number:04d}.JPG", number % 24, [FOX])
    words = ("run", "--input", forest.document(), "--chunk-pictures", "2")
    running = _start(forest, *words, "--fault", "SubmitBatchStage1=spot")
    assert running.stderr is not None
    next(line for line in running.stderr if line.startswith("CostEstimation"))
    following = _start(forest, "logs", "--follow")
    assert following.stdout is not None
    next(line for line in following.stdout if "TaskProgressed" in line and " of 303" in line)

    running.send_signal(signal.SIGINT)
    running.communicate(timeout=_LIMIT_SECONDS)
    following.communicate(timeout=_LIMIT_SECONDS)

    assert (running.returncode, following.returncode) == (130, 0)
    assert forest.events()[-1]["type"] == "ExecutionAborted"
    finished = len([*(forest.out / "stage1/chunks").glob("*.json")])
    assert finished
    again = _start(forest, *words)
    _, said = again.communicate(timeout=_LIMIT_SECONDS)
    assert again.returncode == 0, said
    log = max(forest.state.glob("runs/*/detection-1.log")).read_text()
    assert log.count('"chunk_skipped"') == finished
