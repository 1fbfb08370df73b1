import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handshake.failure import FailureReport, parse_failure
from shared.handshake.layout import closest_name, quality_name
from shared.handshake.lease import LeaseState
from tests.support.daemon import Nursery
from tests.support.watcher_ground import WatcherGround, table
from tests.support.watching import BUCKET, LAYOUT

LIMITS = ("--sidecar-limit", "3", "--closest-limit", "3", "--attempts", "2", "--grace", "1")


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[WatcherGround]:
    """A machine, and an S3 with an empty bucket."""
    with WatcherGround.opened(tmp_path, nursery) as made:
        yield made


def report(ground: WatcherGround, cid: str) -> FailureReport:
    """What PROD sees of a parked CID."""
    return parse_failure(ground.s3.objects(BUCKET)[LAYOUT.failure(cid).key], cid)


WRONG_COUNT = f"""\
test "$1" = closest || {{ cat "$2"/* > "$3"; exit; }}
printf 'row_id,b\\n1,2\\n' > "$4/{closest_name("CID")}"
printf 'rows=2\\n' > "$4/{quality_name("CID")}"
exit
"""
BAD = {
    "hangs": ("sleep 1000", "time limit"),
    "ignores SIGTERM": ("trap '' TERM; while :; do sleep 0.05; done", "time limit"),
    "fails": ("echo 'the seeds are odd' >&2; exit 1", "the seeds are odd"),
    "bad input": ("echo 'no column opt_ra_deg'; exit 2", "no column opt_ra_deg"),
    "writes nothing": ("exit 0", "was not written"),
    "prints a gigabyte": ("head -c 1000000000 /dev/zero | tr '\\0' 'x'; exit 1", "xxxxxx"),
    "eats memory": (
        "exec python3 -c 'x = bytearray(1 << 33); x[::4096] = b\"1\" * len(x[::4096])'",
        "MemoryError",
    ),
    "writes without end": ("exec dd if=/dev/zero of=$TMPDIR/f bs=1M", "file size limit"),
    "kills itself": ("kill -KILL $$", "SIGKILL"),
    "leaves children": (
        "(setsid sleep 1000 & echo $! > $OLD/child; sleep 1000 & echo $! >> $OLD/child); exit 1",
        "exit status 1",
    ),
    "wrong count": (WRONG_COUNT, "rows=2"),
    "no permission left": (
        "mkdir $TMPDIR/a $TMPDIR/a/b; chmod 0 $TMPDIR/a/b $TMPDIR/a; exit 1",
        "1",
    ),
}


