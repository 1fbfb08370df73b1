import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from shared.handshake.layout import Runout
from shared.handshake.summary import parse_summary
from tests.support.collecting import (
    BUCKET,
    LATER,
    LAYOUT,
    STAMP,
    contents,
    names,
    ours,
    runout_files,
)
from tests.support.collector_ground import CollectorGround
from tests.support.daemon import Nursery
from tests.support.gate import Gate
from tests.support.strict_s3.faults import Fail, Fault, HalfAnswer, Stage, Wait
from tests.support.strict_s3.history import MutationKind

ONE, TWO = "00001", "00002"


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[CollectorGround]:
    """A project root, and an empty bucket."""
    with CollectorGround.opened(tmp_path, nursery) as made:
        yield made


def test_nothing_to_do_is_a_success(ground: CollectorGround) -> None:
    """The usual end of a night without results."""
    assert ground.command("--once").status == 0
    assert ground.command("--plan").stdout.startswith("nothing to do")


def test_a_plan_names_what_a_pass_would_do_and_changes_nothing(ground: CollectorGround) -> None:
    """People run it before they trust it."""
    ground.ledger.write_text(f"{TWO}\n")
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))
    ground.lay(runout_files(Runout(STAMP, TWO), contents(TWO)))
    ground.lay(runout_files(Runout(LATER, TWO), contents(TWO, shift=1.0)))
    ground.lay(runout_files(Runout(STAMP, "00003"), {"a.txt": b""}))
    before = sorted(ground.root.rglob("*"))

    outcome = ground.command("--plan")

    assert outcome.status == 0
    assert [line.split("\t")[:2] for line in outcome.stdout.splitlines()] == [
        ["collect", str(Runout(STAMP, ONE))],
        ["wait", str(Runout(STAMP, "00003"))],
        ["compare", str(Runout(LATER, TWO))],
    ]
    assert sorted(ground.root.rglob("*")) == before
    assert not [m for m in ground.s3.mutations() if m.kind is not MutationKind.SEED]


def test_a_check_says_what_is_wrong(ground: CollectorGround) -> None:
    """Ledger, folders, credentials and bucket, with a status that a script can use."""
    good = ground.command("--check")
    assert good.status == 0
    assert [line.split("\t")[:2] for line in good.stdout.splitlines()] == [
        [name, "ok"]
        for name in ("settings", "ledger", "inbox", "central", "state", "credentials", "bucket")
    ]

    missing = ground.command("--check", env={"BUCKET": "another-bucket"})
    assert missing.status == 6
    assert "bucket\tNoSuchBucket" in missing.stdout

    ground.ledger.write_text(f"{ONE}\n")
    unmounted = ground.command("--check")
    assert unmounted.status == 2
    assert "central\tis not there; mount it" in unmounted.stdout
    stranger = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert ground.command("--check", env=stranger).status == 3


def test_a_state_folder_that_cannot_be_had_is_named(ground: CollectorGround) -> None:
    """No traceback in the journal: exit 2, and which folder to give to whom."""
    file = ground.root / "file"
    file.touch()

    outcome = ground.command("--once", "--state-directory", str(file / "state"))

    assert outcome.status == 2
    assert len(outcome.stderr.splitlines()) == 1
    assert str(file / "state") in outcome.stderr


BAD: Sequence[tuple[Sequence[str], Mapping[str, str], Sequence[str]]] = (
    ((), {"BUCKET": ""}, ("BUCKET", "--bucket")),
    ((), {"BUCKET": "No_Bucket"}, ("BUCKET", "No_Bucket")),
    ((), {"SLEEP_SEC": "soon"}, ("SLEEP_SEC", "soon", "number of seconds")),
    (("--prefix", "/a/"), {}, ("--prefix", "/a/")),
    (("--root", "/nowhere/at/all"), {}, ("/nowhere/at/all", "--root")),
    (("--largest-file", "0"), {}, ("--largest-file", "0")),
)


@pytest.mark.parametrize(("argv", "env", "said"), BAD)
def test_a_bad_value_is_one_line_and_status_2(
    ground: CollectorGround, argv: Sequence[str], env: Mapping[str, str], said: Sequence[str]
) -> None:
    """Option, value, what is allowed; nothing was asked of S3."""
    outcome = ground.command("--once", *argv, env=env)

    assert outcome.status == 2
    wrong = [line for line in outcome.stderr.splitlines() if not line.startswith("usage")]
    assert any(all(word in line for word in said) for line in wrong), outcome.stderr
    assert ground.s3.count("ListObjectsV2") == 0


