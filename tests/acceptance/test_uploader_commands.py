import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.acceptance.ground import BUCKET, Ground
from tests.support.daemon import LIMIT_SECONDS, PROJECT, run_command
from tests.support.nursery import Birth

SCRIPTS = PROJECT / "scripts"


def run_script(name: str, *argv: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts that people have in their fingers."""
    return subprocess.run(
        [str(SCRIPTS / name), *argv],
        env=dict(env),
        cwd=env["HOME"],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def test_a_plan_names_every_file_and_changes_nothing(ground: Ground) -> None:
    """People run it before they trust the daemon with the only copy."""
    ground.seed("there.png", b"there")
    ground.seed("other.png", b"old")
    ground.put("new.png", b"new")
    ground.put("there.png", b"there")
    ground.put("other.png", b"NEW")
    ground.put("unstable.png", b"unstable", age=-3600)
    ground.put("a.png", b"x", bucket="Bad_Bucket")
    ground.put("line\nbreak.png", b"x")
    (ground.root / BUCKET / "link").symlink_to("/etc/hostname")
    before = ground.left()

    outcome = ground.command("--plan")

    assert outcome.status == 0
    verbs = {tuple(line.split("\t")[:2]) for line in outcome.stdout.splitlines()}
    assert verbs == {
        ("upload", f"{BUCKET}/new.png"),
        ("upload", f"{BUCKET}/line\\nbreak.png"),
        ("remove", f"{BUCKET}/there.png"),
        ("replace", f"{BUCKET}/other.png"),
        ("wait", f"{BUCKET}/unstable.png"),
        ("leave", "Bad_Bucket/a.png"),
        ("leave", f"{BUCKET}/link"),
    }
    assert ground.left() == before
    assert {request.method for request in ground.s3.requests()} <= {"GET", "HEAD", "POST"}
    assert not [m for m in ground.s3.mutations() if m.kind.value != "seed"]


def test_a_check_says_what_is_wrong_before_anything_is_moved(ground: Ground) -> None:
    """Settings, credentials and each folder's bucket, with a status that a script can use."""
    good = ground.command("--check")
    assert good.status == 0
    assert "credentials\tok\tarn:aws:" in good.stdout

    (ground.root / "absent-bucket").mkdir()
    (ground.root / "Bad_Bucket").mkdir()
    bad = ground.command("--check")

    assert bad.status == 6
    assert f"{BUCKET}\tok" in bad.stdout
    assert "absent-bucket\tbucket 'absent-bucket' does not exist" in bad.stdout
    assert "Bad_Bucket\tfolder 'Bad_Bucket' cannot be a bucket" in bad.stdout


def test_a_check_without_credentials_is_status_3(ground: Ground) -> None:
    """The same answer that the daemon would give."""
    env = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}

    assert ground.command("--check", env=env).status == 3
    assert ground.command("--plan", env=env).status == 3


def test_one_pass_ends_with_0_when_all_is_done_and_4_when_not(ground: Ground) -> None:
    """For cron and for the last minute of a batch job."""
    ground.put("a.png", b"a")
    assert ground.command("--once").status == 0
    assert ground.is_empty()

    ground.put("b.png", b"b")
    ground.put("c.png", b"c", bucket="absent-bucket")
    assert ground.command("--once").status == 4
    assert ground.left() == ["absent-bucket/c.png"]
    assert sorted(ground.s3.objects(BUCKET)) == ["a.png", "b.png"]


BAD_VALUES: Sequence[tuple[Sequence[str], Mapping[str, str], Sequence[str]]] = (
    ((), {"S3_UPLOAD_INTERVAL": "abc"}, ("S3_UPLOAD_INTERVAL", "'abc'", "number of seconds")),
    ((), {"FILE_STABILITY_SECONDS": "-1"}, ("FILE_STABILITY_SECONDS", "-1")),
    (("-i", "soon"), {}, ("--interval", "'soon'", "number of seconds")),
    (("--interval", "0"), {}, ("--interval", "0")),
    (("--alias", "x=Not_A_Bucket"), {}, ("--alias", "Not_A_Bucket")),
    (("--no-such-option",), {}, ("--no-such-option",)),
)


@pytest.mark.parametrize(("argv", "env", "said"), BAD_VALUES)
def test_a_bad_value_is_one_readable_line_and_status_2(
    ground: Ground, argv: Sequence[str], env: Mapping[str, str], said: Sequence[str]
) -> None:
    """Option, value, what is allowed; no traceback, and nothing was started."""
    bare = Birth(["-d", str(ground.root), *argv], ground.environment(env))

    outcome, _ = run_command(bare, ground.nursery.start)

    assert outcome.status == 2
    wrong = [line for line in outcome.stderr.splitlines() if not line.startswith("usage")]
    assert any(all(word in line for word in said) for line in wrong), outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert ground.s3.count() == 0


def test_flag_beats_variable_beats_default(ground: Ground) -> None:
    """The fixed names work, and `config show --origin` says where each value is from."""
    env = {**ground.environment(), "S3_UPLOAD_INTERVAL": "7", "FILE_STABILITY_SECONDS": "3"}

    shown = subprocess.run(
        [str(PROJECT / ".venv/bin/towpath"), "config", "show", "uploader", "--origin"],
        env=env,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )

    assert shown.returncode == 0, shown.stderr
    lines = {line.split()[0]: line for line in shown.stdout.splitlines() if line.strip()}
    assert any("7" in line and "S3_UPLOAD_INTERVAL" in line for line in lines.values())
    assert any("3" in line and "FILE_STABILITY_SECONDS" in line for line in lines.values())
    assert any("default" in line for line in lines.values())


