"""`python -m bench.handshake_status`: what `towpath status` costs over a large hand-shake.

A strict S3 in a process of its own holds the jobs, results and leases of so many CIDs; the command
runs as people start it. Its answer is compared with what was laid down, so a wrong one never
counts. The server runs beside it and answers from Python: wall time is an upper bound, CPU and
requests are exact.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import run_child
from shared.handshake.layout import JobFolder, Layout, Runout, closest_name, quality_name
from shared.handshake.lease import Lease, LeaseState, Owner
from shared.handshake.summary import Summary
from tests.support.strict_s3.server import StrictS3

LAYOUT = Layout("sky-hand-shake")
_OWNER = Owner("process-bench", "instance-bench", "host-bench")
_MIB = 1 << 20
_MOST = 100_000
_LIMIT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Scenario:
    """How many CIDs stand where, in the order of their numbers."""

    name: str
    collected: int = 0
    processed: int = 0
    parked: int = 0
    claimed: int = 0
    waiting: int = 0
    new: int = 0

    @property
    def jobs(self) -> int:
        """How many have a job in the bucket."""
        return self.collected + self.processed + self.parked + self.claimed + self.waiting

    def cids(self) -> Iterator[tuple[str, str]]:
        """Yield each CID and its state."""
        number = 0
        for state in ("collected", "processed", "parked", "claimed", "waiting", "new"):
            for _ in range(getattr(self, state)):
                yield f"{number:05d}", state
                number += 1


def scenarios(count: int) -> list[Scenario]:
    """Return what is measured: a hand-shake near its end, at its beginning, and uncollected."""
    most = count - count // 10 - 66
    return [
        Scenario("near its end", most, count // 20, 50, 16, count // 20 - count // 50, count // 50),
        Scenario("all waiting", waiting=count),
        Scenario("none collected", processed=count),
    ]


def objects(scenario: Scenario) -> Iterator[tuple[str, bytes]]:
    """Yield key and content of everything in the bucket, in the order of the keys."""
    cids = list(scenario.cids())
    done = {cid for cid, state in cids if state in {"collected", "processed"}}
    for cid in sorted(done):
        runout = Runout("2026-03-01-1207", cid)
        yield LAYOUT.result(runout, closest_name(cid)).key, b"row_id\n"
        yield LAYOUT.result(runout, quality_name(cid)).key, b"rows=0\n"
        yield LAYOUT.manifest(runout).key, b"{}"
    for cid, state in cids:
        if state != "new":
            job = JobFolder("2026-03-01", cid)
            yield LAYOUT.marker(job).key, f"{cid}\n".encode()
            yield LAYOUT.seed(job).key, b"PAR1"
    for cid, state in cids:
        if state not in {"new", "waiting"}:
            yield LAYOUT.lease(cid).key, _lease(cid, state).to_bytes()
    said = {
        state: frozenset(cid for cid, found in cids if found == state)
        for state in ("new", "collected")
    }
    sent = frozenset(cid for cid, state in cids if state != "new")
    for service, told in (
        ("collector", {"collected": said["collected"]}),
        ("dispatcher", {"new": said["new"], "sent": sent}),
    ):
        at = datetime.now(UTC).isoformat()
        yield LAYOUT.summary(service).key, Summary(service, "bench", at, told).to_bytes()


def _lease(cid: str, state: str) -> Lease:
    job = JobFolder("2026-03-01", cid)
    lease = Lease(cid, LeaseState.CLAIMED, 1, 1, _OWNER, job, 0, "2026-03-01T12:00:00+00:00")
    if state == "parked":
        return replace(lease, state=LeaseState.PARKED, attempts=3, reason="the seeds are empty")
    if state == "claimed":
        return lease
    return replace(lease, state=LeaseState.COMMITTED, runout=Runout("2026-03-01-1207", cid))


def serve(scenario: Scenario) -> int:
    """Hold the scenario until stdin ends, then say how often it was asked."""
    with StrictS3([LAYOUT.bucket]) as s3:
        s3.seed(LAYOUT.bucket, dict(objects(scenario)))
        print(json.dumps(s3.environment()), flush=True)
        sys.stdin.read()
        asked: dict[str, int] = {}
        for request in s3.requests():
            asked[request.operation] = asked.get(request.operation, 0) + 1
        print(json.dumps(asked), flush=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every scenario; 0 when each answer was right."""
    options = _parse(argv)
    if options.serve is not None:
        return serve(scenarios(options.cids)[options.serve])
    print(f"{'scenario':<16}{'CIDs':>8}{'wall s':>8}{'CPU s':>8}{'RSS MiB':>9}  requests")
    right = [_measure(options.cids, number) for number in range(len(scenarios(options.cids)))]
    return 0 if all(right) else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.handshake_status", description=__doc__)
    parser.add_argument("--cids", type=int, default=_MOST, help=f"default, and most, {_MOST}")
    parser.add_argument("--serve", type=int, metavar="SCENARIO", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if not 1000 <= options.cids <= _MOST:  # noqa: PLR2004 - the limit is in the message
        parser.error(f"--cids {options.cids}: allowed are 1000 to {_MOST}")
    return options


def _measure(count: int, number: int) -> bool:
    scenario = scenarios(count)[number]
    argv = [sys.executable, "-m", "bench.handshake_status", "--cids", str(count)]
    with (
        subprocess.Popen(
            [*argv, "--serve", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert server.stdin is not None  # noqa: S101 - it is a pipe
        assert server.stdout is not None  # noqa: S101 - the same
        environment = json.loads(server.stdout.readline())
        log = Path(folder) / "status.json"
        command = [sys.executable, "-m", "shared.cli", "status", "-b", LAYOUT.bucket, "--json"]
        run = run_child(
            command,
            env={**_plain(os.environ), **environment},
            folder=Path.cwd(),
            log=log,
            limit_seconds=_LIMIT_SECONDS,
        )
        server.stdin.close()
        asked = json.loads(server.stdout.readline())
        answer = log.read_text()
    fault = _fault(scenario, run.exit_status, answer)
    requests = ", ".join(f"{times} {name}" for name, times in sorted(asked.items()))
    print(
        f"{scenario.name:<16}{count:>8}{run.wall_seconds:>8.1f}{run.cpu_seconds:>8.1f}"
        f"{run.peak_rss_bytes / _MIB:>9.0f}  {requests}{fault and f'  FAILED: {fault}'}",
        flush=True,
    )
    return not fault


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("AWS_")}


def _fault(scenario: Scenario, status: int, answer: str) -> str:
    if status:
        return f"exit status {status}: {answer[-500:]}"
    counts = json.loads(answer)["counts"]
    wrong = {
        state: found for state, found in counts.items() if found != getattr(scenario, state, 0)
    }
    return f"wrong counts {wrong}" if wrong else ""


if __name__ == "__main__":
    sys.exit(main())
