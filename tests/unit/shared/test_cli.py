import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from shared import cli
from shared.errors import AlreadyRunning, ExitStatus, SuiteError, UsageError
from shared.s3.errors import CredentialsExpired, Unreachable
from shared.s3.uri import S3Uri

Raiser = Callable[[Sequence[str]], int]


def raising(error: BaseException) -> Raiser:
    """Make a command that ends in this error."""

    def command(_argv: Sequence[str]) -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (
            UsageError("a is wrong\nb too"),
            2,
            "towpath carrier: a is wrong\ntowpath carrier: b too\n",
        ),
        (AlreadyRunning("in use"), 5, "towpath carrier: in use\n"),
        (SuiteError("odd"), 1, "towpath carrier: odd\n"),
        (ExceptionGroup("", [AlreadyRunning("in use")]), 5, "towpath carrier: in use\n"),
        (
            ExceptionGroup("", [SuiteError("x"), ExceptionGroup("", [UsageError("x")])]),
            1,
            "towpath carrier: x\n",
        ),
        (Unreachable(S3Uri("b", "k")), 6, "towpath carrier: s3://b/k: Unreachable\n"),
        (CredentialsExpired(S3Uri("b", "k")), 3, "towpath carrier: s3://b/k: CredentialsExpired\n"),
        (OSError(28, "disk full"), 7, "towpath carrier: [Errno 28] disk full\n"),
        (KeyboardInterrupt(), 130, ""),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ValueError("x")]), 130, ""),
    ],
)
def test_an_expected_end_is_one_line_and_a_status(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, text: str
) -> None:
    """Scripts read the status, people the line; a traceback is for neither."""
    assert cli.run_command("carrier", raising(error), []) == status
    assert capsys.readouterr().err == text


@pytest.mark.parametrize(
    "error",
    [ValueError("bug"), BrokenPipeError(32, "bug"), ExceptionGroup("", [ValueError("bug")])],
)
def test_a_bug_is_logged_with_its_traceback(
    capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """A broken connection that nobody handled must not pass for `| head`."""
    assert cli.run_command("carrier", raising(error), []) == ExitStatus.UNEXPECTED

    text = capsys.readouterr().err
    assert "command_crashed" in text
    assert "Traceback" in text
    assert "bug" in text


def test_arguments_and_status_go_through() -> None:
    """A contract may fix its own numbers for a command."""
    assert cli.run_command("carrier", lambda argv: 40 + len(argv), ["a", "b"]) == 42


def test_a_command_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command knows no service by name; installing one is enough."""
    module = types.ModuleType("fake_carrier")
    module.main = len  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, "fake_carrier", module)
    monkeypatch.setattr(cli, "command_modules", lambda: {"carrier": "fake_carrier"})

    assert cli.main(["carrier", "-a", "--help"]) == 2


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """`towpath confg` is a typing error, not a reason to read the manual."""
    assert cli.main(["confg"]) == ExitStatus.USAGE
    assert capsys.readouterr().err == "towpath: unknown command 'confg'; did you mean 'config'?\n"
    assert cli.main(["zzz"]) == ExitStatus.USAGE
    said = capsys.readouterr().err
    assert "commands are " in said
    assert "completion, config, " in said


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"]])
def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    """Without arguments people want to know what there is."""
    assert cli.main(argv) == ExitStatus.DONE

    text = capsys.readouterr().out
    assert "  config      show, validate and explain the settings of a service\n" in text


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    """A bug report needs it."""
    assert cli.main(["--version"]) == ExitStatus.DONE
    assert capsys.readouterr().out.startswith("towpath 0.")


def test_a_module_that_cannot_be_imported_is_a_failure_of_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extra that is not installed must not take the other commands along."""
    monkeypatch.setattr(cli, "command_modules", lambda: {"carrier": "not_there.cli"})

    assert cli.main(["carrier"]) == ExitStatus.UNEXPECTED
    assert "not_there" in capsys.readouterr().err
    assert cli.main(["--help"]) == ExitStatus.DONE
    assert "carrier  (not installed)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('SUMMARY = "plain"\nraise SystemExit', "plain"),
        ('SUMMARY: str = "typed"', "typed"),
        ("SUMMARY = 1 + 1", ""),
        ("def broken(:", "(not installed)"),
    ],
)
def test_a_summary_is_read_without_running_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, text: str
) -> None:
    """Importing every service for the sake of `--help` would take seconds."""
    (tmp_path / "carrier_under_test.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)

    assert cli.summary("carrier_under_test") == text
    assert "carrier_under_test" not in sys.modules


def test_entry_points_are_read_from_the_installed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own reading must see what importlib.metadata would: other groups are not ours."""
    info = tmp_path / "other-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[console_scripts]\nx = y:z\n\n"
        "[towpath.commands]\ncarrier = carriers.cli:main\n a=b.c\n\n[q]\nr=s\n"
    )
    (tmp_path / "empty-1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "missing"), str(tmp_path)])

    assert cli.command_modules() == {
        "a": "b.c",
        "carrier": "carriers.cli",
        "completion": "shared.completion",
    }


def test_without_such_files_the_metadata_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation inside an archive has no folders to look into."""
    monkeypatch.setattr(cli, "_declared_commands", lambda: iter(()))

    assert "config" in cli.command_modules()
