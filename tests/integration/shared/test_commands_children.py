import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from shared import commands, commands_pool
from shared.commands import CommandLimits, CommandOutcome, run_command
from tests.support.commanding import (
    LIMITS,
    LINUX,
    cancelled_run,
    is_alive,
    run_shell,
    wait_until_gone,
)

MEBIBYTE = 1024 * 1024


async def run_python(code: str, *args: str, limits: CommandLimits = LIMITS) -> CommandOutcome:
    """Run a small script."""
    return await run_command([sys.executable, "-I", "-S", "-c", code, *args], limits=limits)


@pytest.fixture
def pipe_of_pids(tmp_path: Path) -> Path:
    """Make a pipe into which scripts write who they are."""
    path = tmp_path / "pids"
    os.mkfifo(path)
    return path


@pytest.mark.asyncio
async def test_a_command_runs_and_its_words_are_kept() -> None:
    """Both streams in one tail, in order."""
    outcome = await run_shell('echo "$1"; echo error >&2; exit 3', "a  b;$(true)")

    assert outcome.exit_status == 3
    assert not outcome.ok
    assert outcome.reason() == "exit status 3"
    assert outcome.tail == "a  b;$(true)\nerror\n"
    assert outcome.argv[:2] == ("sh", "-c")
    assert (await run_command(["true"], limits=LIMITS)).ok


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["xyz-is-not-there"], "cannot be started: 'xyz-is-not-there' not found on PATH"),
        (["./missing"], "cannot be started: './missing' not found (or what its first line names)"),
        (["./plain"], "cannot be started: './plain' is not executable"),
        (["./wrong"], "cannot be started: './wrong' not found (or what its first line names)"),
        (["./junk"], "cannot be started: './junk': exec format error"),
        (["."], "cannot be started: '.' is not executable"),
    ],
)
async def test_what_cannot_be_started_is_told_apart(
    tmp_path: Path, argv: Sequence[str], reason: str
) -> None:
    """An exit status 127 could be the command's own."""
    for name, text in (("plain", "x"), ("wrong", "#!/not/there\n"), ("junk", "\x7fjunk")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)

    outcome = await run_command(argv, cwd=tmp_path, limits=LIMITS)

    assert outcome.reason() == reason
    assert outcome.exit_status is None
    assert not outcome.ok


