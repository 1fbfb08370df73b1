from pathlib import Path

import pytest

from daemons.dispatcher.settings import SEED_COMMAND, Settings, state_folder
from shared.errors import UsageError
from shared.settings import load_settings


def load(*argv: str, **environ: str) -> Settings:
    """Read settings as the command does."""
    return load_settings(Settings, argv, environ, service="dispatcher").settings


def test_the_names_in_peoples_shells_are_honoured() -> None:
    """The scripts' variables, to the letter."""
    settings = load(BUCKET="colony", AWS_DEFAULT_REGION="eu-north-1", SLEEP_SEC="2.5")

    assert settings.bucket == "colony"
    assert settings.aws_region == "eu-north-1"
    assert settings.pause_seconds == 2.5
    assert settings.poll_seconds == 30.0


def test_everything_is_relative_to_the_root(tmp_path: Path) -> None:
    """The command is started where the scripts were; absolute paths stay as they are."""
    settings = load(f"--root={tmp_path}", "--staging=/scratch/seeds", BUCKET="colony")

    assert settings.positions_folder == tmp_path / "data/local-cats/tmp/positions/new"
    assert settings.staging_folder == Path("/scratch/seeds")
    assert settings.ledger_file == tmp_path / ".sent_cids"
    assert load(BUCKET="colony").project == Path.cwd()
    assert load(BUCKET="colony").aws_region == "us-west-2"


def test_a_missing_bucket_is_named() -> None:
    """There is no default."""
    with pytest.raises(UsageError, match="BUCKET"):
        load()


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (("--seed-command", "cp {chunk} '{seed}'"), ("cp", "{chunk}", "{seed}")),
        (("--seed-command", '["cp", "{chunk}", "a b"]'), ("cp", "{chunk}", "a b")),
        (
            ("--seed-command=cp", "--seed-command=-p", "--seed-command={seed}"),
            ("cp", "-p", "{seed}"),
        ),
        ((), SEED_COMMAND),
    ],
)
def test_a_command_is_given_as_words_or_as_a_list(
    given: tuple[str, ...], command: tuple[str, ...]
) -> None:
    """Never through a shell."""
    assert load(*given, BUCKET="colony").seed_command == command


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cp {cid} {sky}", "sky"),
        ("cp {", "brace"),
        ("'", "split"),
        ("[1, 2]", "texts"),
    ],
)
def test_a_command_that_cannot_be_is_refused_at_start(given: str, said: str) -> None:
    """Not at the first CID, at night."""
    with pytest.raises(UsageError, match=said):
        load("--seed-command", given, BUCKET="colony")


@pytest.mark.parametrize("prefix", ["/a", "a/", "a//b", "", "a b", "ä"])
def test_a_prefix_is_names_with_single_slashes(prefix: str) -> None:
    """Whoever looks for the jobs must find them under the very same keys."""
    with pytest.raises(UsageError, match="prefix"):
        load(f"--prefix={prefix}", BUCKET="colony")


def test_each_project_has_a_state_of_its_own(tmp_path: Path) -> None:
    """Two projects of one user must not share a quarantine."""
    environ = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "STATE_DIRECTORY": ""}
    one, other = (load(f"--root={tmp_path / name}", BUCKET="colony") for name in "ab")

    assert state_folder(one, environ) != state_folder(other, environ)
    given = load("--state-directory=/srv/state", BUCKET="colony")
    assert state_folder(given, environ) == Path("/srv/state")
