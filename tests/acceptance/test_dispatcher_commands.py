import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handshake.layout import JobFolder
from tests.support.daemon import Nursery
from tests.support.dispatcher_ground import DispatcherGround
from tests.support.dispatching import BUCKET, LAYOUT, chunk_text
from tests.support.gate import Gate
from tests.support.strict_s3.faults import Fail, Fault, Stage, Wait


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[DispatcherGround]:
    """A project root as PROD has it, and an empty bucket."""
    with DispatcherGround.opened(tmp_path, nursery) as made:
        yield made


def test_one_pass_sends_what_is_there(ground: DispatcherGround) -> None:
    """`--once` is what the old script did: exit 0 when all is sent, and again when nothing is."""
    ground.chunk("00002")
    ground.chunk("00001")
    ground.chunk("00003")
    ground.answer("00003")
    (ground.positions / "positions_chunk_123.csv").write_text("x")
    (ground.positions / "positions_chunk_02104.csv.bak").write_text("x")

    planned = ground.command("--plan")
    outcome, again = ground.command("--once"), ground.command("--once")

    assert "leave\tpositions_chunk_123.csv\ta CID is exactly five digits\n" in planned.stdout
    assert (outcome.status, again.status) == (0, 0)
    assert ground.recorded() == ["00001", "00002"]
    assert [sorted(files) for files in ground.jobs().values()] == [
        ["cid.txt", "part-00001.parquet"],
        ["cid.txt", "part-00002.parquet"],
    ]
    assert ground.staged() == []


def test_the_plan_says_what_a_pass_would_do_and_does_nothing(ground: DispatcherGround) -> None:
    """People look before they leap."""
    for cid in ("00001", "00002", "00003", "00004"):
        ground.chunk(cid)
    ground.answer("00002")
    ground.ledger.write_text("00003\n")
    ground.s3.seed(BUCKET, {f"{LAYOUT.jobs.key}aws-seeds-2024-05-06-CID-00004/cid.txt": b"00004"})

    outcome = ground.command("--plan")

    lines = [line.split("\t") for line in outcome.stdout.splitlines()]
    assert outcome.status == 0
    assert [line[:2] for line in lines] == [
        ["send", "00001"],
        ["record", "00004"],
        ["leave", "1 CID"],
        ["leave", "1 CID"],
    ]
    assert ground.complete() == ["00004"]
    assert ground.recorded() == ["00003"]
    assert not ground.state.exists()


def test_the_check_finds_what_is_missing(ground: DispatcherGround) -> None:
    """Before the unit is started for months."""
    good = ground.command("--check")
    bad = ground.command("--check", "--seed-command", "/no/such/program {chunk}")
    nowhere = ground.command("--check", "--bucket", "no-such-bucket")

    assert (good.status, bad.status, nowhere.status) == (0, 2, 6)
    assert "seed step\tok" in good.stdout
    assert all(line.split("\t")[1] == "ok" for line in good.stdout.splitlines())
    assert "/no/such/program" in bad.stdout
    assert "no-such-bucket" in nowhere.stdout


def test_without_a_bucket_it_says_which_variable_is_missing(ground: DispatcherGround) -> None:
    """There is no default: a wrong bucket would be worse than none."""
    outcome = ground.command("--once", env={"BUCKET": ""})

    assert outcome.status == 2
    assert "BUCKET" in outcome.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("--seed-command", "build {chunks}"),
        ("--seed-command", "build {"),
        ("--prefix", "/a//b/"),
        ("--bucket", "No_Bucket"),
        ("--poll", "0"),
        ("--retry", "123"),
        ("--root", "/no/such/folder"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    ground: DispatcherGround, argv: tuple[str, ...]
) -> None:
    """What, where, what is allowed; exit 2."""
    outcome = ground.command(*argv, *(() if argv[0] == "--retry" else ("--once",)))

    assert outcome.status == 2
    assert len(outcome.stderr.splitlines()) == 1
    assert argv[1].strip("/") in outcome.stderr or argv[0] in outcome.stderr


def test_what_the_scripts_left_is_honoured(ground: DispatcherGround) -> None:
    """Their ledger, torn and with blank lines, and their folders, with and without a marker."""
    for number in range(1, 6):
        ground.chunk(f"{number:05d}")
    ground.ledger.write_bytes(b"00001\r\n\n00001\n00002\n0000")
    begun, whole = (JobFolder("2024-05-06", cid) for cid in ("00003", "00004"))
    ground.s3.seed(BUCKET, {LAYOUT.seed(begun).key: b"half"})
    ground.s3.seed(BUCKET, {LAYOUT.seed(whole).key: b"all", LAYOUT.marker(whole).key: b"00004\n"})

    outcome = ground.command("--once")

    assert outcome.status == 0
    jobs = ground.jobs()
    assert sorted(folder.cid for folder in jobs) == ["00003", "00004", "00005"]
    assert jobs[begun] == {"cid.txt": b"00003\n", "part-00003.parquet": chunk_text("00003")}
    assert jobs[whole]["part-00004.parquet"] == b"all"
    whole_lines = {line for line in ground.recorded() if len(line) == 5}
    assert whole_lines == {"00001", "00002", "00003", "00004", "00005"}


