"""The same ways of an execution on Step Functions as moto interprets them, compared with ours."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.wildlife.commands import logs, run, status
from pipelines.wildlife.states.index import DETECTION
from tests.support.moto_server import MotoServer
from tests.support.soak import SOAKING
from tests.support.wildlife_paths import ADDED, HANGS, STORIES, Story, definition
from tests.support.wildlife_scripted_moto import ScriptedMoto, open_scripted_moto
from tests.support.wildlife_scripted_run import ScriptedRun

_TOLD = [story for story in STORIES if SOAKING or story.quick]


@pytest.fixture
def moto(moto_server: MotoServer, tmp_path: Path) -> Iterator[ScriptedMoto]:
    """An account whose functions and jobs are scripted."""
    with open_scripted_moto(moto_server, tmp_path / "moto") as scripted:
        yield scripted


def test_both_interpreters_tell_the_same_story(moto: ScriptedMoto, tmp_path: Path) -> None:
    """What a local run does is what AWS would do: states, tries, output, error."""
    for story in _TOLD:
        here = ScriptedRun(story, tmp_path)

        here.execute(definition())
        there = moto.execute(story, definition())

        assert there.entered == here.entered == story.states, story.name
        assert moto.script.counts() == here.script.counts(), story.name
        assert (there.status, there.error) == (here.ending.status, here.ending.error), story.name
        assert there.output == here.ending.output, story.name


@pytest.mark.skipif(not SOAKING, reason="time passes as it does; `make soak` waits")
@pytest.mark.parametrize("state", ["Stage2Post", DETECTION])
def test_both_interpreters_end_a_state_that_hangs(
    state: str, moto: ScriptedMoto, tmp_path: Path
) -> None:
    """Nothing may hold a run for ever."""
    story = Story("hangs", {state: (HANGS,)})
    limit = {"TimeoutSeconds": 1, "Retry": []}
    changed = {state: limit} if state != DETECTION else {}
    moto.extra = {"GuardBudget": {"batch_state_timeout_s": 1}}
    here = ScriptedRun(story, tmp_path, extra=moto.extra)

    here.execute(definition(**changed))
    there = moto.execute(story, definition(**changed))

    assert there.error == here.ending.error == "States.Timeout"
    assert there.entered == here.entered


def test_the_commands_follow_an_execution_on_aws(
    moto: ScriptedMoto,
    moto_server: MotoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`run --mode aws` is the same command: output, status, history, whoever did the work."""
    for name, value in moto_server.environment("us-west-2").items():
        monkeypatch.setenv(name, value)
    arn = moto.deploy("dev-wildlife-pipeline")
    document = tmp_path / "input.json"
    document.write_text(json.dumps(Story("").given))
    where = ["--mode", "aws", "--poll-seconds", "0.2"]

    ended = run.main([*where, "--input", str(document)])

    assert ended == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["final_results"] == ADDED["WriteParquet"]["final_results"]
    assert "SubmitBatchStage1: " in told.err
    assert status.main([*where, "--state-machine", arn, "--output", "json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["status"] == "SUCCEEDED"
    if not SOAKING:
        return
    assert status.main([*where, listed["execution"]]) == 0
    assert "WriteParquet: " in capsys.readouterr().out
    assert logs.main([*where, listed["execution"]]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("  ExecutionSucceeded")
    moto.tell(Story("too dear", {"CostEstimation": ("BudgetExceeded",)}))
    assert run.main([*where, "--input", str(document)]) == 3
    assert "BudgetExceeded was scripted" in capsys.readouterr().err
    assert DETECTION not in moto.script.tried
