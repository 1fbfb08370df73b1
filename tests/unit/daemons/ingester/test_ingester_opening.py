import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import pytest

from daemons.ingester import cli
from daemons.ingester.opening import local_zone, open_daemon
from daemons.ingester.runs.interval import Interval, load_interval, save_interval
from daemons.ingester.settings import Settings
from daemons.ingester.site_run import SiteRun
from shared.cli import run_command
from shared.errors import AlreadyRunning, ExitStatus
from shared.files import make_folders
from shared.lifecycle import Control
from shared.lock import hold_lock, is_held
from shared.systemd import Notifier
from tests.support.quiet_project import quiet_project, written_files

NOTE = "import sys; from pathlib import Path; Path(sys.argv[1]).write_text(' '.join(sys.argv[2:]))"
LONG_AGO = datetime.now(UTC) - timedelta(days=3)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two sites that ask nobody."""
    return quiet_project(tmp_path / "project", "hardfork", "naddpod")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder."""
    return tmp_path / "state"


def run(project: Path, state: Path, *argv: str) -> int:
    """Do a local run, or what is asked for instead."""
    options = ["--root", str(project), "--state-directory", str(state), "--local-only", *argv]
    return run_command("ingester", cli.main, options)


def local(project: Path, state: Path, schedule: str | None = None) -> Settings:
    """Return the settings of local runs."""
    return Settings(root=project, state_directory=state, local_only=True, schedule=schedule)


