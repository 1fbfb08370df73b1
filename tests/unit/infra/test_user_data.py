"""The script that an instance runs: what it is told, quoted, and nothing of a program."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from infra.rendered import resolve, user_data_of
from infra.user_data import Asset, Installation, agent_file, render_user_data

STEPS = (Path(__file__).resolve().parents[3] / "infra" / "user_data.sh").read_text()
ASSET = Asset("assets-123456789012", "0a1b.zip", "0a1b2c3d" * 8)
PLAIN = Installation("uploader", "eu-west-1", ASSET, {"uploader.toml": "interval_seconds = 60\n"})


def _facts(script: str, command: str) -> str:
    """Run what the script is told, without its steps, and then a command."""
    told = script.partition("# Steps follow;")[0]
    done = subprocess.run(
        ["bash", "-c", f"{told}\n{command}"], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def test_the_script_is_a_script() -> None:
    """A slip of the pen in it would be seen by a boot only."""
    script = render_user_data(PLAIN, STEPS)

    checked = subprocess.run(
        ["bash", "-n"], input=script, capture_output=True, text=True, check=False, timeout=30
    )

    assert checked.returncode == 0, checked.stderr
    assert script.startswith("#!/bin/bash\n")


def test_no_program_text_is_pasted_into_it() -> None:
    """What runs on an instance is what was tested: it comes from the asset alone."""
    script = render_user_data(PLAIN, STEPS)

    assert "import anyio" not in script
    assert "def " not in script
    assert ".service <<" not in script


def test_a_value_never_becomes_a_command(tmp_path: Path) -> None:
    """A name out of a settings file is data, whatever it holds."""
    mark = tmp_path / "mark"
    evil = f"$(touch {mark}) `touch {mark}` '; touch {mark}; '"
    script = render_user_data(replace(PLAIN, unit_options=("--run-as", evil)), STEPS)

    said = _facts(script, 'printf "%s" "${unit_options[1]}"')

    assert said == evil
    assert not mark.exists()


def test_a_file_arrives_exactly_as_it_is() -> None:
    """A dollar sign or a backslash in a configuration means itself."""
    text = 'a = "$HOME `id` \\\\ \\"x\\""\n\nb = \'!!\'\n'
    script = render_user_data(replace(PLAIN, files={"uploader.toml": text}), STEPS)
    begin = script.index("<<'TOWPATH_END_OF_FILE'\n") + len("<<'TOWPATH_END_OF_FILE'\n")

    assert script[begin : script.index("TOWPATH_END_OF_FILE\n", begin)] == text


@pytest.mark.parametrize(
    "files",
    [
        {"uploader.toml": "a = 1\nTOWPATH_END_OF_FILE\nreboot\n"},
        {"uploader.toml": "a = 1"},
        {"../cron.d/x": "a = 1\n"},
    ],
)
def test_a_file_that_would_end_the_text_is_refused(files: dict[str, str]) -> None:
    """What follows the end of a file would be run as root."""
    with pytest.raises(ValueError, match=r"delimiter|plain name"):
        render_user_data(replace(PLAIN, files=files), STEPS)


def test_more_than_ec2_takes_is_refused() -> None:
    """EC2 would say so after minutes, in the middle of a deployment."""
    with pytest.raises(ValueError, match=r"EC2 takes 16384"):
        render_user_data(replace(PLAIN, files={"uploader.toml": "# x\n" * 4096}), STEPS)


@pytest.mark.parametrize(
    ("instances", "units", "options"),
    [
        (1, ["towpath-watcher.service"], "--instances 1"),
        (2, ["towpath-watcher@1.service", "towpath-watcher@2.service"], "--instances 2"),
    ],
)
def test_several_on_a_machine_are_instances_of_a_template(
    instances: int, units: list[str], options: str
) -> None:
    """The script waits for exactly the units that `towpath units install` makes."""
    told = replace(PLAIN, service="watcher", instances=instances)

    script = render_user_data(told, STEPS)

    assert _facts(script, 'echo "${units[@]}"').split() == units
    assert _facts(script, 'echo "${unit_options[@]}"').strip() == options


def test_the_journal_of_units_and_of_the_installation_is_collected() -> None:
    """When the machine is gone, this is what is left of what it said."""
    text = agent_file(PLAIN.units, "/towpath/uploader")

    assert '"towpath-uploader.service"' in text
    assert '"cloud-final.service"' in text
    assert '"/towpath/uploader"' in text


def test_user_data_is_read_back_out_of_a_template() -> None:
    """What the private machine runs is what CloudFormation would hand over."""
    joined = {"Fn::Join": ["", ["bucket=", {"Fn::Sub": "a-${AWS::AccountId}-b"}, "\n"]]}
    data = {"LaunchTemplateData": {"UserData": {"Fn::Base64": joined}}}
    template = {"Resources": {"T": {"Type": "AWS::EC2::LaunchTemplate", "Properties": data}}}

    assert user_data_of(template, {"AWS::AccountId": "1"}) == "bucket=a-1-b\n"


@pytest.mark.parametrize("value", [{"Ref": "Unknown"}, {"Fn::GetAtt": ["A", "Arn"]}, 7, {}])
def test_what_cannot_be_resolved_is_said(value: object) -> None:
    """A guess would run another script than EC2 does."""
    with pytest.raises(ValueError, match=r"cannot be resolved"):
        resolve(value, {"AWS::AccountId": "1"})
