import pytest

from pipelines.glacier import command as glacier
from pipelines.wildlife import command as wildlife
from shared import completion
from shared.cli import run_command
from shared.errors import ExitStatus
from shared.verbs import VerbCommand

_COMMAND = VerbCommand(
    "pieces", "Do things.", {"one": "pieces.one", "another-one": "shared.verbs"}, {}
)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_imports_no_verb(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A part that is not installed must not take the help of the others with it."""
    assert _COMMAND.run(argv) == ExitStatus.DONE

    said = capsys.readouterr().out
    assert "  one          (not installed)\n  another-one  \n" in said
    assert said.startswith("usage: towpath pieces [--help] COMMAND ...\n\nDo things.\n")


def test_a_mistyped_verb_is_told_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The name goes through to no module."""
    assert run_command("pieces", _COMMAND.run, ["two"]) == ExitStatus.USAGE

    assert "unknown command 'two'; commands are one, another-one" in capsys.readouterr().err


@pytest.mark.parametrize("command", [glacier, wildlife])
def test_a_shell_completes_every_verb(command: object) -> None:
    """Completion reads the help, so its form is a promise."""
    verbs = list(getattr(command, "_VERBS"))  # noqa: B009 - of either module

    name = str(getattr(command, "__name__")).split(".")[1]  # noqa: B009 - the same
    assert completion.words([name])[: len(verbs)] == verbs
