"""The process between a run and its step: what it tells of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.glacier.run import measured

PYTHON = [sys.executable, "-I", "-S"]


def run(tmp_path: Path, *command: str, keep: int = 100) -> tuple[int, list[int], bytes, bytes]:
    """Run a command; returns the status, the numbers of the report, and both tails."""
    report = tmp_path / "report"
    argv = [*PYTHON, str(measured.__file__), str(report), str(keep), *command]
    ended = subprocess.run(argv, check=False, capture_output=True, timeout=60)
    if not report.exists():
        return ended.returncode, [], ended.stdout, ended.stderr
    head, _, said = report.read_bytes().partition(b"\n")
    numbers = [int(number) for number in head.split()]
    return ended.returncode, numbers, said[: numbers[2]], said[numbers[2] :]


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL)],
)
def test_it_ends_as_the_command_did(code: str, status: int, tmp_path: Path) -> None:
    """A step that the system killed for its memory must look like one."""
    returncode, numbers, _, _ = run(tmp_path, *PYTHON, "-c", code)

    assert (returncode, numbers[0]) == (status, status)


def test_both_ends_are_kept_and_the_peak_is_the_commands(tmp_path: Path) -> None:
    """Output without end is read and dropped; memory is that of the step and not our own."""
    code = (
        "import sys; b = bytearray(90_000_000); b[::4096] = b'x' * len(b[::4096]);"
        "sys.stdout.write('o' * 300_000 + 'end'); sys.stderr.write('e' * 300_000 + 'END')"
    )

    status, numbers, output, errors = run(tmp_path, *PYTHON, "-c", code)

    assert (status, output[-3:], errors[-3:]) == (0, b"end", b"END")
    assert (len(output), len(errors)) == (100, 100)
    assert numbers[1] > 90_000_000


def test_what_the_command_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    """A process that keeps the output open would hold a run until its deadline."""
    code = "import subprocess; print(subprocess.Popen(['sleep', '300']).pid)"

    status, _, output, _ = run(tmp_path, *PYTHON, "-c", code)
    os.kill(int(output), signal.SIGKILL)

    assert status == 0


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The project may have no such script."""
    status, numbers, _, errors = run(tmp_path, "no-such-command")

    assert (status, numbers) == (127, [])
    assert b"no-such-command: No such file" in errors
