import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemons.ingester.speech.locks import (
    STALE_AFTER,
    EpisodeLock,
    LockOwner,
    is_stale,
    lock_path,
    parse_owner,
    process_start,
    take_lock,
)
from daemons.ingester.speech.workspace import open_workspace, remove_dead_workspaces

NOW = datetime(2025, 6, 9, 12, tzinfo=UTC)
HERE = socket.gethostname()
ELSEWHERE = "another-host"
DEAD_PID = 2**22 + 1
"""More than Linux gives out."""


def taken(path: Path, now: datetime = NOW) -> EpisodeLock:
    """Take a lock that is free or stale."""
    lock = take_lock(path, lambda: now)
    assert isinstance(lock, EpisodeLock)
    return lock


def left_by(path: Path, pid: int, host: str, at: datetime, started: str = "") -> None:
    """Leave a lock as another worker would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(LockOwner(pid, host, at, started, "theirs").to_bytes())


@pytest.mark.parametrize(
    ("owner", "stale"),
    [
        (LockOwner(7, HERE, NOW), False),
        (LockOwner(7, HERE, NOW, "1000"), False),
        (LockOwner(7, HERE, NOW, "999"), True),  # its id was given to another process
        (LockOwner(8, HERE, NOW), True),
        (LockOwner(8, ELSEWHERE, NOW), False),
        (LockOwner(7, HERE, NOW - STALE_AFTER + timedelta(seconds=1)), False),
        (LockOwner(7, HERE, NOW - STALE_AFTER), True),
        (LockOwner(7, ELSEWHERE, NOW - STALE_AFTER), True),
        (LockOwner(7, ELSEWHERE, NOW + STALE_AFTER), True),  # a clock that was wrong
    ],
)
def test_a_lock_is_stale_when_its_owner_is_gone_or_silent(owner: LockOwner, *, stale: bool) -> None:
    """Too early costs money twice, too late leaves an episode without transcript."""
    found = is_stale(owner, NOW, here=HERE, start_of={7: "1000"}.get)  # type: ignore[arg-type]  # None is as good as ""

    assert found is stale


def test_a_lock_says_who_holds_it(tmp_path: Path) -> None:
    """Pid, host and time, for the other workers and for people."""
    path = lock_path(tmp_path / "locks", "hard-fork", "2022-09-27_A--1749472638931")

    taken(path)

    found = json.loads(path.read_bytes())
    assert path.parent.name == "hard-fork"
    assert (found["pid"], found["host"], found["time"]) == (os.getpid(), HERE, NOW.isoformat())
    assert found["started"] == process_start(os.getpid())
    second = take_lock(path, lambda: NOW)
    assert isinstance(second, LockOwner)
    assert str(second) == f"process {os.getpid()} on {HERE} since 12:00:00 UTC"


def test_a_released_lock_is_free(tmp_path: Path) -> None:
    """Nothing is left behind, not even a temporary file."""
    path = tmp_path / "k.lock"

    taken(path).release()

    assert list(tmp_path.iterdir()) == []
    taken(path)


@pytest.mark.parametrize(
    ("pid", "host", "age"),
    [(DEAD_PID, HERE, timedelta()), (1, ELSEWHERE, STALE_AFTER), (0, HERE, timedelta())],
)
def test_a_stale_lock_is_taken_over(tmp_path: Path, pid: int, host: str, age: timedelta) -> None:
    """A killed worker must not keep its episode."""
    path = tmp_path / "k.lock"
    left_by(path, pid, host, NOW - age)

    taken(path).release()

    assert not path.exists()


def test_the_lock_of_another_machine_is_respected(tmp_path: Path) -> None:
    """Its process ids mean nothing here."""
    path = tmp_path / "k.lock"
    left_by(path, DEAD_PID, ELSEWHERE, NOW)

    found = take_lock(path, lambda: NOW)

    assert isinstance(found, LockOwner)
    assert found.host == ELSEWHERE


def test_work_of_many_hours_keeps_its_lock(tmp_path: Path) -> None:
    """Two hours count from the last refresh."""
    path = tmp_path / "k.lock"
    clock = [NOW]
    lock = take_lock(path, lambda: clock[0])
    assert isinstance(lock, EpisodeLock)

    for _ in range(3):
        clock[0] += timedelta(hours=1.5)
        assert lock.refresh()
        assert isinstance(take_lock(path, lambda: clock[0]), LockOwner)


def test_a_lost_lock_is_noticed_and_left_alone(tmp_path: Path) -> None:
    """Whoever slept for hours must not remove the lock of the one who took over."""
    path = tmp_path / "k.lock"
    sleeper = taken(path)
    left_by(path, 1, ELSEWHERE, NOW)
    theirs = path.read_bytes()

    assert not sleeper.refresh()
    sleeper.release()

    assert path.read_bytes() == theirs


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"pid": "x"}', b'{"time": 3}', b"\xff"])
def test_a_lock_that_cannot_be_read_is_judged_by_its_time(tmp_path: Path, body: bytes) -> None:
    """Torn or foreign, it must neither be taken at once nor stay for ever."""
    path = tmp_path / "k.lock"
    path.write_bytes(body)
    assert parse_owner(body) is None

    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    soon, late = NOW + timedelta(hours=1), NOW + timedelta(hours=2)

    assert isinstance(take_lock(path, lambda: soon), LockOwner)
    assert isinstance(take_lock(path, lambda: late), EpisodeLock)


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_one_gets_it(tmp_path: Path, *, stale: bool) -> None:
    """Two workers that both see a dead one's lock must not both take it."""
    for number in range(20):
        path = tmp_path / f"{number}.lock"
        if stale:
            left_by(path, DEAD_PID, HERE, NOW)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: take_lock(path, lambda: NOW), range(4)))  # noqa: B023 - used before the next

        assert sum(isinstance(each, EpisodeLock) for each in found) == 1


def test_a_workspace_goes_with_its_work(tmp_path: Path) -> None:
    """Also after an error: chunks of audio would fill the disk."""

    def fail() -> None:
        with open_workspace(tmp_path / "work") as folder:
            (folder / "part1.mp3").write_bytes(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert list((tmp_path / "work").iterdir()) == []


def test_workspaces_of_the_dead_are_removed(tmp_path: Path) -> None:
    """Neither those at work, however old, nor young ones, nor what is not ours."""
    old = NOW - timedelta(hours=2)
    for name in ("speech-1-old", "speech-1-young", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part1.mp3").write_bytes(b"x")
        age = old + timedelta(seconds=1) if name.endswith("young") else old
        os.utime(tmp_path / name, (age.timestamp(), age.timestamp()))

    with open_workspace(tmp_path) as at_work:
        os.utime(at_work, (old.timestamp(), old.timestamp()))
        removed = remove_dead_workspaces(tmp_path, NOW)
        left = {path.name for path in tmp_path.iterdir()}

    assert removed == 1
    assert left == {"speech-1-young", "other", at_work.name}
    assert remove_dead_workspaces(tmp_path / "nowhere", NOW) == 0
