from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.aws_answers import denied
from tests.support.ingest_commands import CommandGround, open_commands
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B


@pytest.fixture
def ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandGround]:
    """Two sites in two accounts, which both are in order."""
    with open_commands(tmp_path, monkeypatch, capsys) as made:
        made.project.write_variables(
            made.project.root / ".env.local", {"WHISPER_API_PROVIDER": "test-double"}
        )
        made.add_site("hardfork", ACCOUNT_B)
        made.add_site("naddpod", ACCOUNT_A)
        yield made


def checks(out: str) -> dict[str, str]:
    """Return what was said of each thing."""
    return dict(line.split("\t", 1) for line in out.splitlines())


def test_what_is_in_order_is_said_line_by_line(ground: CommandGround) -> None:
    """It is what somebody asks before the first night."""
    ended = ground.call("--check")

    said = checks(ended.out)
    assert (ended.status, ended.complaints()) == (0, [])
    assert said["keys"].endswith("browse-dot-show-automation")
    assert said["role hardfork"] == f"ok\taccount {ACCOUNT_B}, bucket hardfork-browse-dot-show"
    assert {name.partition(" ")[0] for name in said} == {
        *("settings", "data", "state", "ffprobe", "ffmpeg", "speech", "keys", "role"),
    }
    assert ground.writes() == []
    assert ground.aws.invoked == []


def test_a_role_that_is_refused_is_named_and_the_others_are_looked_at(
    ground: CommandGround,
) -> None:
    """One account may be half set up."""
    ground.aws.answers[f"AssumeRole {ACCOUNT_B}"] = [denied()]

    ended = ground.call("--check")

    said = checks(ended.out)
    assert ended.status == 1
    assert "role/browse-dot-show-automation-role" in said["role hardfork"]
    assert said["role naddpod"].startswith("ok\t")


def test_keys_that_are_refused_are_a_matter_of_the_configuration(ground: CommandGround) -> None:
    """The contract has 2 for that, and no role is asked for with them."""
    ground.aws.answers["GetCallerIdentity"] = [denied()]

    ended = ground.call("--check")

    assert ended.status == 2
    assert "the keys of .env.automation cannot be used" in checks(ended.out)["keys"]
    assert ground.aws.assumed == []


def test_a_broken_site_is_a_line_of_its_own(ground: CommandGround) -> None:
    """A line for each mistake, and the other site is looked at."""
    path = ground.project.root / "sites" / "my-sites" / "naddpod" / "site.config.json"
    path.write_text("{}")

    ended = ground.call("--check")

    assert ended.status == 2
    assert "site naddpod\tid is missing\t" in ended.out
    assert "role hardfork\tok" in ended.out