def test_an_unreadable_ledger_stops_it(ground: DispatcherGround) -> None:
    """Exit 2, and never everything again."""
    ground.chunk("00001")
    ground.ledger.mkdir()

    outcome = ground.command("--once")

    assert outcome.status == 2
    assert ".sent_cids" in outcome.stderr
    assert ground.jobs() == {}


def test_a_daemon_finds_new_chunks_by_itself_and_answers_spare_the_work(
    ground: DispatcherGround,
) -> None:
    """Nobody starts anything: a chunk is noticed once it has settled."""
    daemon = ground.start(poll=30)
    daemon.wait_for("pass_finished")
    ground.answer("00001")
    ground.chunk("00001", age=0)
    ground.chunk("00002", age=0)

    sent = daemon.wait_for("cid_sent")

    assert sent.fields["cid"] == "00002"
    assert daemon.stop() == 0
    assert ground.complete() == ["00002"]


def test_a_chunk_that_grows_waits(ground: DispatcherGround) -> None:
    """Half a chunk must not become a job."""
    daemon = ground.start("--stability", "1.5", poll=0.2)
    daemon.wait_for("pass_finished")
    path = ground.chunk("00001", b"half", age=0)
    daemon.wait_passes(3)
    assert ground.jobs() == {}

    path.write_bytes(chunk_text("00001"))
    daemon.wait_for("cid_sent", cid="00001")

    assert daemon.stop() == 0
    [files] = ground.jobs().values()
    assert files["part-00001.parquet"] == chunk_text("00001")


def test_bad_input_is_quarantined_shown_and_put_back(ground: DispatcherGround) -> None:
    """One bad chunk delays nothing else; people see why, and one command puts it back."""
    script = 'case "$0" in *00001.csv) echo "$0 line 7: no number" >&2; exit 2;; esac; cp "$0" "$1"'
    command = ("--seed-command", json.dumps(["/bin/sh", "-c", script, "{chunk}", "{seed}"]))
    ground.chunk("00001")
    ground.chunk("00002")

    outcome = ground.command("--once", "--attempts", "1", *command)
    shown = ground.command("--status", *command)

    assert outcome.status == 4
    assert ground.complete() == ["00002"]
    assert "quarantined 00001: " in shown.stdout
    assert "line 7: no number" in shown.stdout
    summary = json.loads(ground.s3.objects(BUCKET)[LAYOUT.summary("dispatcher").key])
    assert summary["cids"] == {
        "new": "",
        "answered": "",
        "sent": "00002",
        "quarantined": "00001",
    }
    assert "line 7" in summary["notes"]["00001"]

    freed = ground.command("--retry", "00001", "00009", *command)
    assert "00001\tis tried again" in freed.stdout
    assert "00009\tis not in quarantine" in freed.stdout
    assert freed.status == 4
    assert ground.command("--retry", "all").status == 0
    assert ground.command("--once").status == 0
    assert ground.complete() == ["00001", "00002"]


def test_a_hanging_step_is_ended_at_its_limit_and_the_rest_goes_on(
    ground: DispatcherGround,
) -> None:
    """It ignores SIGTERM, prints without end and leaves a child; nothing of it remains."""
    script = (
        'case "$0" in *00001.csv) trap "" TERM; sleep 1000 & while :; do echo loud; done;; esac; '
        'cp "$0" "$1"'
    )
    command = ("--seed-command", json.dumps(["/bin/sh", "-c", script, "{chunk}", "{seed}"]))
    ground.chunk("00001")
    ground.chunk("00002")

    outcome = ground.command("--once", "--step-limit", "1", "--attempts", "1", *command)

    assert outcome.status == 4
    assert ground.complete() == ["00002"]
    [record] = (ground.state / "quarantine").iterdir()
    assert "time limit of 1 s reached" in record.read_text()
    assert record.stat().st_size < 10_000
    assert ground.staged() == []


def test_a_term_signal_finishes_the_cid_in_hand_and_takes_no_other(
    ground: DispatcherGround,
) -> None:
    """What is under way ends properly; the rest waits for the next start."""
    gate = Gate()
    ground.s3.faults.add(
        Fault(Wait(gate, Stage.BEFORE_COMMIT), operation="PutObject", key="*.parquet", nth=1)
    )
    for cid in ("00001", "00002"):
        ground.chunk(cid)

    daemon = ground.start()
    gate.reached_blocking()
    daemon.signal(signal.SIGTERM)
    daemon.wait_for("stopping")
    gate.open()

    assert daemon.wait() == 0
    assert ground.complete() == ["00001"]
    assert ground.recorded() == ["00001"]


