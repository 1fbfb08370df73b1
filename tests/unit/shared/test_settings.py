import os
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, SecretStr, ValidationError, field_validator

from shared.errors import UsageError
from shared.options import Option
from shared.settings import Loaded, ServiceSettings, load_settings


class Colour(Enum):
    """Values of a choice."""

    RED = "red"
    BLUE = "blue"


class Settings(ServiceSettings):
    """Carry things along.

    Second paragraph.
    """

    interval_seconds: Annotated[
        float, Option(flag="--interval", short="-i", env="S3_UPLOAD_INTERVAL", metavar="SECONDS")
    ] = Field(60, gt=0, description="Time between passes")
    workers: Annotated[int | None, Option(group="limits")] = Field(
        None, ge=1, le=64, description="Tasks at once, 100% of them"
    )
    directory: Annotated[Path, Option(short="-d")] = Field(Path("out"), description="Where")
    profile: Annotated[str | None, Option(env="AWS_PROFILE")] = Field(None, description="Who")
    mode: Literal["fast", "safe"] = Field("safe", description="How")
    colour: Colour = Field(Colour.RED, description="Paint")
    prune: bool = Field(default=False, description="Remove what is empty")
    skip: tuple[str, ...] = Field(("*.tmp",), description="What not")
    aliases: Annotated[Mapping[str, str], Option(flag="--alias")] = Field(
        {"a_b": "a-b"}, description="Other names"
    )
    secret_word: SecretStr | None = Field(None, description="Hush")

    @field_validator("directory")
    @classmethod
    def _not_the_root(cls, directory: Path) -> Path:
        if directory == Path("/"):
            raise ValueError("the root of the file system is never meant; name a folder")
        return directory


