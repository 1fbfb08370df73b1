import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

import pytest

from tests.acceptance.ground import BUCKET, Ground, names_of
from tests.support.daemon import Daemon, Process, start_fresh
from tests.support.nursery import Birth
from tests.support.soak import repetitions

FLOOD = repetitions(2_000, 30_000)
NOISE = 18_000
"""More files than the 16,384 events that the kernel keeps by default, and no uploads."""
FLOOD_SECONDS = repetitions(60, 600)
NESTED = repetitions(300, 3_000)
LATENCIES = 200
AT_ONCE = 5


@pytest.mark.timeout(600)
def test_files_of_lost_events_are_found_within_one_interval(ground: Ground) -> None:
    """The kernel drops what a stopped daemon does not read, and says nothing."""
    daemon = ground.ready("-s", "0", "--log-level", "info", interval=5)
    daemon.signal(signal.SIGSTOP)
    folder = ground.root / BUCKET / "flood"
    folder.mkdir()
    for number in range(NOISE):
        (folder / f"{number}.tmp").touch()
    for number in range(FLOOD):
        (folder / f"{number}").write_bytes(b"%d" % number)
    daemon.signal(signal.SIGCONT)

    daemon.wait_for("file_uploaded", count=FLOOD, limit=FLOOD_SECONDS)

    assert len(ground.s3.mutations(BUCKET)) == FLOOD
    held = ground.s3.objects(BUCKET)
    assert held == {f"flood/{number}": b"%d" % number for number in range(FLOOD)}
    assert daemon.stop() == 0


def test_a_file_in_a_folder_made_at_the_same_moment_is_found(ground: Ground) -> None:
    """The watch on a new folder comes too late for what was put in it at once."""
    daemon = ground.ready("-s", "0", interval=5)

    for number in range(NESTED):
        ground.put(f"run-{number}/a/b/f", b"%d" % number)

    daemon.wait_for("file_uploaded", count=NESTED)
    assert daemon.stop() == 0
    ground.check()


def test_a_root_that_is_replaced_is_watched_and_locked_anew(ground: Ground) -> None:
    """A clean-up script renames the folder away and makes another of the same name."""
    daemon = ground.ready(interval=5)
    ground.put("before.png", b"before")
    daemon.wait_for("file_uploaded", key="before.png")

    ground.root.rename(ground.folder / "old")
    ground.put("after.png", b"after")
    ground.put("deep/er/after.png", b"deep")

    daemon.wait_for("file_uploaded", key="after.png")
    daemon.wait_for("file_uploaded", key="deep/er/after.png")
    ground.put("by-event.png", b"event")
    daemon.wait_for("file_uploaded", key="by-event.png")
    assert ground.command("--once", "--state-directory", str(ground.folder / "x")).status == 5
    assert daemon.stop() == 0
    ground.check()


def test_a_root_that_does_not_exist_yet_is_waited_for(ground: Ground) -> None:
    """At boot the volume, or the simulation that makes the folder, may come later."""
    shutil.rmtree(ground.root)

    daemon = ground.start(interval=0.3)
    daemon.wait_for("ready")
    daemon.wait_for("root_missing", level="warning")
    ground.put("a.png", b"picture")

    daemon.wait_for("file_uploaded", key="a.png")
    assert len(daemon.events("root_missing")) == 1
    assert ground.command("--once", "--state-directory", str(ground.folder / "x")).status == 5
    assert daemon.stop() == 0
    ground.check()


def test_a_root_that_goes_away_deletes_nothing_and_is_said_once(ground: Ground) -> None:
    """An unmounted source is no reason to do anything."""
    daemon = ground.ready(interval=0.3)
    ground.put("a.png", b"picture")
    daemon.wait_for("file_uploaded", key="a.png")

    ground.root.rename(ground.folder / "away")
    daemon.wait_for("root_missing", level="warning")
    (ground.folder / "away").rename(ground.root)
    ground.put("b.png", b"picture")

    daemon.wait_for("file_uploaded", key="b.png")
    assert len(daemon.events("root_missing")) == 1
    assert sorted(ground.s3.objects(BUCKET)) == ["a.png", "b.png"]


def test_a_settled_file_is_in_s3_at_once(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    """Events are for this: well under a second on an idle machine; a busy one gets two."""
    daemon = ground.ready(interval=60)
    seconds: list[float] = []

    names = names_of(LATENCIES)
    for start in range(0, LATENCIES, AT_ONCE):
        settled_at = {}
        for name in names[start : start + AT_ONCE]:
            ground.put(name, name.encode())
            settled_at[name] = time.monotonic()
        seconds += [
            daemon.wait_for("file_uploaded", key=name).at - at for name, at in settled_at.items()
        ]

    p99 = statistics.quantiles(seconds, n=100)[98]
    with capsys.disabled():
        median = statistics.median(seconds)
        sys.stdout.write(f"\nstable to uploaded: median {median:.3f} s, p99 {p99:.3f} s\n")
    assert p99 < 2
    ground.check()


def start_with_few_watches(birth: Birth, stdout: int, stderr: int) -> Process:
    """Start a daemon in a user namespace that may have ten inotify watches."""
    unshare = shutil.which("unshare")
    limit = "echo 10 > /proc/sys/user/max_inotify_watches"
    probe = [str(unshare), "--user", "--map-root-user", "sh", "-c", limit]
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("the limit on watches cannot be lowered without user namespaces")
    limited = [*probe[:-1], f'{limit} && exec "$@"', "sh"]
    return start_fresh(birth, stdout, stderr, wrapper=limited)


def test_files_are_found_where_no_watch_is_left(ground: Ground) -> None:
    """Another program may have taken them all: scans go on, and somebody is told."""
    for number in range(30):
        (ground.root / BUCKET / f"folder-{number}").mkdir()
    daemon = Daemon(ground.birth(interval=1), start_with_few_watches)
    ground.daemons.append(daemon)
    daemon.wait_for("pass_finished")

    for number in range(30):
        ground.put(f"folder-{number}/a.png", b"%d" % number)

    daemon.wait_for("file_uploaded", count=30)
    assert daemon.events("events_unavailable", level="warning")
    assert daemon.stop() == 0
    ground.check()


def test_a_modification_time_in_the_future_delays_but_does_not_stop(ground: Ground) -> None:
    """A clock that was stepped back must not keep files on disk until tomorrow."""
    place = ground.put("a.png", b"picture")
    ahead = time.time() + 86_400
    os.utime(place, (ahead, ahead))

    daemon = ground.ready()

    daemon.wait_for("file_uploaded", key="a.png")
    ground.check()