@pytest.mark.asyncio
async def test_other_reasons_not_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder, too long arguments, a keeper that does not work: a line each."""
    missing = await run_command(["true"], cwd=tmp_path / "no", limits=LIMITS)
    assert missing.reason() == (
        f"cannot be started: folder {str(tmp_path / 'no')!r}: no such file or directory"
    )
    for size in (commands.LONGEST_REQUEST // 2, commands.LONGEST_REQUEST):
        too_long = await run_command(["true", "x" * size], limits=LIMITS)
        assert "rgument list too long" in too_long.reason()
    with pytest.raises(ValueError, match="is no command"):
        await run_command([], limits=LIMITS)
    with pytest.raises(ValueError, match="is no command"):
        await run_command(["a\0b"], limits=LIMITS)
    with pytest.raises(ValueError, match="is no name"):
        await run_command(["true"], env={"A=B": "C"}, limits=LIMITS)
    with pytest.raises(ValueError, match="NULs"):
        await run_command(["true"], env={"A": "\0"}, limits=LIMITS)
    broken = tmp_path / "commands_keeper.py"
    broken.write_text("raise SystemExit('no memory')")
    commands_pool.end_idle_keepers()
    monkeypatch.setattr(commands_pool, "_FOLDER", str(tmp_path))
    reason = (await run_command(["true"], limits=LIMITS)).reason()
    assert reason == "its keeper failed with exit status 1: 'no memory\\n'"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    reason = (await run_command(["true"], limits=LIMITS)).reason()
    assert reason == "cannot be started: No such file or directory"


@pytest.mark.asyncio
async def test_a_command_starts_with_a_clean_slate(tmp_path: Path) -> None:
    """Own session, no input, no inherited descriptors, default signals, the given environment."""
    code = """if True:
        import json, os, resource, signal, sys
        def is_open(number):
            try:
                os.fstat(number)
            except OSError:
                return False
            return True
        print(json.dumps({
            "session": os.getsid(0) == os.getpid(),
            "input": os.read(0, 1).decode(),
            "open": [n for n in range(3, 256) if is_open(n)],
            "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "environ": sorted(os.environ), "folder": os.getcwd(),
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        }))
    """
    kept, other = os.pipe()
    os.set_inheritable(kept, True)  # noqa: FBT003 - positional only

    outcome = await run_command(
        [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, env={"A": "1"}, limits=LIMITS
    )
    os.close(kept)
    os.close(other)

    found: Mapping[str, object] = json.loads(outcome.tail)
    assert found == {
        "session": True,
        "input": "",
        "open": [],
        "blocked": 0,
        "environ": found["environ"],
        "folder": str(tmp_path),
        "core": 0,
    }
    assert set(json.loads(outcome.tail)["environ"]) <= {"A", "LC_CTYPE"}


@pytest.mark.asyncio
async def test_a_hanging_command_is_ended_at_its_limit() -> None:
    """SIGTERM first, so that it can clean up."""
    limits = CommandLimits(time_seconds=0.5, term_seconds=20)

    outcome = await run_shell('trap "echo cleaned; exit 0" TERM; sleep 100 & wait', limits=limits)

    assert outcome.timed_out
    assert outcome.reason() == "time limit of 0.5 s reached"
    assert outcome.tail == "cleaned\n"


@pytest.mark.asyncio
async def test_a_command_that_ignores_sigterm_is_killed() -> None:
    """After the grace there is no more asking."""
    limits = CommandLimits(time_seconds=0.5, term_seconds=0.3)

    outcome = await run_shell('trap "" TERM; echo deaf; while :; do sleep 100; done', limits=limits)

    assert outcome.timed_out
    assert outcome.signal == "SIGKILL"
    assert outcome.tail == "deaf\n"
    assert outcome.duration_seconds < 20


@pytest.mark.asyncio
async def test_a_gigabyte_of_output_is_read_and_dropped() -> None:
    """Neither may the pipe block the command nor the output fill anybody's memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = """if True:
        import os, sys
        for _ in range(1024):
            os.write(1, b'x' * 1048575 + b'\\n')
        if sys.platform == "linux":
            with open(f"/proc/{os.getppid()}/status") as status:
                print([line for line in status if line.startswith("VmHWM")][0].split()[1])
        print('end')
    """

    outcome = await run_python(code, limits=CommandLimits(time_seconds=100))

    unit = 1024 if sys.platform == "linux" else 1
    assert outcome.ok
    assert outcome.tail.endswith("\nend\n")
    assert len(outcome.tail) <= LIMITS.tail_bytes
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 8 * MEBIBYTE
    if sys.platform == "linux":
        assert int(outcome.tail.split()[-2]) < 64 * 1024, "the keeper's kilobytes"


@LINUX
@pytest.mark.asyncio
async def test_a_command_that_eats_memory_is_stopped() -> None:
    """The machine and its other jobs go on."""
    code = "a = []\nwhile True: a.append(bytearray(2**20))"
    limits = CommandLimits(time_seconds=60, memory_bytes=200 * MEBIBYTE)

    outcome = await run_python(code, limits=limits)

    assert outcome.reason() == "exit status 1"
    assert "MemoryError" in outcome.tail


@pytest.mark.asyncio
async def test_a_file_that_grows_without_end_is_stopped(tmp_path: Path) -> None:
    """A step may not fill the disk."""
    limits = CommandLimits(time_seconds=60, file_bytes=MEBIBYTE)

    outcome = await run_shell('exec cat /dev/zero > "$1"', str(tmp_path / "big"), limits=limits)

    assert outcome.reason() == "killed by SIGXFSZ (file size limit)"
    assert (tmp_path / "big").stat().st_size == MEBIBYTE


@pytest.mark.asyncio
async def test_children_left_behind_are_ended_after_a_success() -> None:
    """Nothing accumulates on EC2."""
    outcome = await run_shell("sleep 1000 & echo $!; exit 0")

    assert outcome.ok
    assert not is_alive(int(outcome.tail))
    assert outcome.duration_seconds < 20  # although the child had the output open


@LINUX
@pytest.mark.asyncio
async def test_a_daemonised_grandchild_is_found() -> None:
    """Another session, a parent that is gone, closed streams: still one of ours."""
    code = """if True:
        import os, signal, sys
        told, telling = os.pipe()
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork():
                os._exit(0)
            os.close(1), os.close(2)
            os.write(telling, b"%d" % os.getpid())
            while True:
                signal.pause()
        os.wait()
        print(os.read(told, 100).decode())
    """

    outcome = await run_python(code)

    assert outcome.ok
    assert not is_alive(int(outcome.tail))


@LINUX
@pytest.mark.asyncio
async def test_orphans_that_end_by_themselves_do_not_end_the_command() -> None:
    """The keeper adopts them; only the command's own end counts."""
    outcome = await run_shell("(setsid true &) ; sleep 0.2; (setsid true &); echo on; exit 4")

    assert outcome.exit_status == 4
    assert outcome.tail == "on\n"


