import json
import sys
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, SecretStr

from shared import cli, completion, config_command
from shared.errors import UsageError
from shared.options import Option, option_specs
from shared.reference import render_reference, render_toml
from shared.settings import ServiceSettings, load_settings


class Settings(ServiceSettings):
    """Carry things along."""

    interval_seconds: Annotated[float, Option(flag="--interval", short="-i", env="EVERY")] = Field(
        60, gt=0, description="Time between passes"
    )
    directory: Path = Field(Path("a\\b"), description="Where it | is")
    profile: Annotated[str | None, Option(group="AWS")] = Field(None, description="Who")
    mode: Literal["fast", "safe"] = Field("safe", description="How")
    prune: bool = Field(default=False, description="Remove what is empty")
    skip: tuple[str, ...] = Field(('*."tmp"', "é\x7f"), description="What not")
    aliases: Mapping[str, str] = Field({"a_b": "a-b", "a b": "c"}, description="Other names")
    hidden_word: SecretStr | None = Field(SecretStr("hunter2"), description="Hush")


@pytest.fixture(autouse=True)
def _service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = types.ModuleType("daemons.carrier.settings")
    module.Settings = Settings  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, "daemons.carrier.settings", module)
    found = {"carrier": "daemons.carrier.cli", "config": "shared.config_command"}
    for user in (config_command, completion):
        monkeypatch.setattr(user, "command_modules", lambda: found)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("EVERY", "XDG_CONFIG_HOME", "TOWPATH_CARRIER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Return what `towpath config` prints."""
    assert config_command.main(argv) == 0
    return capsys.readouterr().out


def test_show_is_toml_that_could_be_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown can be copied into the file, and a secret is not shown at all."""
    text = said(capsys, "show", "carrier")

    assert tomllib.loads(text) == {
        "interval_seconds": 60,
        "directory": "a\\b",
        "mode": "safe",
        "prune": False,
        "skip": ['*."tmp"', "é\x7f"],
        "aliases": {"a_b": "a-b", "a b": "c"},
        "hidden_word": "***",
    }


def test_show_says_where_a_value_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first question about any wrong setting is who set it."""
    monkeypatch.setenv("EVERY", "5")
    file = tmp_path / "c.toml"
    file.write_text("\nmode = 'fast'\n")

    text = said(capsys, "show", "carrier", "--origin", "--config", str(file))

    assert "interval_seconds = 5  # environment EVERY\n" in text
    assert f'mode = "fast"  # file {file} line 2\n' in text
    assert "# profile is not set  # default\n" in text


def test_show_as_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets are hidden there too."""
    document = json.loads(said(capsys, "show", "carrier", "--json"))

    assert document["interval_seconds"] == {"value": 60.0, "origin": "default"}
    assert document["hidden_word"]["value"] == "***"
    assert document["directory"]["value"] == "a\\b"


def test_validate_says_what_was_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A person wants to be sure that it is this file that counts."""
    file = tmp_path / "c.toml"
    file.write_text("mode = 'fast'\n")

    assert said(capsys, "validate", "carrier", "--config", str(file)) == (
        f"carrier: valid; file {file}, 1 of 8 options given\n"
    )
    assert said(capsys, "validate", "carrier") == "carrier: valid; no file, 0 of 8 options given\n"
    file.write_text("mood = 1\n")
    with pytest.raises(UsageError, match="did you mean 'mode'"):
        config_command.main(["validate", "carrier", "--config", str(file)])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["show", "carier"], "unknown service 'carier'; did you mean 'carrier'?"),
        (["show", "zzz"], "unknown service 'zzz'; services are carrier"),
        (["show", "config"], "unknown service 'config'"),
        (["shw", "carrier"], "command 'shw' is not valid; allowed: one of show"),
        ([], "arguments are required"),
    ],
)
def test_a_wrong_name_is_one_line(argv: list[str], message: str) -> None:
    """Never a usage dump, never a traceback."""
    with pytest.raises(UsageError) as caught:
        config_command.main(argv)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_sample_file_says_exactly_the_defaults(tmp_path: Path) -> None:
    """With every option enabled it must mean the same as no file: else a page lies."""
    sample = render_toml(Settings, "carrier")
    enabled = "".join(
        line.removeprefix("# ") + "\n"
        for line in sample.splitlines()
        if not line.startswith(("## ", "# hidden_word"))
    )
    file = tmp_path / "carrier.toml"
    file.write_text(enabled)

    loaded = load_settings(Settings, ["--config", str(file)], {}, service="carrier")

    assert loaded.settings == Settings()
    assert {origin.source for origin in loaded.origins.values()} == {"file", "default"}
    assert tomllib.loads(sample) == {}
    assert "hunter2" not in sample


def test_the_reference_page_has_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    """A page written by hand is out of date the week after."""
    page = said(capsys, "reference", "carrier")

    assert page == render_reference(Settings, "carrier")
    assert (
        "| `-i`, `--interval` | `EVERY`, `TOWPATH_CARRIER_INTERVAL_SECONDS` | `interval_seconds` "
        "| `60` | Time between passes. Allowed: a number of seconds greater than 0. |"
    ) in page
    assert "`--prune`, `--no-prune`" in page
    assert "Where it \\| is" in page
    assert "none: it is a secret" in page
    assert page.index("## Settings") < page.index("## AWS")
    assert "hunter2" not in page
    assert said(capsys, "reference", "carrier", "--toml") == render_toml(Settings, "carrier")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([], ["carrier", "config", "--help", "--version"]),
        (["completion"], ["bash", "zsh", "fish"]),
        (["config"], ["show", "validate", "reference", "--help"]),
        (["config", "show"], ["--origin", "--json", "--config", "--help"]),
        (["config", "show", "carrier"], ["--origin", "--json", "--config", "--help"]),
        (["nothing"], []),
        (["carrier"], []),
    ],
)
def test_completion_offers_what_may_follow(before: list[str], expected: list[str]) -> None:
    """Flags come out of the command's own help: no list to forget."""
    assert completion.words(before) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_asks_back(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """The script stays right when a command gets a new flag."""
    assert completion.main([shell]) == 0
    assert "towpath completion words" in capsys.readouterr().out


def test_an_unknown_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """And the message shows how it is meant."""
    with pytest.raises(UsageError, match="unknown shell 'tcsh'; say"):
        completion.main(["tcsh"])
    assert completion.main(["--help"]) == 0
    assert "bash, zsh, fish" in capsys.readouterr().out


def test_the_words_are_printed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """That is the form the shells read."""
    assert completion.main(["words", "config"]) == 0
    assert capsys.readouterr().out == "show\nvalidate\nreference\n--help\n"


def test_every_real_service_has_settings_that_can_be_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`towpath config` finds a service by its entry point: the naming is the contract."""
    monkeypatch.setattr(config_command, "command_modules", cli.command_modules)
    services = [n for n, module in cli.command_modules().items() if module.endswith(".cli")]

    for service in services:
        model = config_command.settings_model(service)
        required = [spec for spec in option_specs(model) if spec.required]
        environ = {spec.variables(service)[0]: "some-bucket" for spec in required}
        loaded = load_settings(model, [], environ, service=service)
        wanted = model.model_validate({spec.name: "some-bucket" for spec in required})
        assert loaded.settings == wanted
