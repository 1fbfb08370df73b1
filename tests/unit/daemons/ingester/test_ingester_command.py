import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemons.ingester import cli
from daemons.ingester.runs.interval import Interval, save_interval
from daemons.ingester.settings import Settings
from shared import completion
from shared.cli import run_command, summary
from shared.errors import AlreadyRunning, ExitStatus
from shared.settings import Loaded, load_settings

HEAVY = {"aiobotocore", "aiohttp", "anyio", "structlog", "uvloop"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two sites."""
    for site in ("hardfork", "naddpod"):
        folder = tmp_path / "sites" / "my-sites" / site
        folder.mkdir(parents=True)
        document = {
            "id": site,
            "domain": f"{site}.browse.show",
            "appHeader": {"primaryTitle": site},
            "includedPodcasts": [
                {
                    "id": f"{site}-pod",
                    "rssFeedFile": f"{site}.xml",
                    "title": site,
                    "status": "active",
                    "url": "https://feeds.test/x",
                }
            ],
            "whisperTranscriptionPrompt": site,
        }
        (folder / "site.config.json").write_text(json.dumps(document))
    return tmp_path


def call(*argv: str) -> int:
    """Run the command as `towpath` does."""
    return run_command("ingester", cli.main, argv)


def loaded(*argv: str, environ: dict[str, str] | None = None) -> Loaded[Settings]:
    """Read settings as the command does."""
    return load_settings(Settings, argv, environ or {}, service="ingester")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--skip-pre-snyc"], "unrecognized arguments: --skip-pre-snyc"),
        (["ran"], "unknown command 'ran'; commands are run, gap, sync"),
        (["run", "gap"], "unrecognized arguments: gap"),
        (["--max-episodes", "0"], "--max-episodes '0' is not valid"),
        (
            ["--sync-folders", "audio,video"],
            (
                "--sync-folders 'audio,video' is not valid; 'video' is no folder; allowed: audio, "
                "transcripts, search-entries, episode-manifest, rss, search-index"
            ),
        ),
        (["--sync-folders", ","], "it names no folder; allowed: audio, transcripts"),
        (["--user-agent", "a\nb"], "--user-agent 'a\\nb' is not valid; allowed: one line of text"),
        (["sync", "--direction", "sideways"], "allowed: one of pull, push, both"),
        (["sync", "--conflicts", "x"], "--conflicts 'x' is not valid; allowed: one of newer, s3"),
        (["--schedule", "every day"], "--schedule 'every day' is not valid; allowed: minute"),
        (["--log-level", "loud"], "allowed: one of trace, debug, info, warn, warning, error"),
        (["--index-mode", "local"], "--index-mode local needs --index-command"),
        (["--index-command", "x", "--index-command", "{y}"], "unknown placeholder '{y}'"),
        (["--allow-networks", "home"], "not valid; 'home' is no network"),
        (["--min-interval-hours", "24", "--root", "/nowhere"], "no site below '/nowhere/sites'"),
        (["--dry-run", "--once"], "not allowed with argument"),
        (["--sites", ","], "names no site"),
        (["--sites", ""], "--sites '' is not valid; write a value, or leave the flag out"),
        (["--sync-folders", ""], "--sync-folders '' is not valid"),
        (["--max-episodes", ""], "--max-episodes '' is not valid"),
        (["--schedule", ""], "--schedule '' is not valid"),
        (["--root", ""], "--root '' is not valid"),
        (["--sites", "hardfrok"], "'hardfrok', which is not known; known: hardfork, naddpod"),
    ],
    ids=str,
)
def test_what_is_mistyped_is_an_error_of_usage(
    project: Path, argv: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flag that is silently ignored runs the phase that somebody meant to leave out."""
    at = [] if "--root" in argv or not argv[0].startswith("-") else ["--root", str(project)]
    state = ["--state-directory", str(project / "state")] if at else []

    assert call(*argv, *at, *state) == ExitStatus.USAGE
    assert said in capsys.readouterr().err


def test_old_flags_mean_what_they_meant() -> None:
    """They are in the crontabs of people who come from the scripts."""
    for old, new in cli._OLD_FLAGS.items():
        assert getattr(loaded(new).settings, new.removeprefix("--").replace("-", "_"))
        assert call("run", old, "--nope") == ExitStatus.USAGE


def save(project: Path, *, hours_ago: float, sites: Sequence[str]) -> list[str]:
    """Write down when a run was last complete; returns the options that look for it."""
    state = project / "state"
    state.mkdir()
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    save_interval(state, Interval(at, at, 0, dict.fromkeys(sites, at)))
    return ["--root", str(project), "--state-directory", str(state), "--min-interval-hours", "24"]


def test_a_run_that_is_not_due_ends_at_once(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Launchd starts it at every login."""
    options = save(project, hours_ago=3, sites=["hardfork", "naddpod"])
    monkeypatch.setattr(cli, "_open_daemon", lambda: pytest.fail("it was opened"))

    assert call(*options) == ExitStatus.DONE
    assert capsys.readouterr().out.startswith("nothing to do: ")


@pytest.mark.parametrize(("hours", "sites"), [(25, ["hardfork", "naddpod"]), (1, ["hardfork"])])
def test_a_run_that_is_due_is_done(project: Path, hours: float, sites: list[str]) -> None:
    """Also where only some of the sites were part of the last one."""
    settings = loaded(*save(project, hours_ago=hours, sites=sites)).settings

    assert cli._not_due(settings, project / "state") is None


def test_a_confined_run_puts_off_those_that_are_confined_like_it(project: Path) -> None:
    """A login item that transcribes here alone must do so once a day, and stop nobody else."""
    options = save(project, hours_ago=1, sites=["hardfork --local-only", "naddpod --local-only"])

    whole, confined = loaded(*options), loaded(*options, "--local-only")

    assert cli._not_due(whole.settings, project / "state") is None
    assert cli._not_due(confined.settings, project / "state") is ExitStatus.DONE


def test_a_run_that_is_not_due_loads_nothing_heavy(project: Path) -> None:
    """It answers in well under a second."""
    options = save(project, hours_ago=3, sites=["hardfork", "naddpod"])
    program = (
        "import sys; from daemons.ingester.cli import main; "
        f"status = main({options!r}); print(status, *sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    line = done.stdout.splitlines()[-1].split()
    assert line[0] == "0"
    assert not HEAVY & set(line)


@pytest.mark.parametrize(
    ("argv", "environ", "written", "level"),
    [
        ((), {}, "", "info"),
        ((), {"LOG_LEVEL": "warn"}, "", "warning"),
        ((), {"LOG_LEVEL": "trace"}, "LOG_LEVEL=error\n", "error"),
        (("--log-level", "TRACE"), {"LOG_LEVEL": "warn"}, "LOG_LEVEL=error\n", "debug"),
    ],
)
def test_the_level_of_the_log_has_the_old_names_and_places(
    tmp_path: Path, argv: Sequence[str], environ: dict[str, str], written: str, level: str
) -> None:
    """Flag, then the project's file, then the environment."""
    (tmp_path / ".env.local").write_text(written)

    settings = cli._complete(loaded("--root", str(tmp_path), *argv, environ=environ))

    assert settings.log_level == level


def test_a_wrong_level_in_the_projects_file_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the last place where somebody would look."""
    (tmp_path / ".env.local").write_text("LOG_LEVEL=loud\n")

    assert call("--root", str(tmp_path)) == ExitStatus.USAGE
    assert f"'loud' in {str(tmp_path / '.env.local')!r}" in capsys.readouterr().err


@pytest.mark.parametrize("verb", cli._VERBS)
def test_every_other_command_is_there(verb: str) -> None:
    """The help lists it with what it says of itself."""
    module = cli._module(verb)

    assert summary(module)
    assert callable(import_module(module).main)


def test_the_help_lists_the_other_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """And a shell completes them."""
    with pytest.raises(SystemExit):
        call("--help")

    text = capsys.readouterr().out
    assert completion._verbs(text) == list(cli._VERBS)
    assert "--plan, --dry-run" in text
    assert "gap: compare the local files" in text


@pytest.mark.parametrize(
    ("ending", "status"),
    [(0, 0), (2, 2), (ExitStatus.PARTLY_DONE, 1), (ExitStatus.UNREACHABLE, 1), (None, 3)],
)
def test_other_commands_end_with_the_numbers_of_the_contract(
    ending: int | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that somebody holds is 3 everywhere."""

    def main(argv: Sequence[str]) -> int:
        assert list(argv) == ["--sites", "a"]
        if ending is None:
            raise AlreadyRunning("'x' is in use")
        return ending

    monkeypatch.setitem(sys.modules, "daemons.ingester.commands.gap", SimpleNamespace(main=main))

    assert call("gap", "--sites", "a") == status
