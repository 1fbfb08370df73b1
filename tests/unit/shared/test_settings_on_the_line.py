import argparse
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import Field

from shared.errors import UsageError
from shared.settings import Loaded, ServiceSettings, load_settings


class Settings(ServiceSettings):
    """A service with two commands."""

    bucket: str = Field(default="ours", description="Where to")
    interval_seconds: float = Field(default=5.0, ge=1, description="How often")


def load(*argv: str, **environ: str) -> Loaded[Settings]:
    """Load as the command does that takes the bucket alone."""
    return load_settings(Settings, argv, environ, service="ferry", flags={"bucket"})


def test_command_takes_its_own_options_from_the_line() -> None:
    """An option that changes nothing would be a promise."""
    assert load("--bucket", "theirs").settings.bucket == "theirs"
    with pytest.raises(UsageError, match="--interval-seconds"):
        load("--interval-seconds", "7")


def test_help_shows_what_the_line_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """The rest belongs to another command."""
    with pytest.raises(SystemExit):
        load("--help")

    shown = capsys.readouterr().out
    assert "--bucket" in shown
    assert "--interval-seconds" not in shown


def test_one_file_serves_all_commands_of_a_service(tmp_path: Path) -> None:
    """What it says to the others is checked, for it is the same file."""
    path = tmp_path / "ferry.toml"
    path.write_text('bucket = "filed"\ninterval_seconds = 7\n')

    assert dict(load("--config", str(path)).settings) == {"bucket": "filed", "interval_seconds": 7}

    path.write_text("interval_seconds = 0\n")
    with pytest.raises(UsageError, match="line 1: interval_seconds = 0 is not valid"):
        load("--config", str(path))
    with pytest.raises(UsageError, match="TOWPATH_FERRY_INTERVAL_SECONDS='0' is not valid"):
        load(TOWPATH_FERRY_INTERVAL_SECONDS="0")


class Way(StrEnum):
    """Where things go."""

    PULL = "pull"
    PUSH = "push"


@pytest.mark.parametrize("choices", [("pull", "push"), (*Way,)])
def test_a_choice_there_is_not_is_refused_like_a_setting(choices: Sequence[str]) -> None:
    """`<Way.PULL: 'pull'>` is what Python calls it, and nobody can type that."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--way", choices=choices)

    with pytest.raises(UsageError) as caught:
        load_settings(Settings, ["--way", "sideways"], {}, service="ferry", extra=add)

    assert str(caught.value) == (
        "--way 'sideways' is not valid; allowed: one of pull, push; see towpath ferry --help"
    )
