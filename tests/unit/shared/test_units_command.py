import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.cli import run_command
from shared.units import request
from shared.units_command import main

FAKE = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
*--version*) echo "systemd 252 (252.1)";;
*list-units*) cat "{states}" 2>/dev/null;;
*enable*|*disable*) ;;
*"{failing}"*) echo "Job for it failed." >&2; exit 1;;
esac
exit 0
"""


class Machine:
    """A person's home, a project in it, and a systemctl that writes down what it is asked."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.home = folder / "home of me"
        self.config = self.home / ".config" / "towpath"
        self.config.mkdir(parents=True)
        self.units = self.home / ".config" / "systemd" / "user"
        self.prefix = folder / "towpath"
        self.log = folder / "asked"
        (self.prefix / "bin").mkdir(parents=True)
        (self.prefix / "bin" / "towpath").symlink_to("/bin/true")
        (folder / "run" / "systemd").mkdir(parents=True)
        patch.setenv("HOME", str(self.home))
        patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        patch.setenv("PATH", f"{folder / 'tools'}:/usr/bin:/bin")
        self.fake_systemctl()

    def fake_systemctl(self, *, failing: str = "no such thing") -> None:
        """Let it refuse what has these words in it."""
        program = self.folder / "tools" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        states = self.folder / "states"
        program.write_text(FAKE.format(log=self.log, states=states, failing=failing))
        program.chmod(0o755)

    def configure(self, service: str, text: str) -> None:
        """Write a service's file."""
        (self.config / f"{service}.toml").write_text(text)

    def uploader(self) -> None:
        """Have an uploader with a root that is not there yet."""
        self.configure("uploader", f'directory = "{self.home}/pro ject/output/s3"\n')

    def call(self, action: str, *words: str) -> int:
        """Run `towpath units ACTION --user`."""
        more = () if action == "remove" else ("--prefix", str(self.prefix))
        return run_command("units", main, [action, "--user", *more, *words])

    def asked(self) -> Sequence[str]:
        """Return what systemctl was asked to change."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        words = [line.removeprefix("--user ") for line in lines]
        return [line for line in words if not line.startswith(("--version", "list-units"))]

    def files(self) -> set[str]:
        """Return the unit files that are there."""
        found = self.units.rglob("*")
        return {str(path.relative_to(self.units)) for path in found if path.is_file()}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of one's own."""
    if sys.platform == "darwin":
        pytest.skip("launchd takes the place of systemd here")
    return Machine(tmp_path, monkeypatch)