def load(argv: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Loaded[Settings]:
    """Load from a flag list and an environment."""
    return load_settings(Settings, argv, environ or {}, service="carrier")


def complaints(argv: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of the error that loading ends in."""
    with pytest.raises(UsageError) as caught:
        load(argv, environ)
    return str(caught.value).splitlines()


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """Name a settings file."""
    return tmp_path / "carrier.toml"


def test_each_source_beats_the_next(toml: Path) -> None:
    """Flag > environment > file > default is what every page of the suite promises."""
    toml.write_text("interval_seconds = 3\nmode = 'fast'\nprune = true\n")
    environ = {"S3_UPLOAD_INTERVAL": "2", "TOWPATH_CARRIER_MODE": "safe"}

    loaded = load(["--config", str(toml), "-i", "1"], environ)

    assert loaded.settings.interval_seconds == 1
    assert loaded.settings.mode == "safe"
    assert loaded.settings.prune
    assert loaded.settings.workers is None
    assert {name: str(origin) for name, origin in loaded.origins.items()} == {
        "interval_seconds": "flag --interval",
        "mode": "environment TOWPATH_CARRIER_MODE",
        "prune": f"file {toml} line 3",
        **dict.fromkeys(
            ("workers", "directory", "profile", "colour", "skip", "aliases", "secret_word"),
            "default",
        ),
    }


def test_a_contracts_own_variable_beats_the_suites() -> None:
    """People have the fixed names in their shells; the other name must not win by surprise."""
    environ = {"S3_UPLOAD_INTERVAL": "2", "TOWPATH_CARRIER_INTERVAL_SECONDS": "9"}

    assert load([], environ).settings.interval_seconds == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    """`S3_UPLOAD_INTERVAL= towpath ...` is how shells unset something for one command."""
    environ = {"S3_UPLOAD_INTERVAL": "", "TOWPATH_CARRIER_INTERVAL_SECONDS": "9"}

    assert load([], environ).settings.interval_seconds == 9


def test_an_empty_flag_takes_an_optional_value_away() -> None:
    """Otherwise an inherited AWS_PROFILE could not be switched off on the command line."""
    assert load(["--profile", ""], {"AWS_PROFILE": "work"}).settings.profile is None


@pytest.mark.parametrize("flag", ["--workers", "--directory"])
def test_an_empty_flag_means_nothing_elsewhere(flag: str) -> None:
    """`--workers "$N"` would lift a limit, `--directory "$FOLDER"` mean the working folder."""
    assert complaints([flag, ""]) == [
        f"{flag} '' is not valid; write a value, or leave the flag out"
    ]


@pytest.mark.parametrize(
    ("argv", "environ"),
    [
        (["--skip", "*.a", "--skip", "*.b", "--alias", "x=y", "--alias", "z=w=v"], {}),
        ([], {"TOWPATH_CARRIER_SKIP": "*.a, *.b", "TOWPATH_CARRIER_ALIASES": "x=y,z=w=v"}),
    ],
)
def test_lists_and_tables_can_be_written_in_a_shell(
    argv: list[str], environ: dict[str, str]
) -> None:
    """Every option has a flag and a variable, also those that TOML writes in several lines."""
    settings = load(argv, environ).settings

    assert settings.skip == ("*.a", "*.b")
    assert settings.aliases == {"x": "y", "z": "w=v"}


def test_a_stronger_table_replaces_a_weaker_one(toml: Path) -> None:
    """Merged tables could never lose an entry again."""
    toml.write_text("[aliases]\nfile = 'f'\n")

    loaded = load(["--config", str(toml), "--alias", "flag=f"])

    assert loaded.settings.aliases == {"flag": "f"}


def test_switches_have_a_negative() -> None:
    """A switch that the file turned on must be possible to turn off again."""
    assert not load(["--no-prune"], {"TOWPATH_CARRIER_PRUNE": "yes"}).settings.prune
    assert str(load(["--no-prune"]).origins["prune"]) == "flag --no-prune"
    assert load(["--prune"]).settings.prune


@pytest.mark.parametrize(
    ("argv", "environ", "line"),
    [
        (
            [],
            {"S3_UPLOAD_INTERVAL": "abc"},
            (
                "S3_UPLOAD_INTERVAL='abc' is not valid for --interval; "
                "allowed: a number of seconds greater than 0"
            ),
        ),
        (
            ["--workers", "65"],
            {},
            "--workers '65' is not valid; allowed: a whole number, at least 1, at most 64",
        ),
        (["--mode", "x"], {}, "--mode 'x' is not valid; allowed: one of fast, safe"),
        (["--colour", "x"], {}, "--colour 'x' is not valid; allowed: one of red, blue"),
        (
            [],
            {"TOWPATH_CARRIER_PRUNE": "maybe"},
            "TOWPATH_CARRIER_PRUNE='maybe' is not valid for --prune; allowed: true or false",
        ),
        (
            ["-i", "nan"],
            {},
            "--interval 'nan' is not valid; allowed: a number of seconds greater than 0",
        ),
        (
            ["--alias", "x"],
            {},
            "--alias 'x' is not valid; allowed: pairs of the form name=value",
        ),
        (
            ["--alias", "x=1", "--alias", "x=2"],
            {},
            "--alias 'x=2' is not valid; 'x' is given twice",
        ),
        (
            ["-d", "/"],
            {},
            (
                "--directory '/' is not valid; "
                "the root of the file system is never meant; name a folder"
            ),
        ),
        (
            ["--interv", "1"],
            {},
            "unrecognized arguments: --interv 1; see towpath carrier --help",
        ),
        (
            ["--interval"],
            {},
            "argument -i/--interval: expected one argument; see towpath carrier --help",
        ),
    ],
)
def test_an_error_names_place_value_and_what_is_allowed(
    argv: list[str], environ: dict[str, str], line: str
) -> None:
    """One readable line is what the contract asks for; a person mends it without the manual."""
    assert complaints(argv, environ) == [line]


def test_an_error_in_a_file_names_its_line(toml: Path) -> None:
    """In a file of eighty lines the key alone is not enough, and all errors come at once."""
    toml.write_text(
        "interval_seconds = true\n\nworkers = 0\nintervall_seconds = 3\nskip = [\n 'a',\n 3]\n"
        "alias = 1\n[aliases]\na = 'b'\nc = 3\n"
    )

    assert sorted(complaints(["--config", str(toml)])) == sorted(
        [
            (
                f"{toml} line 1: interval_seconds = True is not valid; "
                "allowed: a number of seconds greater than 0"
            ),
            (
                f"{toml} line 3: workers = 0 is not valid; "
                "allowed: a whole number, at least 1, at most 64"
            ),
            f"{toml} line 4: unknown option 'intervall_seconds'; did you mean 'interval_seconds'?",
            f"{toml} line 5: skip = 3 is not valid; allowed: a list of texts",
            f"{toml} line 8: unknown option 'alias'; did you mean 'aliases'?",
            (
                f"{toml} line 11: aliases = {{'c': 3}} is not valid; "
                "allowed: pairs of the form name=value"
            ),
        ]
    )


def test_text_that_is_not_toml_names_its_line(toml: Path) -> None:
    """A forgotten quote is the most frequent mistake of all."""
    toml.write_text('mode = "fast"\ninterval_seconds =\n')

    assert complaints(["--config", str(toml)]) == [
        f"{toml} line 2 is not valid TOML; invalid value"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\nmode = '\xff'\n", "line 2 is not valid TOML; it must be UTF-8"),
        (b"#" * 300_000, "larger"),
    ],
)
def test_a_file_that_cannot_be_text_is_refused(toml: Path, content: bytes, reason: str) -> None:
    """Naming the data instead of the settings file must not end in a traceback."""
    toml.write_bytes(content)

    assert reason in complaints(["--config", str(toml)])[0]


def test_a_file_that_cannot_be_opened_is_an_error(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit often runs as a user who may not read what root wrote."""
    toml.write_text("mode = 'fast'\n")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    assert complaints(["--config", str(toml)]) == [
        f"{str(toml)!r} cannot be read: Permission denied; check its permissions"
    ]


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """Running with defaults because of a typing error in the path would be a silent disaster."""
    missing = str(tmp_path / "x.toml")

    assert complaints(["--config", missing]) == [
        f"--config {missing!r} is not a file; name an existing TOML file"
    ]
    assert complaints([], {"TOWPATH_CARRIER_CONFIG": missing})[0].startswith(
        "TOWPATH_CARRIER_CONFIG"
    )


def test_the_usual_places_are_looked_into(tmp_path: Path) -> None:
    """A person's own file is found without being named, relative XDG folders are ignored."""
    for folder in (tmp_path / "xdg/towpath", tmp_path / "home/.config/towpath"):
        folder.mkdir(parents=True)
        (folder / "carrier.toml").write_text(f"directory = '{folder}'\n")
    home = {"HOME": str(tmp_path / "home")}

    by_xdg = load([], {**home, "XDG_CONFIG_HOME": str(tmp_path / "xdg")})
    by_home = load([], {**home, "XDG_CONFIG_HOME": "relative"})

    assert by_xdg.config_file == tmp_path / "xdg/towpath/carrier.toml"
    assert by_home.config_file == tmp_path / "home/.config/towpath/carrier.toml"
    assert load([], {}).config_file is None


def test_a_secret_has_no_flag_and_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Argument lists can be read by everybody on the machine."""
    settings = load([], {"TOWPATH_CARRIER_SECRET_WORD": "hunter2"}).settings

    assert settings.secret_word is not None
    assert settings.secret_word.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "unrecognized" in complaints(["--secret-word", "x"])[0]


def test_help_tells_variable_default_and_group(capsys: pytest.CaptureFixture[str]) -> None:
    """The help is the only manual that is always at hand."""
    with pytest.raises(SystemExit) as ended:
        load(["--help"])

    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "-i, --interval SECONDS" in text
    assert "Time between passes (variable S3_UPLOAD_INTERVAL; default 60)" in " ".join(text.split())
    assert "100% of them" in text
    assert "\nlimits:\n" in text
    assert "Carry things along.\n\nSecond paragraph." in text
    assert "TOWPATH_CARRIER_CONFIG" in text


def test_a_commands_own_flags_are_handed_back() -> None:
    """`--once` is no setting: it must not be possible in a file."""
    loaded = load_settings(
        Settings,
        ["--once"],
        {},
        service="carrier",
        extra=lambda parser: parser.add_argument("--once", action="store_true"),
    )

    assert loaded.arguments.once


def test_a_model_made_directly_reads_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests and programs that make settings themselves depend on no variable and no file."""
    monkeypatch.setenv("S3_UPLOAD_INTERVAL", "9")
    monkeypatch.setenv("MODE", "fast")

    settings = Settings()

    assert settings.interval_seconds == 60
    assert settings.mode == "safe"
    with pytest.raises(ValidationError):
        Settings(unknown=1)  # type: ignore[call-arg]  # the mistake under test
    with pytest.raises(ValidationError):
        settings.mode = "fast"  # type: ignore[misc]  # frozen, the mistake under test


def test_a_required_option_says_where_to_give_it() -> None:
    """A missing value is an error with three ways out."""

    class Needy(ServiceSettings):
        """Need something."""

        bucket: str = Field(description="Which")
        key_word: SecretStr = Field(description="Hush")

    with pytest.raises(UsageError) as caught:
        load_settings(Needy, [], {}, service="needy")

    assert str(caught.value).splitlines() == [
        (
            "--bucket is required; give --bucket, set TOWPATH_NEEDY_BUCKET or write bucket into "
            "the file"
        ),
        "key_word is required; set TOWPATH_NEEDY_KEY_WORD or write key_word into the file",
    ]


def test_a_default_that_is_not_allowed_is_found() -> None:
    """A programmer's mistake, but it must not pass for the user's."""

    class Wrong(ServiceSettings):
        """Be wrong."""

        count: int = Field(0, ge=1, description="How many")

    with pytest.raises(UsageError, match="the default 0 of --count is not valid"):
        load_settings(Wrong, [], {}, service="wrong")


def test_a_field_that_cannot_be_written_fails_at_import() -> None:
    """A mistake in a model must not wait for the first user who needs that option."""
    with pytest.raises(TypeError, match="has no description"):

        class Undescribed(ServiceSettings):
            thing: int = 3

    with pytest.raises(TypeError, match="no form as text"):

        class Unwritable(ServiceSettings):
            thing: complex = Field(3j, description="What")

    with pytest.raises(TypeError, match=r"'-x' of Clashing\.other is taken"):

        class Clashing(ServiceSettings):
            thing: Annotated[int, Option(short="-x")] = Field(1, description="A")
            other: Annotated[int, Option(short="-x")] = Field(1, description="B")


def test_a_path_may_be_any_bytes() -> None:
    """Linux names are bytes; a folder that is not UTF-8 can still be the root."""
    name = os.fsdecode(b"/data/\xff")

    assert os.fsencode(load(["-d", name]).settings.directory) == b"/data/\xff"