def test_an_unreadable_ledger_is_status_2(ground: CollectorGround) -> None:
    """It never takes everything up again."""
    ground.ledger.mkdir()
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))

    outcome = ground.command("--once")

    assert outcome.status == 2
    assert "name a text file" in outcome.stderr
    assert ground.merged() == {}


def test_a_second_collector_of_the_same_ledger_is_refused(
    ground: CollectorGround, tmp_path: Path
) -> None:
    """A unit and a copy started by hand meet at the ledger, whatever their state folders are."""
    first = ground.start()
    first.wait_for("pass_finished")

    second = ground.command("--once", "--state-directory", str(tmp_path / "other"))

    assert second.status == 5
    assert f"process {first.pid}" in second.stderr


def test_what_arrives_is_collected_while_it_runs(ground: CollectorGround) -> None:
    """One request a pass when nothing is new; SIGTERM ends it with 0."""
    daemon = ground.start(poll=0.1)
    daemon.wait_for("pass_finished")
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))
    daemon.wait_for("runout_collected", cid=ONE)
    daemon.wait_passes(1)
    ground.s3.forget()
    passes = len(daemon.wait_passes(5))

    assert daemon.stop() == 0
    assert ground.s3.count() <= passes + 3
    assert ground.merged() == contents(ONE)
    stored = ground.s3.objects(BUCKET)[LAYOUT.summary("collector").key]
    assert parse_summary(stored, "collector").cids["collected"] == {ONE}


def test_stopped_in_the_middle_it_finishes_what_it_has_begun(ground: CollectorGround) -> None:
    """The first signal begins nothing new and leaves nothing half done."""
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))
    gate = Gate()
    key = LAYOUT.result(Runout(STAMP, ONE), names([ONE])[0]).key
    ground.s3.faults.add(Fault(Wait(gate), operation="GetObject", key=key))
    daemon = ground.start(poll=0.1)
    gate.reached_blocking()
    mark = daemon.mark()
    daemon.signal(signal.SIGTERM)
    daemon.wait_for("stopping", after=mark)
    gate.open()

    assert daemon.wait() == 0
    assert ground.merged() == contents(ONE)
    assert ground.recorded() == [ONE]


@pytest.mark.parametrize(
    "effect", [Fail("InternalError"), Fail("SlowDown"), HalfAnswer(), Fail("AccessDenied")]
)
def test_trouble_in_s3_is_over_when_it_is_over(
    ground: CollectorGround, effect: Fail | HalfAnswer
) -> None:
    """A daemon outlives it, and nothing partial is left."""
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))
    fault = ground.s3.faults.add(Fault(effect, operation="GetObject", nth=range(1, 12)))
    daemon = ground.start(poll=0.1)

    daemon.wait_for("runout_collected", cid=ONE, limit=60)

    assert ground.s3.faults.struck(fault) > 0
    assert daemon.stop() == 0
    assert ground.merged() == contents(ONE)


def test_an_unreachable_store_is_status_6_once(ground: CollectorGround) -> None:
    """For cron; a daemon would wait."""
    ground.s3.faults.add(Fault(Fail("AccessDenied", stage=Stage.ARRIVAL), operation="List*"))

    assert ground.command("--once").status == 6


def test_a_central_folder_that_cannot_be_written_pauses(ground: CollectorGround) -> None:
    """One shot ends with 7, and the daemon would say so and look again."""
    ground.central.parent.mkdir(parents=True)
    ground.central.write_bytes(b"a file")
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))

    outcome = ground.command("--once")

    assert outcome.status == 7
    assert str(ground.central) in outcome.stderr
    assert "trouble" in ground.command("--status").stdout
    ground.central.unlink()
    assert ground.command("--once").status == 0


def test_everything_is_relative_to_the_working_directory(
    ground: CollectorGround, tmp_path: Path
) -> None:
    """People start it exactly where the scripts were started."""
    birth = ground.birth("--once", "--root", ".")
    home = birth.environ["HOME"]
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))

    assert ground.command("--once", "--root", ".").status == 0

    assert (Path(home) / ".completed_cids").read_text() == f"{ONE}\n"
    assert os.listdir(ground.root) == []  # noqa: PTH208 - one look