def test_install_writes_enables_and_starts_and_says_so(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person did with one command has to be readable afterwards."""
    machine.uploader()

    status = machine.call("install")

    out = capsys.readouterr().out.splitlines()
    assert status == 0
    assert machine.files() == {
        "towpath.target",
        "towpath-.service.d/hardening.conf",
        "towpath-uploader.service",
        "towpath-uploader.service.d/needs.conf",
    }
    assert machine.asked() == [
        "daemon-reload",
        "enable -- towpath.target towpath-uploader.service",
        "start -- towpath.target towpath-uploader.service",
    ]
    assert out[0] == f"created folder '{machine.home}/pro ject/output/s3'"
    assert out[-1] == "started towpath-uploader.service"
    unit = (machine.units / "towpath-uploader.service").read_text()
    assert f'--config "{machine.config}/uploader.toml"' in unit


def test_a_dry_run_says_the_same_and_changes_nothing(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run that does something is a trap."""
    machine.uploader()

    assert machine.call("install", "--dry-run") == 0

    out = capsys.readouterr().out.splitlines()
    assert all(line.startswith("would ") for line in out)
    assert "would start towpath-uploader.service" in out
    assert not machine.units.exists()
    assert not machine.asked()
    assert not (machine.home / "pro ject").exists()


def test_wrong_configurations_are_all_said_and_nothing_is_written(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half an installation would have to be taken apart by hand."""
    machine.configure("uploader", "interval_seconds = -1\n")
    machine.configure("watcher", 'root = "relative"\n')
    machine.configure("collector", 'bucket = "a-bucket"\n')

    status = machine.call("install")

    said = capsys.readouterr().err
    assert status == 2
    assert "uploader: " in said
    assert "interval_seconds = -1" in said
    assert "watcher: --bucket is required" in said
    assert not machine.units.exists()


def test_a_relative_root_is_refused_until_it_is_said_where_it_starts(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a shell it is the working folder; a unit has none."""
    machine.configure("collector", 'bucket = "a-bucket"\n')

    assert machine.call("install") == 2
    assert "--working-directory" in capsys.readouterr().err
    assert machine.call("install", "--working-directory", str(machine.home / "vasco")) == 0

    drop_in = machine.units / "towpath-collector.service.d/needs.conf"
    assert f"WorkingDirectory={machine.home / 'vasco'}\n" in drop_in.read_text()


def test_the_environment_of_the_shell_counts_for_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The unit would not have it, and would fail at the next boot."""
    monkeypatch.setenv("BUCKET", "a-bucket")
    machine.configure("collector", f'root = "{machine.home}/vasco"\n')

    assert machine.call("install") == 2
    assert "collector: --bucket is required" in capsys.readouterr().err


def test_what_does_not_start_is_said_and_the_rest_stands(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A role may take minutes to be known; the unit tries again by itself."""
    machine.uploader()
    machine.fake_systemctl(failing="start --")

    status = machine.call("install")

    said = capsys.readouterr()
    assert status == 4
    assert "Job for it failed." in said.err
    assert "enabled towpath-uploader.service" in said.out


def test_what_fails_again_and_again_is_not_taken_for_running(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 0 would end the script that should have told somebody."""
    machine.uploader()
    machine.call("install")
    line = "towpath-uploader.service loaded activating auto-restart Towpath uploader\n"
    (machine.folder / "states").write_text(f"towpath.target loaded active active All\n{line}")
    machine.fake_systemctl(failing="restart --")

    assert machine.call("install") == 4
    assert "Job for it failed." in capsys.readouterr().err
    assert machine.asked()[-1] == "restart -- towpath-uploader.service"


def test_what_fails_while_it_is_stopped_for_good_is_forgotten(machine: Machine) -> None:
    """`systemctl --failed` would name a unit that no longer exists."""
    machine.uploader()
    machine.call("install")
    name = "towpath-uploader.service"
    both = f"{name} loaded active running U\n{name} loaded failed failed U\n"
    (machine.folder / "states").write_text(both)

    machine.call("remove")

    assert "stop -- towpath-uploader.service" in machine.asked()
    assert "reset-failed -- towpath-uploader.service" in machine.asked()


@pytest.mark.parametrize("runtime", ["", "/nowhere"])
@pytest.mark.parametrize("action", ["install", "remove"])
def test_who_came_by_su_is_told_how_to_come(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    action: str,
    runtime: str,
) -> None:
    """Half of it would be written, and systemd's words for it help nobody."""
    machine.uploader()
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)

    assert machine.call(action) == 2
    assert "loginctl enable-linger USER" in capsys.readouterr().err
    assert not machine.units.exists()
    assert machine.call(action, "--dry-run") == 0


def test_remove_takes_away_what_install_wrote_and_nothing_else(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data, state, configuration, and what a person added stay."""
    machine.uploader()
    machine.call("install")
    own = machine.units / "towpath-uploader.service.d" / "override.conf"
    own.write_text("[Service]\nNice=5\n")
    capsys.readouterr()

    assert machine.call("remove") == 0

    assert machine.files() == {str(own.relative_to(machine.units))}
    assert (machine.config / "uploader.toml").exists()
    assert (machine.home / "pro ject/output/s3").is_dir()
    assert machine.call("remove") == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_show_prints_what_install_would_write(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who installs by hand, or by another tool, takes it from here."""
    machine.uploader()

    assert machine.call("show", "uploader") == 0

    out = capsys.readouterr().out
    assert f"# --- {machine.units}/towpath-uploader.service\n" in out
    assert "Type=notify\n" in out
    assert not machine.units.exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["uplaoder"], "did you mean 'uploader'"),
        (["watcher"], "watcher: there is no"),
        (["uploader", "--instances", "4"], "only one of uploader"),
        (["uploader", "--instances", "0"], "no number from 1"),
        (["uploader", "--run-as", "me"], "are for system units"),
        (["uploader", "--prefix", "/nowhere"], "there is no program"),
    ],
)
def test_what_cannot_be_is_refused_with_a_line(
    machine: Machine, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    """Each says what to do instead."""
    machine.uploader()

    assert machine.call("install", *words) == 2
    assert why in capsys.readouterr().err
    assert not machine.units.exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--run-as", "nobody-of-this-name"], "is no user of this machine"),
        (["--run-as", "root"], "would undo the confinement"),
        (["--group", "x\nUser=root"], "no name that a unit can say"),
        (["--group", "no-such-group"], "is no group of this machine"),
    ],
)
def test_people_whom_no_unit_can_run_as_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    """Before anything of the configuration is looked at: the line would be the unit's."""
    monkeypatch.setattr(request, "chosen_services", lambda *_: ["uploader"])
    monkeypatch.setattr(request, "load_needs", lambda *_: [])

    assert run_command("units", main, ["install", "--dry-run", *words]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert all(line.startswith("towpath units: ") for line in said.splitlines())


def test_without_any_configuration_it_says_how_to_begin(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first thing that a newcomer meets."""
    assert machine.call("install") == 2
    assert "towpath config reference --toml" in capsys.readouterr().err


def test_a_machine_without_systemd_is_told_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A container, or another init."""
    machine.uploader()
    monkeypatch.setenv("PATH", str(machine.folder / "nothing"))

    assert machine.call("install") == 2
    assert "no systemctl on this machine" in capsys.readouterr().err
