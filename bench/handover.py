"""`python -m bench.handover`: what handing a CID over costs, with steps that do nothing.

Dispatcher, watchers and collector run as real processes against the stub, from the chunks lying
there to the last CID in the collector's ledger, their start included. Afterwards ledgers, central
folder and bucket are checked: each CID must have made its way exactly once.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.company import ROLES, Account, Company, Ground, running_company
from bench.handover_table import Measurement, Role, render, summarise
from bench.report import write_report
from bench.stub import Stub, StubError, StubStats, running_stub
from bench.table import Verdict
from bench.trees import BUCKET

_BENCH = Path(__file__).resolve().parent
_WORK = _BENCH / ".work"
_USAGE = 2
_BUSY = 0.5
_LOG_TAIL = 2000
_OBJECTS_PER_CID = 6
"""Seeds, marker, lease; table, its qc.txt, manifest."""
_OTHER_OBJECTS_MAX = 10
_AGE_SECONDS = 3600
_CHUNK = "row_id,ra,dec\n1,10.0,20.0\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON file; 0 when nothing failed its check."""
    options = _parse(argv)
    # A terminated benchmark ends its daemons and removes its folder as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stub_program = _WORK / "s3stub"
    if not stub_program.exists():
        print(f"{stub_program} is missing; start it as bench/run.sh handover", file=sys.stderr)
        return _USAGE
    load_before = os.getloadavg()[0]
    if load_before > _BUSY:
        print(f"the machine is busy (load {load_before:.1f}); expect noise", file=sys.stderr)
    measurements = []
    with running_stub(
        stub_program, bucket=BUCKET, delay=options.delay, procs=options.stub_procs
    ) as stub:
        try:
            for number in range(options.rounds):
                for watchers in options.watchers:
                    one = _measure(stub, options, watchers, number + 1)
                    measurements.append(one)
                    print(_progress(one), file=sys.stderr)
        except StubError as error:
            print(f"the benchmark cannot go on: {error}", file=sys.stderr)
            return 1
    return _report(measurements, vars(options), load_before)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.handover", description=__doc__)
    parser.add_argument("--cids", type=int, default=1000, help="CIDs of a run (default 1000)")
    parser.add_argument(
        "--watchers", type=int, nargs="+", default=[1, 4, 16], help="how many (default 1 4 16)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="runs of each (default 1)")
    parser.add_argument(
        "--poll", type=float, default=5.0, help="seconds between looks, of all (default 5)"
    )
    parser.add_argument("--delay", default="0s", help="added to every answer, such as 20ms")
    parser.add_argument("--stub-procs", type=int, default=1, help="processors of the stub")
    parser.add_argument("--limit-seconds", type=float, default=600, help="per run (default 600)")
    return parser.parse_args(argv)


def _measure(stub: Stub, options: argparse.Namespace, watchers: int, number: int) -> Measurement:
    with tempfile.TemporaryDirectory(dir=_WORK, prefix="run-") as folder:
        ground = Ground(Path(folder), stub.endpoint, options.poll)
        cids = [f"{cid:05d}" for cid in range(1, options.cids + 1)]
        _lay_out(ground, cids)
        before = stub.reset()
        began = time.monotonic()
        counts = {"dispatcher": 1, "watcher": watchers, "collector": 1}
        with running_company(ground, counts) as company:
            fault = company.wait(lambda: _is_done(ground, len(cids)), options.limit_seconds)
            wall_seconds = time.monotonic() - began
            accounts, after = company.account(), stub.stats()
            fault = "; ".join(filter(None, (fault, _stop(company, fault), _check(ground, cids))))
        fault = fault or _check_bucket(stub.stats(), len(cids))
        if fault:
            _show_logs(ground)
        return Measurement(
            watchers=watchers,
            round=number,
            cids=len(cids),
            wall_seconds=wall_seconds,
            roles={role: _role(accounts[role], after.callers.get(role, {})) for role in ROLES},
            requests=after.requests,
            stub_cpu_seconds=after.cpu_seconds - before.cpu_seconds,
            stub_procs=after.procs,
            fault=fault,
        )


def _lay_out(ground: Ground, cids: Sequence[str]) -> None:
    ground.positions.mkdir(parents=True)
    ground.ec2.mkdir()
    settled = time.time() - _AGE_SECONDS
    for cid in cids:
        chunk = ground.positions / f"positions_chunk_{cid}.csv"
        chunk.write_text(_CHUNK)
        os.utime(chunk, (settled, settled))


def _is_done(ground: Ground, cids: int) -> bool:
    """Tell whether the collector's ledger has a line for each CID; its size says so for nothing."""
    try:
        return (ground.prod / ".completed_cids").stat().st_size >= cids * len("00001\n")
    except FileNotFoundError:
        return False


def _stop(company: Company, fault: str) -> str:
    return "" if fault else company.stop()


def _check(ground: Ground, cids: Sequence[str]) -> str:
    """Say what is wrong on the disks of both machines, or nothing."""
    faults = []
    for ledger in (
        ground.prod / ".sent_cids",
        ground.ec2 / ".processed_cids",
        ground.prod / ".completed_cids",
    ):
        lines = sorted(ledger.read_text().split()) if ledger.exists() else []
        if lines != list(cids):
            faults.append(f"{ledger.name} has {len(lines)} lines, {len(set(lines))} CIDs")
    wanted = {f"positions{cid}_closest.{end}" for cid in cids for end in ("csv", "qc.txt")}
    found = {path.name for path in ground.central.iterdir()} if ground.central.exists() else set()
    if found != wanted:
        faults.append(f"{len(found)} files in the central folder, not {len(wanted)}")
    return "; ".join(faults)


def _check_bucket(stats: StubStats, cids: int) -> str:
    """More than a CID's own objects would be a second result for one."""
    others = stats.objects - _OBJECTS_PER_CID * cids
    return "" if 0 <= others <= _OTHER_OBJECTS_MAX else f"{stats.objects} objects in the bucket"


def _role(account: Account, requests: Mapping[str, int]) -> Role:
    return Role(
        processes=account.processes,
        own_cpu_seconds=account.own_cpu_seconds,
        steps_cpu_seconds=account.steps_cpu_seconds,
        peak_rss_bytes=account.peak_rss_bytes,
        requests=requests,
    )


def _show_logs(ground: Ground) -> None:
    for log in sorted(ground.folder.glob("*.log")):
        print(f"{log.name}: {log.read_text(errors='replace')[-_LOG_TAIL:]}", file=sys.stderr)


def _progress(one: Measurement) -> str:
    told = f": {one.fault}" if one.fault else ""
    return (
        f"{one.watchers} watchers, round {one.round}: {one.wall_seconds:.2f} s, "
        f"{one.requests / one.cids:.2f} requests a CID, {one.verdict.value}{told}"
    )


def _report(
    measurements: Sequence[Measurement], options: dict[str, object], load_before: float
) -> int:
    rows = summarise(measurements)
    print(render(rows))
    measured = {
        "options": options,
        "rows": [asdict(row) | {"verdict": row.verdict.value} for row in rows],
        "runs": [asdict(one) | {"verdict": one.verdict.value} for one in measurements],
    }
    write_report("handover", measured, load_before=load_before)
    return int(any(row.verdict is Verdict.FAILED for row in rows) or not rows)


if __name__ == "__main__":
    sys.exit(main())