def is_alive(pid: int) -> bool:
    """Say whether a process runs."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(") ")[2][0] not in "ZX"


@pytest.mark.timeout(240)
def test_bad_jobs_are_parked_while_others_go_on(ground: WatcherGround) -> None:
    """One poison chunk among thousands costs its own attempts and nothing else."""
    cids = {f"{number:05d}": name for number, name in enumerate(BAD, 1)}
    good = ["00000", "00099"]
    for cid, name in cids.items():
        ground.misbehave(cid, BAD[name][0].replace("CID", cid).replace("$OLD", str(ground.folder)))
    ground.send(*cids, *good)

    daemon = ground.start(*LIMITS, "--step-memory", "512", "--step-file", "8")
    daemon.wait_for("job_parked", count=len(cids), limit=200)
    daemon.wait_for("pass_finished", set_aside=len(cids), waiting=0)
    assert daemon.stop() == 0

    assert sorted(ground.recorded()) == good
    assert sorted(ground.results()) == good
    for cid, name in cids.items():
        lease, said = ground.lease(cid), report(ground, cid)
        assert lease is not None
        assert (lease.state, said.attempts) == (LeaseState.PARKED, 2), name
        assert BAD[name][1] in f"{said.reason} {said.log_tail}", (name, said)
        assert len(said.log_tail) <= 16 * 1024
    assert ground.left() == []
    children = [int(line) for line in (ground.folder / "child").read_text().split()]
    assert not [pid for pid in children if is_alive(pid)]


@pytest.mark.timeout(120)
def test_a_parked_cid_is_put_back_by_a_command(ground: WatcherGround) -> None:
    """Mended, it is one command away from going on, wherever it was parked."""
    ground.misbehave("00007", "exit 1")
    ground.send("00007")
    daemon = ground.start("--attempts", "1")
    daemon.wait_for("job_parked", cid="00007")
    (ground.folder / "bad" / "00007").unlink()

    said = ground.command("--retry", "00007", "00008")
    everything = ground.command("--retry", "all")

    assert said.status == 4
    assert said.stdout.splitlines() == [
        "00007\tput back; the watchers try it again",
        "00008\tnot parked; nothing changed",
    ]
    assert (everything.status, everything.stdout.strip()) == (0, "no CID is parked")
    daemon.wait_for("job_processed", cid="00007")
    assert daemon.stop() == 0
    assert LAYOUT.failure("00007").key not in ground.s3.keys(BUCKET)


@pytest.mark.timeout(120)
def test_all_parked_cids_are_put_back_by_one_word(ground: WatcherGround) -> None:
    """A step that was wrong for a night parks hundreds; nobody types their numbers.

    `exit 3` of a command of somebody's own says nothing about credentials: it parks as well.
    """
    ground.misbehave("00007", "exit 1")
    ground.misbehave("00008", "exit 3")
    ground.send("00006", "00007", "00008")
    assert ground.start("--once", "--attempts", "1").wait() == 4
    for cid in ("00007", "00008"):
        (ground.folder / "bad" / cid).unlink()

    said = ground.command("--retry", "all")

    assert said.status == 0
    assert [line.split("\t")[0] for line in said.stdout.splitlines()] == ["00007", "00008"]
    assert ground.start("--once").wait() == 0
    assert sorted(ground.recorded()) == ["00006", "00007", "00008"]


@pytest.mark.timeout(120)
def test_a_disk_that_is_full_parks_nothing(ground: WatcherGround) -> None:
    """What is around a job must not park a thousand CIDs; the status says what to look at."""
    ground.misbehave("00007", "echo 'cp: error writing: No space left on device'; exit 1")
    ground.send("00007")

    daemon = ground.start("--once", "--attempts", "1")

    assert daemon.wait() == 7, daemon.tail()

    lease = ground.lease("00007")
    assert lease is not None
    assert (lease.state, lease.attempts) == (LeaseState.RELEASED, 0)
    (ground.folder / "bad" / "00007").unlink()
    assert ground.start("--once").wait() == 0
    assert ground.recorded() == ["00007"]


@pytest.mark.timeout(120)
def test_what_only_ever_halts_one_cid_is_its_own_fault(ground: WatcherGround) -> None:
    """A job that claims the network is down, while others go well, must not be tried for ever."""
    ground.misbehave("00001", "echo 'Connection refused'; exit 1")
    ground.send(*(f"{number:05d}" for number in range(1, 9)))

    daemon = ground.start("--attempts", "2")
    daemon.wait_for("job_parked", cid="00001", limit=90)
    daemon.wait_for("job_processed", count=7)

    assert daemon.stop() == 0
    assert sorted(ground.recorded()) == [f"{number:05d}" for number in range(2, 9)]


@pytest.mark.timeout(120)
def test_a_stopped_watcher_gives_its_job_back(ground: WatcherGround) -> None:
    """SIGTERM comes two minutes before a spot instance goes; another one takes the job at once."""
    begun = ground.folder / "begun"
    os.mkfifo(begun)
    ground.misbehave("00005", f"echo > {begun}; exec sleep 1000")
    ground.send("00005")
    daemon = ground.start()
    daemon.wait_for("job_claimed", cid="00005")
    begun.read_text()

    daemon.signal(signal.SIGTERM)

    assert daemon.wait() == 0, daemon.tail()
    lease = ground.lease("00005")
    assert lease is not None
    assert (lease.state, lease.attempts) == (LeaseState.RELEASED, 0)
    assert ground.left() == []
    (ground.folder / "bad" / "00005").unlink()
    assert ground.start("--once", machine="b").wait() == 0
    assert ground.recorded("b") == ["00005"]
    assert ground.s3.objects(BUCKET)[
        LAYOUT.result(ground.results()["00005"][0], closest_name("00005")).key
    ] == table("00005")


@pytest.mark.timeout(120)
def test_status_plan_and_check_tell_what_is(ground: WatcherGround) -> None:
    """A person sees what a pass would do, whether it could, and what the last one did."""
    ground.misbehave("00003", "exit 1")
    ground.send("00001", "00003")
    ground.send("00002", marker=False)

    planned = ground.command("--plan")
    nothing = ground.command("--plan", "--prefix", "other/hand-shake")
    checked = ground.command("--check")
    assert ground.start("--once", "--attempts", "1").wait() == 4
    shown = ground.command("--status")
    after = ground.command("--plan")

    assert [line.split("\t")[:2] for line in planned.stdout.splitlines()] == [
        ["claim", "00001"],
        ["wait", "00002"],
        ["claim", "00003"],
    ]
    assert nothing.stdout.splitlines() == ["IDLE\tno job is in the bucket"]
    assert checked.status == 0
    rows = [line.split("\t")[:2] for line in checked.stdout.splitlines()]
    assert rows == [
        *(["settings", "ok"], ["ledger", "ok"], ["work", "ok"], ["state", "ok"]),
        *(["sidecar step", "ok"], ["closest step", "ok"], ["catalogue", "ok"]),
        *(["credentials", "ok"], ["bucket", "ok"]),
    ]
    assert f"watcher of {ground.root()} (" in shown.stdout
    assert "state       not running" in shown.stdout
    assert "1 processed" in shown.stdout
    assert "parked      00003: step sidecar: exit status 1" in shown.stdout
    assert [line.split("\t")[:2] for line in after.stdout.splitlines()] == [
        ["wait", "00002"],
        ["leave", "00003"],
    ]
    status = json.loads((ground.folder / "state-a" / "status.json").read_text())
    assert status["details"]["totals"]["parked"] == 1


@pytest.mark.timeout(60)
def test_the_check_finds_what_the_steps_will_miss(ground: WatcherGround) -> None:
    """Better before the unit is started than from a thousand halted CIDs."""
    broken = ground.command(
        *("--check", "--sidecar-command", "/no/such/program --in {catalogue}"),
        *("--catalogue", str(ground.folder / "no-sky")),
    )

    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in broken.stdout.splitlines()}
    assert broken.status == 2
    assert "is not found" in rows["sidecar step"][0]
    assert rows["catalogue"][0].startswith("is not there")
    assert rows["catalogue"][1] == str(ground.folder / "no-sky")
    assert rows["closest step"][0] == "ok"


@pytest.mark.timeout(60)
def test_a_folder_that_cannot_be_had_is_named(ground: WatcherGround) -> None:
    """No traceback in the journal: exit 2, and which folder to give to whom."""
    file = ground.folder / "file"
    file.touch()

    outcome = ground.command("--once", "--work", str(file / "work"))

    assert outcome.status == 2
    assert len(outcome.stderr.splitlines()) == 1
    assert str(file / "work") in outcome.stderr


@pytest.mark.timeout(60)
def test_the_console_says_idle(ground: WatcherGround) -> None:
    """People look for this word in the log when they wonder whether there is work."""
    daemon = ground.start("--log-form", "console")
    daemon.wait_until(lambda: "IDLE" in daemon.text)
    assert daemon.stop() == 0


@pytest.mark.timeout(60)
def test_an_unreadable_ledger_stops_it_before_anything(ground: WatcherGround) -> None:
    """A ledger that is taken for empty would have everything computed again."""
    (ground.root() / ".processed_cids").mkdir()
    ground.send("00001")

    said = ground.command("--once")

    assert said.status == 2
    assert ".processed_cids" in said.stderr
    assert ground.results() == {}