def test_a_step_that_outlasts_the_grace_is_ended_unharmed(ground: DispatcherGround) -> None:
    """Its process group is gone, its staging too, and the next life sends the CID."""
    told = ground.folder / "told"
    os.mkfifo(told)
    script = f"echo $$ > {told}; sleep 1000"
    command = ("--seed-command", json.dumps(["/bin/sh", "-c", script, "{chunk}", "{seed}"]))
    ground.chunk("00001")

    daemon = ground.start("--grace", "0.2", *command)
    pid = int(told.read_text())

    assert daemon.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert ground.staged() == []
    assert ground.jobs() == {}
    assert ground.command("--once").status == 0
    assert ground.complete() == ["00001"]


def test_two_dispatchers_of_one_project_meet_at_the_ledger(ground: DispatcherGround) -> None:
    """A unit and a copy started by hand, with other state folders: exit 5 names the first."""
    daemon = ground.start()
    daemon.wait_for("ready")

    second = ground.command("--once", "--state-directory", str(ground.folder / "other"))

    assert second.status == 5
    assert str(daemon.pid) in second.stderr
    assert second.stderr.strip().endswith("; stop it first")


def test_two_ledgers_make_no_two_dispatchers(ground: DispatcherGround) -> None:
    """They would remove each other's seeds: who is in the staging folder is alone there."""
    daemon = ground.start()
    daemon.wait_for("ready")

    second = ground.command(
        *("--once", "--ledger", ".other_cids"),
        *("--state-directory", str(ground.folder / "other")),
    )

    assert second.status == 5
    assert str(ground.staging) in second.stderr
    assert second.stderr.strip().endswith("; stop it first")
    assert not (ground.root / ".other_cids").exists()


def test_in_the_wrong_folder_it_says_what_to_do_and_leaves_nothing(
    ground: DispatcherGround,
) -> None:
    """A ledger that is left where none belongs is found months later, and believed."""
    elsewhere = ground.folder / "else where"
    elsewhere.mkdir()

    outcome = ground.command("--once", "--root", str(elsewhere))

    assert outcome.status == 2
    positions = elsewhere / "data/local-cats/tmp/positions/new"
    assert f"or make it: mkdir -p '{positions}'" in outcome.stderr
    assert list(elsewhere.iterdir()) == []


def test_it_asks_for_its_bucket_before_it_is_ready(ground: DispatcherGround) -> None:
    """A wrong name is seen by who starts it, and not in the log of the first chunk's day."""
    once = ground.command("--once", "--bucket", "no-such-bucket")
    daemon = ground.start("--bucket", "no-such-bucket")

    assert (once.status, daemon.wait()) == (6, 6)
    assert "no-such-bucket" in once.stderr
    assert daemon.events("ready") == []


@pytest.mark.parametrize("option", ["--state-directory", "--staging"])
def test_a_folder_that_cannot_be_had_is_named(ground: DispatcherGround, option: str) -> None:
    """No traceback: exit 2 and the folder."""
    file = ground.folder / "a file"
    file.touch()

    outcome = ground.command("--once", option, str(file / "folder"))

    assert outcome.status == 2
    assert len(outcome.stderr.splitlines()) == 1
    assert str(file / "folder") in outcome.stderr


def test_s3_in_trouble_costs_bounded_requests_and_loses_nothing(ground: DispatcherGround) -> None:
    """Nobody is blamed; when S3 is back it goes on by itself."""
    ground.chunk("00001")
    refused = Fault(Fail("AccessDenied", status=403), operation="PutObject", key="*.parquet")
    ground.s3.faults.add(refused)

    daemon = ground.start(poll=0.2)
    daemon.wait_for("pass_failed", count=2)
    assert daemon.events("cid_failed") == []
    assert ground.recorded() == []
    ground.s3.faults.clear()
    daemon.wait_for("cid_sent", cid="00001")

    assert daemon.stop() == 0
    ground.chunk("00002")
    assert ground.command("--once", "--bucket", "no-such-bucket").status == 6


def test_a_pause_between_cids_is_honoured_and_ends_with_the_signal(
    ground: DispatcherGround,
) -> None:
    """`SLEEP_SEC` is in people's shells; a stop must not wait for it."""
    for cid in ("00001", "00002"):
        ground.chunk(cid)

    daemon = ground.start(env={"SLEEP_SEC": "3600"})
    daemon.wait_for("cid_sent", cid="00001")

    assert daemon.stop(limit=10) == 0
    assert ground.complete() == ["00001"]
