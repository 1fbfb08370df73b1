import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from shared.ledger import Ledger

CID = re.compile(r"[0-9]{5}")
APPEND = """
import re, sys
from pathlib import Path
from shared.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), accepts=re.compile("[0-9]{5}"), lock_seconds=60)
print("ready", flush=True)
sys.stdin.readline()
added = 0
for number in range(int(sys.argv[2]), 10**5, int(sys.argv[3])):
    if number >= int(sys.argv[4]):
        break
    added += ledger.append(f"{number:05d}")
    print(f"{number:05d}", flush=True)
print(f"added {added}", flush=True)
"""


def start(path: Path, first: int, step: int, end: int) -> subprocess.Popen[str]:
    """Start a process that appends when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPEND, str(path), str(first), str(step), str(end)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    """Tell it."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_share_a_ledger(tmp_path: Path) -> None:
    """Each identifier is added by exactly one of them, and no two lines melt."""
    path = tmp_path / ".processed_cids"
    processes = [start(path, 0, 1, 120) for _ in range(3)]

    for process in processes:
        go(process)
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]

    assert sum(int(lines[-1].split()[1]) for lines in outputs) == 120
    assert Counter(path.read_text().splitlines()) == {f"{n:05d}": 1 for n in range(120)}


def test_what_a_killed_process_recorded_is_there(tmp_path: Path) -> None:
    """SIGKILL at any moment: the lock is free, and whatever it said was recorded is recorded."""
    path = tmp_path / ".sent_cids"
    for round_ in range(3):
        process = start(path, round_ * 1000, 1, 99999)
        go(process)
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(10)]
        os.kill(process.pid, signal.SIGKILL)
        rest = process.communicate(timeout=20)[0].split("\n")[:-1]

        found = Ledger(path, accepts=CID).load()

        assert {*said, *rest} <= found
        assert Ledger(path, accepts=CID, lock_seconds=5).append(f"{99990 + round_}")
