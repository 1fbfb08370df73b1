"""What a run on this machine finds out before it begins, and what is noted of one that cannot."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.wildlife.commands import logs, status
from pipelines.wildlife.commands.looking import Notes
from pipelines.wildlife.commands.modes import Misconfigured
from pipelines.wildlife.commands.start_checks import check_apart, check_settings
from pipelines.wildlife.document.checks import check_document
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.machine.history import Happened
from pipelines.wildlife.machine.local_runs import LocalRun, NotesUnusable, begin_run, find_runs
from pipelines.wildlife.machine.view import view_of
from pipelines.wildlife.settings import RunSettings

_NAME = "run-1-20261121T223015"


@pytest.mark.parametrize(("source", "target"), [("card", "link/out"), ("link", "card/out")])
def test_a_link_does_not_lead_results_among_the_pictures(
    tmp_path: Path, source: str, target: str
) -> None:
    """The next run would take crops for pictures."""
    (tmp_path / "card").mkdir()
    (tmp_path / "link").symlink_to("card")
    uris = {"input_uri": f"file://{tmp_path}/{source}", "output_uri": f"file://{tmp_path}/{target}"}
    request = check_document({**uris, "budget_dkk": 1}, local=True)

    with pytest.raises(InvalidInput, match="neither may contain the other"):
        check_apart(request)


@pytest.mark.parametrize("said", [None, "{", '{"stations": [{"id": "a b"}]}'])
def test_a_wrong_file_of_weather_is_told_before_the_run(tmp_path: Path, said: str | None) -> None:
    """Weather never fails a run, so the run would only end without any."""
    file = tmp_path / "weather.json"
    if said is not None:
        file.write_text(said)

    with pytest.raises(Misconfigured, match="weather_file"):
        check_settings(RunSettings(weather_file=file))
    file.write_text('{"stations": []}')
    check_settings(RunSettings(weather_file=file))


def test_a_state_directory_that_is_none_is_a_matter_of_configuration(tmp_path: Path) -> None:
    """One line instead of a traceback, for whoever mistypes it."""
    (tmp_path / "file").touch()

    with (
        pytest.raises(NotesUnusable, match="--state-directory"),
        begin_run(tmp_path / "file", _NAME),
    ):
        pass
    with pytest.raises(NotesUnusable, match="not a directory"):
        find_runs(tmp_path / "file")


def test_a_history_without_room_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of which nothing is noted could not be told from a dead one."""
    monkeypatch.setattr(LocalRun, "history", Path("/dev/full"))

    with (
        pytest.raises(NotesUnusable, match="no space left on device"),
        begin_run(tmp_path, _NAME) as (_, keep),
    ):
        keep(b"{}\n")


@pytest.mark.asyncio
async def test_a_run_without_any_event_does_not_go_on_for_ever(tmp_path: Path) -> None:
    """The disk was full, or it was killed at once: nobody holds its folder."""
    with begin_run(tmp_path, _NAME):
        (view,) = await Notes(tmp_path).newest(1)
        assert view.status == "RUNNING"

    (view,) = await Notes(tmp_path).newest(1)

    assert view.status == "ABORTED"
    assert (await Notes(tmp_path).events(""))[0].cause == "killed"


def test_why_there_is_no_weather_is_among_the_warnings() -> None:
    """The run has succeeded, and the name of an error alone would help nobody."""
    cause = json.dumps({"errorType": "UsageError", "errorMessage": "no file\nno contact"})
    payload = {"warnings": ["odd"], "weather_error": {"Error": "UsageError", "Cause": cause}}
    entered = {"name": "WriteParquet", "input": json.dumps(payload)}
    event = Happened(1, datetime(2026, 1, 1, tzinfo=UTC), "TaskStateEntered", entered)

    assert view_of("x", [event]).warnings == [
        "odd",
        "no weather: no file",
        "no weather: no contact",
    ]


@pytest.mark.parametrize("main", [status.main, logs.main])
def test_who_looks_at_a_run_need_not_know_how_one_is_made(
    main: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all settings those are offered that find the run."""
    with pytest.raises(SystemExit):
        main(["--help"])

    said = capsys.readouterr().out
    assert "--endpoint-url" in said
    assert "--detector" not in said
