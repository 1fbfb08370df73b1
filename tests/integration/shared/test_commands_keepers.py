import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

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


@pytest.fixture
def pipe_of_pids(tmp_path: Path) -> Path:
    """Make a pipe into which scripts write who they are."""
    path = tmp_path / "pids"
    os.mkfifo(path)
    return path


async def keeper_of_a_command() -> int:
    """Run a command that tells who its keeper is."""
    return int((await run_shell("echo $PPID")).tail)


@pytest.mark.asyncio
async def test_a_keeper_is_used_again() -> None:
    """To start an interpreter for each command is what ten small commands cost."""
    first = await keeper_of_a_command()

    await run_command(["xyz-is-not-there"], limits=LIMITS)
    await run_shell("kill -9 $$")
    await run_shell("sleep 1000 &")

    assert await keeper_of_a_command() == first


@LINUX
@pytest.mark.asyncio
async def test_a_keeper_opens_no_more_and_more() -> None:
    """It may run commands for months."""
    text = "ls /proc/$PPID/fd"
    before = await run_shell(text)

    for _ in range(3):
        await run_shell("sleep 100 &")
        await run_command(["xyz-is-not-there"], limits=LIMITS)

    assert (await run_shell(text)).tail == before.tail


@LINUX
@pytest.mark.asyncio
async def test_nothing_of_a_command_is_left_for_the_next(tmp_path: Path) -> None:
    """They share a keeper, and nothing else."""
    small = CommandLimits(30, memory_bytes=64 * 1024 * 1024, file_bytes=1, tail_bytes=10)
    text = "ulimit -d; ulimit -f; ulimit -c; env; pwd; ls /proc/self/fd"
    keeper = await keeper_of_a_command()
    before = await run_command(["sh", "-c", text], env={"B": "2"}, limits=LIMITS)

    await run_command(["sh", "-c", "sleep 100 &"], cwd=tmp_path, env={"A": "1"}, limits=small)
    after = await run_command(["sh", "-c", text], env={"B": "2"}, limits=LIMITS)

    assert "B=2" in before.tail
    assert after.tail == before.tail
    assert await keeper_of_a_command() == keeper


@pytest.mark.asyncio
async def test_a_command_is_where_we_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper was started somewhere else, with another environment."""
    await keeper_of_a_command()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLOUR", "gr\udcfcn")

    outcome = await run_shell("pwd; printenv COLOUR | od -An -tx1")

    assert outcome.tail.split() == [str(tmp_path), "67", "72", "fc", "6e", "0a"]


@pytest.mark.asyncio
async def test_the_keeper_of_a_cancelled_command_ends(pipe_of_pids: Path) -> None:
    """What it would say next could be taken for the next command's."""
    keeper = await cancelled_run(pipe_of_pids, 'echo $PPID > "$1"; sleep 1000', LIMITS)

    assert not is_alive(keeper)
    assert (await run_shell("echo on")).tail == "on\n"


@LINUX
@pytest.mark.asyncio
async def test_the_command_ends_with_its_keeper(pipe_of_pids: Path) -> None:
    """The system may choose the keeper when memory is short; the outcome names it."""
    outcomes: list[CommandOutcome] = []

    async def run() -> None:
        outcomes.append(await run_shell('echo $$ $PPID > "$1"; exec sleep 1000', str(pipe_of_pids)))

    with anyio.fail_after(25):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            pid, keeper = map(int, (await to_thread.run_sync(pipe_of_pids.read_text)).split())
            os.kill(keeper, signal.SIGKILL)

    await wait_until_gone(pid)
    assert outcomes[0].reason() == "its keeper was killed by SIGKILL: ''"
    assert not outcomes[0].ok


@LINUX
@pytest.mark.asyncio
async def test_a_keeper_that_hangs_is_killed(
    pipe_of_pids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No wait is without an end, and the command ends too."""
    monkeypatch.setattr(commands, "_MARGIN_SECONDS", 0.3)
    text = 'kill -STOP $PPID; echo $$ > "$1"; exec sleep 1000'
    outcomes: list[CommandOutcome] = []

    async def run() -> None:
        limits = CommandLimits(0.1, term_seconds=0)
        outcomes.append(await run_shell(text, str(pipe_of_pids), limits=limits))

    with anyio.fail_after(25):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            pid = int(await to_thread.run_sync(pipe_of_pids.read_text))

    await wait_until_gone(pid)
    assert outcomes[0].reason() == "its keeper was killed by SIGKILL: ''"


@pytest.mark.asyncio
async def test_a_keeper_that_died_while_idle_is_replaced() -> None:
    """No command may pay for what happened before it."""
    keeper = await keeper_of_a_command()
    os.kill(keeper, signal.SIGKILL)
    await wait_until_gone(keeper)

    outcome = await run_shell("echo $PPID")

    assert outcome.ok
    assert int(outcome.tail) != keeper


@pytest.mark.asyncio
async def test_few_keepers_wait() -> None:
    """A burst of commands must not cost memory for months."""
    commands_pool.end_idle_keepers()
    keepers: list[int] = []

    async def run() -> None:
        keepers.append(int((await run_shell("echo $PPID")).tail))

    async with anyio.create_task_group() as tasks:
        for _ in range(commands_pool.MOST_IDLE + 2):
            tasks.start_soon(run)
    for keeper in keepers[commands_pool.MOST_IDLE :]:
        await wait_until_gone(keeper)

    assert len(set(keepers)) == commands_pool.MOST_IDLE + 2
    assert sum(map(is_alive, keepers)) == commands_pool.MOST_IDLE
    commands_pool.end_idle_keepers()
    assert not any(map(is_alive, keepers))


def daemon_of(code: str) -> "subprocess.Popen[bytes]":
    """Start a small daemon that can run shell text and tell what it printed."""
    head = """
        import os, sys, anyio
        from shared.commands import CommandLimits, run_command
        def run(text):
            limits = CommandLimits(20)
            return anyio.run(lambda: run_command(["sh", "-c", text], limits=limits)).tail
    """
    argv = [sys.executable, "-X", "dev", "-W", "error", "-c", dedent(head) + dedent(code)]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["kill", "return"])
async def test_an_idle_keeper_ends_with_the_daemon(end: str) -> None:
    """However it ends, and without a word about what was not closed."""
    daemon = daemon_of('print(run("echo $PPID"), flush=True); sys.stdin.read()')
    assert daemon.stdout is not None
    assert daemon.stdin is not None
    with daemon:
        keeper = int(await to_thread.run_sync(daemon.stdout.readline))
        if end == "kill":
            daemon.kill()
        daemon.stdin.close()
        rest = await to_thread.run_sync(daemon.stdout.read)
        daemon.wait(20)

    if end == "return":
        assert not is_alive(keeper), "nobody waited for it"
    await wait_until_gone(keeper)

    assert rest.strip() == b""
    assert daemon.returncode == (-signal.SIGKILL if end == "kill" else 0)


@pytest.mark.asyncio
async def test_a_forked_process_has_keepers_of_its_own() -> None:
    """Two that talk to one keeper would take each other's reports."""
    code = """
        mine = run("echo $PPID")
        child = os.fork()
        theirs = run("echo $PPID")
        if child == 0:
            os._exit(theirs == mine)
        print(os.waitpid(child, 0)[1], theirs == mine)
    """
    daemon = daemon_of(code)

    said, _ = await to_thread.run_sync(daemon.communicate)

    assert said == b"0 True\n"