def test_a_run_ends_with_a_summary_and_its_traces(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the line to the status, without a network."""
    summary = project / "last.json"

    assert run(project, state, "--json-summary", str(summary)) == ExitStatus.DONE

    out = capsys.readouterr().out
    assert out.startswith("run finished: 2 sites in ")
    document = json.loads(summary.read_text())
    assert [site["siteId"] for site in document["results"]] == ["hardfork", "naddpod"]
    assert document["results"][0]["phases"]["s3-sync"]["status"] == "skipped"
    assert (state / "runs.md").exists()
    assert load_interval(state).last_attempt_at is not None
    assert not is_held(state)


def test_a_broken_site_is_an_error_of_the_run_and_the_hook_is_told(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others have run; the status is 1, not the 4 of other daemons."""
    (project / "sites" / "my-sites" / "naddpod" / "site.config.json").write_text("{")
    said = project / "said"
    hook = [word for part in (sys.executable, "-c", NOTE, str(said)) for word in ("--hook", part)]
    options = [word.replace("--hook", "--failure-hook") for word in hook]
    options = [f"{options[i]}={options[i + 1]}" for i in range(0, len(options), 2)]

    assert run(project, state, *options) == 1

    assert "errors:\n  naddpod: configuration: " in capsys.readouterr().out
    path, failures = said.read_text().split()
    assert json.loads(Path(path).read_text())["hasErrors"] is True
    assert failures == "1"


def test_a_second_run_on_the_same_files_is_refused(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, with 3, and without a trace: the first one's record is not its business."""
    data = project / "aws-local-dev"
    data.mkdir()

    with hold_lock(data):
        assert run(project, state) == 3

    assert "is in use by" in capsys.readouterr().err
    assert not (state / "runs.md").exists()
    assert load_interval(state) == Interval()


def test_a_drive_that_is_not_mounted_is_told_to_the_hook(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was begun: 2, and one more failure in a row."""
    (project / ".local-files-config.json").write_text('{"localFilesPath": "/nowhere/drive"}')

    assert run(project, state) == ExitStatus.USAGE

    assert "mount the drive" in capsys.readouterr().err
    assert load_interval(state).failures == 1
    assert run(project, state, "--status") == ExitStatus.DONE
    assert "mount the drive" in capsys.readouterr().out


def test_a_crash_is_a_failure_in_a_row_and_told_to_the_hook(
    project: Path, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each night the same one, and nobody would know but for the exit status."""

    async def crash(_run: SiteRun) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(SiteRun, "run", crash)

    assert run(project, state) == 1

    assert load_interval(state).failures == 1
    capsys.readouterr()
    run(project, state, "--status")
    assert "trouble     of all things" in capsys.readouterr().out


def test_a_summary_that_could_not_be_written_is_refused_before_the_work(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours later is too late."""
    assert run(project, state, "--json-summary", "/nowhere/a.json") == ExitStatus.USAGE
    assert "--json-summary '/nowhere/a.json'" in capsys.readouterr().err


def test_a_dry_run_leaves_no_trace(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No lock, no status, no folder."""
    assert run(project, state, "--dry-run") == ExitStatus.DONE

    assert capsys.readouterr().out.startswith("dry run finished: 2 sites")
    assert written_files(project) == set()
    assert not state.exists()
    assert not (project / "aws-local-dev").exists()


def test_checks_say_what_is_missing_and_change_nothing(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line a thing; the recogniser is named before the night it is needed."""
    (project / ".env.local").write_text("WHISPER_API_PROVIDER=replicate\n")

    assert run(project, state, "--check", "--sites", "hardfork") == ExitStatus.USAGE

    lines = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["settings"] == "ok"
    assert lines["data"].startswith("ok\t")
    assert "'replicate', which is not supported" in lines["speech hardfork"]
    assert not state.exists()


def test_checks_look_for_what_the_recogniser_needs(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name alone transcribes nothing."""
    (project / ".env.local").write_text(
        "WHISPER_API_PROVIDER=local-whisper.cpp\nWHISPER_CPP_PATH=/nonexistent\n"
    )

    assert run(project, state, "--check", "--sites", "hardfork") == ExitStatus.USAGE

    lines = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["speech hardfork"].startswith("whisper.cpp folder '/nonexistent' does not exist")


def test_a_mistyped_site_is_no_run_that_failed(
    project: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who types it reads the answer; a hook would wake somebody up for it."""
    said = project / "said"
    hook = [f"--failure-hook={word}" for word in (sys.executable, "-c", NOTE, str(said))]

    assert run(project, state, "--sites", "nosuch", *hook) == ExitStatus.USAGE

    assert "'nosuch', which is not known" in capsys.readouterr().err
    assert load_interval(state) == Interval()
    assert not said.exists()


def test_an_unknown_site_in_the_file_is_a_run_that_failed(project: Path, state: Path) -> None:
    """A timer's run has nobody who reads, and would do nothing for weeks."""
    file = project / "ingester.toml"
    file.write_text('sites = "nosuch"\n')

    assert run(project, state, "--config", str(file)) == ExitStatus.USAGE

    assert load_interval(state).failures == 1


@pytest.mark.asyncio
async def test_a_run_that_was_missed_is_made_up_for_and_the_next_one_waited_for(
    project: Path, state: Path
) -> None:
    """Stopped while it waits, it ends at once."""
    make_folders(state)
    save_interval(state, Interval(last_attempt_at=LONG_AGO))
    control = Control(Notifier({}))

    async with open_daemon(local(project, state, "0 8 * * *"), state, control) as daemon:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(daemon.run, control)
                while not (state / "runs.md").exists():  # noqa: ASYNC110 - files have no event
                    await anyio.sleep(0.01)
                assert is_held(state)
                control.stop()

    assert len(list((state / "runs").glob("*.json"))) == 1


@pytest.mark.asyncio
async def test_two_with_a_schedule_do_not_share_a_state(project: Path, state: Path) -> None:
    """Each would do every run."""
    control = Control(Notifier({}))
    async with open_daemon(local(project, state, "0 8 * * *"), state, control) as daemon:
        with hold_lock(state), pytest.raises(AlreadyRunning):
            await daemon.run(control)


@pytest.mark.asyncio
async def test_a_run_by_hand_may_come_between_those_of_a_schedule(
    project: Path, state: Path
) -> None:
    """The lock on the data decides, which is free between runs."""
    control = Control(Notifier({}))
    async with open_daemon(local(project, state), state, control) as daemon:
        with hold_lock(state):
            report = await daemon.run_once()

    assert report.failed == 0


@pytest.mark.parametrize(
    ("name", "key"), [("Europe/Berlin", "Europe/Berlin"), (":Asia/Tokyo", "Asia/Tokyo")]
)
def test_the_zone_is_that_of_the_machine(name: str, key: str) -> None:
    """With its rules, so that eight o'clock stays eight o'clock in summer."""
    assert local_zone({"TZ": name}) == ZoneInfo(key)


@pytest.mark.parametrize("name", ["", "No/Where", "/etc/hostname", "../../etc/passwd"])
def test_there_is_always_a_zone(name: str) -> None:
    """A daemon must not fail for want of a file."""
    assert datetime.now(local_zone({"TZ": name})).utcoffset() is not None