def test_help_names_every_fixed_option(ground: Ground) -> None:
    """People have these in their shells."""
    outcome = ground.command("--help")

    assert outcome.status == 0
    for flag, variable in (
        ("-i, --interval", "S3_UPLOAD_INTERVAL"),
        ("-d, --directory", "S3_ROOT_DIR"),
        ("-r, --region", "AWS_REGION"),
        ("-p, --profile", "AWS_PROFILE"),
        ("-s, --stability", "FILE_STABILITY_SECONDS"),
    ):
        assert flag in outcome.stdout
        assert variable in outcome.stdout.replace("\n" + " " * 30, " ")


def test_the_laptop_scripts_start_one_daemon_and_stop_it(ground: Ground) -> None:
    """Start, a second start refused, stop, stop again, a stale PID file: the daily round."""
    state = ground.state
    env = ground.environment(
        {"S3_ROOT_DIR": str(ground.root), "TOWPATH_UPLOADER_STATE_DIRECTORY": str(state)}
    )
    options = ["-i", "1", "-s", "1"]
    ground.put("a.png", b"picture")

    pid_file = state / "uploader.pid"
    first = run_script("local_run.sh", *options, env=env)
    try:
        assert (first.returncode, first.stderr) == (0, "")
        assert first.stdout.startswith("running: process ")
        log = Path(first.stdout.split("log ")[1].strip())
        assert f"process {pid_file.read_text().strip()}," in first.stdout

        second = run_script("local_run.sh", *options, env=env)
        assert second.returncode == 5
        assert f"process {pid_file.read_text().strip()} runs already" in second.stderr
    finally:
        killed = run_script("local_kill.sh", env=env)
    assert (killed.returncode, killed.stdout) == (0, "stopped\n")
    assert not pid_file.exists()
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[0] == "open"
    assert events[-1] == "closed"
    assert {"ready", "file_uploaded", "stopping"} <= set(events)
    assert ground.s3.objects(BUCKET) == {"a.png": b"picture"}

    again = run_script("local_kill.sh", env=env)
    assert (again.returncode, again.stdout) == (0, "not running\n")

    # The number belongs to this very test: it must not get a signal.
    pid_file.write_text(f"{os.getpid()}\n")
    stale = run_script("local_kill.sh", env=env)
    assert stale.returncode == 0
    assert stale.stdout.startswith("not running")
    assert not pid_file.exists()


def test_the_old_script_is_the_command_in_one_process(ground: Ground) -> None:
    """`exec`, so that a signal to the script's process id reaches the daemon."""
    ground.put("a.png", b"picture")
    env = ground.environment(
        {
            "S3_ROOT_DIR": str(ground.root),
            "TOWPATH_UPLOADER_STATE_DIRECTORY": str(ground.state),
        }
    )

    outcome = run_script("s3_upload_daemon.sh", "--once", env=env)

    assert outcome.returncode == 0, outcome.stderr
    assert ground.s3.objects(BUCKET) == {"a.png": b"picture"}


def test_a_parked_file_is_tried_again_on_request(ground: Ground) -> None:
    """One command puts it back, though the file itself has not changed."""
    long = "/".join(["d" * 250] * 4 + ["f" * 40])
    ground.put(long, b"too long")
    daemon = ground.ready()
    daemon.wait_for("file_parked")
    daemon.wait_passes(1)

    asked = ground.command("--retry-parked")

    assert asked.status == 0
    daemon.wait_for("parked_released", files=1)
    daemon.wait_for("file_parked", count=2)
    shown = ground.command("--status")
    assert shown.status == 0
    assert "parked" in shown.stdout


def test_the_status_tells_a_monitor_what_it_needs(ground: Ground) -> None:
    """Silence is an alarm: the last success and the oldest pending file are in it."""
    ground.put("a.png", b"picture")
    ground.put("b.png", b"picture", bucket="absent-bucket", age=500)
    daemon = ground.ready()
    daemon.wait_passes(1)

    status = json.loads((ground.state / "status.json").read_text())
    metrics = (ground.state / "metrics.prom").read_text()

    assert status["details"]["totals"]["uploaded"] == 1
    assert status["details"]["buckets"]["absent-bucket"]["code"] == "NoSuchBucket"
    assert status["last_success_at"]
    assert 'towpath_files_uploaded_total{service="uploader"} 1' in metrics
    age = float(metrics.split('oldest_pending_age_seconds{service="uploader"} ')[1].split()[0])
    assert 499 <= age <= 500 + LIMIT_SECONDS
    assert time.time() - (ground.state / "status.json").stat().st_mtime < LIMIT_SECONDS


def test_the_commands_need_nothing_but_the_executable(ground: Ground) -> None:
    """`towpath uploader` and `python -m daemons.uploader` are the same thing."""
    towpath = shutil.which("towpath", path=str(PROJECT / ".venv/bin"))
    assert towpath is not None
    ground.put("a.png", b"picture")

    done = subprocess.run(
        [towpath, "uploader", "--once", *ground.birth().argv],
        env=ground.environment(),
        capture_output=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )

    assert done.returncode == 0
    assert ground.s3.objects(BUCKET) == {"a.png": b"picture"}
