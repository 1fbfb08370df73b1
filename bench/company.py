"""The daemons of the hand-shake as real processes: started, watched, accounted for, ended.

Each signs with its role's name as access key, by which the stub tells their requests apart. Steps
do nothing but leave the files that are waited for, so what is measured is the hand-over alone.
Linux only: what a process used is read from /proc while it still runs.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.trees import BUCKET

ROLES = ("dispatcher", "watcher", "collector")
"""In the order in which a CID meets them."""

_BEAT_SECONDS = 0.02
_STOP_SECONDS = 30.0
_KIB = 1024
_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")

_COLUMNS = (
    "row_id,in_ra,in_dec,cntr,ra,dec,mjd,w1snr,w2snr,qual_frame,qi_fact,saa_sep,moon_masked,"
    "sep_arcsec"
)
_SEEDS = ("sh", "-c", 'echo seeds >"$0"', "{seed}")
_SIDECAR = ("sh", "-c", 'echo sidecar >"$0"', "{sidecar}")
_TABLE = (
    f'echo {_COLUMNS} >"$1/positions$0_closest.csv"; '
    f'printf "rows=0\\ncolumns={_COLUMNS}\\n" >"$1/positions$0_closest.qc.txt"'
)
_CLOSEST = ("sh", "-c", _TABLE, "{cid}", "{out_dir}")


@dataclass(frozen=True, slots=True)
class Ground:
    """Two machines side by side in one folder, and the bucket between them."""

    folder: Path
    endpoint: str
    poll_seconds: float

    @property
    def prod(self) -> Path:
        """Where dispatcher and collector work."""
        return self.folder / "prod"

    @property
    def ec2(self) -> Path:
        """Where all watchers work."""
        return self.folder / "ec2"

    @property
    def positions(self) -> Path:
        """Where the chunks lie."""
        return self.prod / "data/local-cats/tmp/positions/new"

    @property
    def central(self) -> Path:
        """Where the results end."""
        return self.prod / "data/local-cats/tmp/positions/aws_compare_out"

    def log(self, name: str) -> Path:
        """The log of a daemon."""
        return self.folder / f"{name}.log"

    def argv(self, role: str) -> list[str]:
        """Return what starts a daemon of a role."""
        root = self.ec2 if role == "watcher" else self.prod
        options = ["--root", str(root), "--bucket", BUCKET, "--poll", f"{self.poll_seconds:g}"]
        options += ["--state-directory", str(self.folder / f"{role}-state"), "--log-form", "json"]
        if role == "dispatcher":
            options += ["--stability", "0", *_command("--seed-command", _SEEDS)]
        if role == "watcher":
            options += _command("--sidecar-command", _SIDECAR)
            options += _command("--closest-command", _CLOSEST)
        return [sys.executable, "-m", f"daemons.{role}", *options]

    def environment(self, role: str) -> dict[str, str]:
        """The whole environment: nothing of the caller's but the search path comes through."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": role,
            "AWS_SECRET_ACCESS_KEY": "bench-only",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the processes of one role have used so far."""

    processes: int
    own_cpu_seconds: float
    steps_cpu_seconds: float
    """Of the commands that they ran, and of the keepers of these."""
    peak_rss_bytes: int
    """The largest one's."""


@dataclass(slots=True)
class Company:
    """The running daemons."""

    ground: Ground
    _running: dict[str, list["subprocess.Popen[bytes]"]] = field(default_factory=dict)

    def start(self, role: str, number: int, files: ExitStack) -> None:
        """Start one more daemon of a role."""
        log = files.enter_context(self.ground.log(f"{role}-{number}").open("wb"))
        child = subprocess.Popen(
            self.ground.argv(role),
            cwd=Path(__file__).resolve().parent.parent,
            env=self.ground.environment(role),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._running.setdefault(role, []).append(child)

    def wait(self, is_done: Callable[[], bool], limit_seconds: float) -> str:
        """Wait until `is_done`; otherwise say why it will never be."""
        deadline = time.monotonic() + limit_seconds
        with ExitStack() as descriptors:
            ends = {}
            for role, child in self._children():
                ends[os.pidfd_open(child.pid)] = role
            for descriptor in ends:
                descriptors.callback(os.close, descriptor)
            while not is_done():
                ended, _, _ = select.select(list(ends), [], [], _BEAT_SECONDS)
                if ended:
                    return f"a {ends[ended[0]]} has ended"
                if time.monotonic() > deadline:
                    return f"not done after {limit_seconds:g} s"
        return ""

    def account(self) -> dict[str, Account]:
        """Read what each role has used so far."""
        return {
            role: _sum([_read_account(child.pid) for child in children])
            for role, children in self._running.items()
        }

    def stop(self) -> str:
        """End all of them in good order; say which did not end well."""
        for _, child in self._children():
            child.send_signal(signal.SIGTERM)
        faults = []
        deadline = time.monotonic() + _STOP_SECONDS
        for role, child in self._children():
            try:
                status = child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                faults.append(f"a {role} did not stop within {_STOP_SECONDS:g} s")
            else:
                faults += [f"a {role} ended with status {status}"] if status else []
        return "; ".join(faults)

    def kill(self) -> None:
        """Leave nothing of them, whatever state they are in."""
        for _, child in self._children():
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    def _children(self) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
        for role, children in self._running.items():
            for child in children:
                yield role, child


@contextmanager
def running_company(ground: Ground, counts: Mapping[str, int]) -> Iterator[Company]:
    """Start so many daemons of each role, and leave none of them behind."""
    company = Company(ground)
    with ExitStack() as files:
        files.callback(company.kill)
        for role in ROLES:
            for number in range(counts[role]):
                company.start(role, number, files)
        yield company


def _command(flag: str, words: Sequence[str]) -> list[str]:
    """Give a command as a flag for each of its words."""
    return [f"{flag}={word}" for word in words]


def _read_account(pid: int) -> Account:
    """Read one process; it has not been waited for, so the number is still its own."""
    status = (_PROC / str(pid) / "status").read_text()
    peaks = [int(at.split()[1]) for at in status.splitlines() if at.startswith("VmHWM:")]
    own, waited_for = _cpu_seconds(pid)
    return Account(
        processes=1,
        own_cpu_seconds=own,
        steps_cpu_seconds=waited_for + sum(sum(_cpu_seconds(child)) for child in _below(pid)),
        peak_rss_bytes=max(peaks, default=0) * _KIB,
    )


def _cpu_seconds(pid: int) -> tuple[float, float]:
    """Return what a process has used, and what those have that it has waited for."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0.0, 0.0
    # The name in parentheses may hold anything; behind it come numbers only.
    numbers = text.rpartition(")")[2].split()
    own, waited_for = (sum(map(int, numbers[at : at + 2])) / _TICKS for at in (11, 13))
    return own, waited_for


def _below(pid: int) -> Iterator[int]:
    """Yield the processes below one: those that run its commands may outlive a command."""
    for task in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _below(child)


def _sum(accounts: Sequence[Account]) -> Account:
    return Account(
        processes=len(accounts),
        own_cpu_seconds=sum(one.own_cpu_seconds for one in accounts),
        steps_cpu_seconds=sum(one.steps_cpu_seconds for one in accounts),
        peak_rss_bytes=max((one.peak_rss_bytes for one in accounts), default=0),
    )
