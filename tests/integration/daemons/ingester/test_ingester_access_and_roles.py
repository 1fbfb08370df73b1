import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from daemons.ingester.commands.access import TEST_PREFIX
from tests.support.aws_answers import denied
from tests.support.gate import Gate
from tests.support.ingest_commands import CommandGround, open_commands
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B
from tests.support.strict_s3.faults import Fault, Wait

BUCKET = "hardfork-browse-dot-show"
STEPS = ["assume role", "list", "put", "get", "delete", "invoke (dry run)"]


@pytest.fixture
def ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandGround]:
    """One site whose account is in order."""
    with open_commands(tmp_path, monkeypatch, capsys) as made:
        made.add_site("hardfork", ACCOUNT_B)
        made.aws.functions.add("srt-indexing-hardfork")
        yield made


def test_everything_is_tried_and_nothing_is_left(ground: CommandGround) -> None:
    """A check that runs every week must not fill the bucket, nor have an index built."""
    note = f"{TEST_PREFIX}note.txt"
    ground.s3.seed(BUCKET, {note: b"somebody else's"})

    ended = ground.call("access", "--format=json")

    assert (ended.status, ended.complaints()) == (0, [])
    (document,) = ended.documents()
    assert document["siteId"] == "hardfork"
    assert document["identity"].endswith(":user/automation/browse-dot-show-automation")
    assert [(each["name"], each["ok"]) for each in document["checks"]] == [
        (name, True) for name in STEPS
    ]
    put, deleted = ground.writes()
    assert put[1] == deleted[1]
    assert put[1].startswith(f"{TEST_PREFIX}towpath-access-")
    assert sorted(ground.s3.objects(BUCKET)) == [note, "index.html"]
    assert [(each.function, each.kind) for each in ground.aws.invoked] == [
        ("srt-indexing-hardfork", "DryRun")
    ]


@pytest.mark.parametrize(
    ("action", "faulty"),
    [
        ("s3:ListBucket", ["list"]),
        ("s3:PutObject", ["put"]),
        ("s3:GetObject", ["get"]),
        ("s3:DeleteObject", ["delete"]),
    ],
)
def test_what_is_refused_is_named_and_the_rest_is_tried(
    ground: CommandGround, action: str, faulty: list[str]
) -> None:
    """Who mends a policy wants all that is missing, not the first."""
    ground.s3.access.deny(action, BUCKET)

    ended = ground.call("access", "--format=json")

    (document,) = ended.documents()
    assert ended.status == 1
    assert [each["name"] for each in document["checks"] if not each["ok"]] == faulty
    assert document["checks"][-1] == {
        "name": "invoke (dry run)",
        "what": "srt-indexing-hardfork",
        "ok": True,
        "message": "",
    }


def test_role_that_is_refused_leaves_the_rest_untried(ground: CommandGround) -> None:
    """Nothing else can be asked without it; another site is another role."""
    ground.add_site("naddpod", ACCOUNT_A, role=False)

    ended = ground.call("access")

    assert ended.status == 1
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert [line[:2] for line in lines] == [
        ["credentials", "ok"],
        *(["hardfork", name] for name in STEPS),
        ["naddpod", "assume role"],
    ]
    assert "cannot be assumed: AccessDenied" in lines[-1][2]
    assert lines[-1][3] == f"arn:aws:iam::{ACCOUNT_A}:role/browse-dot-show-automation-role"


def test_function_that_is_missing_is_named(ground: CommandGround) -> None:
    """The next trigger would fail, in the night."""
    ground.aws.functions.clear()

    ended = ground.call("access")

    assert ended.status == 1
    assert "function 'srt-indexing-hardfork' cannot be invoked" in ended.out.splitlines()[-1]


def test_keys_that_are_refused_end_the_command(ground: CommandGround) -> None:
    """It is the configuration that is wrong, and no site's affair."""
    ground.aws.answers["GetCallerIdentity"] = [denied()]

    ended = ground.call("access")

    assert (ended.status, ended.out) == (2, "")
    assert "the keys of .env.automation cannot be used" in ended.err


def test_told_to_stop_it_takes_its_object_away_first(ground: CommandGround) -> None:
    """A test object that stays looks like somebody's mistake for years."""
    gate = Gate()
    ground.s3.faults.add(Fault(Wait(gate), operation="GetObject"))

    def interrupt() -> None:
        gate.reached_blocking()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    ended = ground.call("access")
    gate.open()
    thread.join()

    assert (ended.status, ended.out) == (130, "")
    assert len(ground.writes()) == 2
    assert list(ground.s3.objects(BUCKET)) == ["index.html"]


def write_role(ground: CommandGround, site_id: str, variables: Mapping[str, str]) -> None:
    """Write a site's Terraform variables."""
    folder = ground.project.folder(site_id) / "terraform"
    folder.mkdir()
    text = "".join(f"{name} = {value}\n" for name, value in variables.items())
    (folder / "prod.tfvars").write_text(text)


def test_roles_are_checked_over_all_sites(ground: CommandGround) -> None:
    """Exactly one site of an account makes the role that all of them use."""
    ground.add_site("searchengine")
    write_role(ground, "hardfork", {"aws_profile": '"b"', "create_automation_role": "true"})
    write_role(ground, "searchengine", {"aws_profile": '"b"', "create_automation_role": "false"})

    fine = ground.call("roles")
    other = ground.call("roles", "--sites=searchengine", "--format=json")

    assert (fine.status, other.status) == (0, 0)
    assert fine.out == "profile\tb\tcreated by hardfork\tfor hardfork, searchengine\n"
    assert other.documents()[0]["profiles"] == [
        {"awsProfile": "b", "sites": ["hardfork", "searchengine"], "creators": ["hardfork"]}
    ]
    assert ground.aws.asked == []


def test_every_mistake_about_roles_is_named(ground: CommandGround) -> None:
    """Also of a site whose configuration is broken: Terraform does not read that."""
    for site_id in ("searchengine", "naddpod", "claretandblue", "broken"):
        ground.add_site(site_id)
    (ground.project.folder("broken") / "site.config.json").write_text("{")
    write_role(ground, "hardfork", {"aws_profile": '"b"', "create_automation_role": "true"})
    write_role(ground, "broken", {"aws_profile": '"b"', "create_automation_role": "true"})
    write_role(ground, "naddpod", {"aws_profile": '"a"', "create_automation_role": "false"})
    write_role(ground, "claretandblue", {"create_automation_role": "false"})

    ended = ground.call("roles")

    assert ended.status == 1
    problems = [line for line in ended.out.splitlines() if line.startswith("problem\t")]
    assert [problem.split("\t")[1].partition(";")[0] for problem in problems] == [
        "site 'claretandblue': terraform/prod.tfvars must have aws_profile, a text",
        "site 'searchengine': terraform/prod.tfvars is missing",
        "profile 'a' has no site that creates the role: create_automation_role is false everywhere",
        "profile 'b' has 2 sites that create the role: 'broken', 'hardfork'",
    ]
    assert "warning\taccount 222222222222 is mapped to 2 sites" in ended.out