@pytest.mark.asyncio
async def test_cancelling_ends_the_command_gracefully(pipe_of_pids: Path, tmp_path: Path) -> None:
    """A watcher that stops may not leave the step running, and lets it clean up."""
    text = f"trap 'echo bye > {tmp_path}/bye; exit' TERM; sleep 1000 & echo $$ > \"$1\"; wait"

    pid = await cancelled_run(pipe_of_pids, text, LIMITS)

    assert not is_alive(pid)
    assert (tmp_path / "bye").read_text() == "bye\n"


@pytest.mark.asyncio
async def test_cancelling_is_bounded_when_the_command_is_deaf(pipe_of_pids: Path) -> None:
    """SIGKILL after the grace; then cancellation goes on."""
    text = 'trap "" TERM; echo $$ > "$1"; while :; do sleep 1000; done'

    pid = await cancelled_run(pipe_of_pids, text, CommandLimits(100, term_seconds=0.2))

    assert not is_alive(pid)


@LINUX
@pytest.mark.asyncio
async def test_the_command_ends_with_a_killed_daemon(pipe_of_pids: Path) -> None:
    """Hours of work for nobody, on an instance that somebody pays."""
    daemon = """if True:
        import sys, anyio
        from shared.commands import CommandLimits, run_command
        argv = ["sh", "-c", 'echo $$ > "$1"; sleep 1000', "sh", sys.argv[1]]
        anyio.run(lambda: run_command(argv, limits=CommandLimits(1000)))
    """
    argv = [sys.executable, "-c", daemon, str(pipe_of_pids)]
    process = subprocess.Popen(argv)  # noqa: ASYNC220 - it is started at once, and killed
    try:
        with anyio.fail_after(20):
            pid = int(await to_thread.run_sync(pipe_of_pids.read_text))
    finally:
        process.kill()
        process.wait(10)

    await wait_until_gone(pid)

    assert not is_alive(pid)


@pytest.mark.asyncio
async def test_progress_is_reported_while_a_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of an hour must not look like a daemon that hangs."""
    monkeypatch.setattr(commands, "_BEAT_SECONDS", 0.05)
    beats: list[float] = []

    await run_command(
        ["sleep", "0.5"], limits=LIMITS, progress=lambda: beats.append(time.monotonic())
    )

    assert len(beats) >= 3


@pytest.mark.asyncio
async def test_commands_run_side_by_side() -> None:
    """Several at once share nothing."""
    outcomes: dict[int, CommandOutcome] = {}

    async def run(number: int) -> None:
        outcomes[number] = await run_shell('echo "$1"; exit "$1"', str(number))

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(run, number)

    assert {n: (o.exit_status, o.tail) for n, o in outcomes.items()} == {
        n: (n, f"{n}\n") for n in range(8)
    }


@pytest.mark.asyncio
async def test_nothing_is_left_open() -> None:
    """Months of commands must not use up descriptors."""
    await run_shell("exit 0")
    before = sorted(os.listdir("/dev/fd"))  # noqa: PTH208 - names are enough

    for _ in range(5):
        await run_shell("exit 0")
        await run_command(["xyz-is-not-there"], limits=LIMITS)

    assert sorted(os.listdir("/dev/fd")) == before  # noqa: PTH208 - names are enough
