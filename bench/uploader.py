"""`python -m bench.uploader`: the uploader beside s5cmd, rclone and the AWS CLI.

Rounds are interleaved: in every round each tool runs once, so that what else the machine does
meets all of them. After each run the stub's account is checked against what should have arrived.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.measure import ChildRun, run_child
from bench.report import write_report
from bench.stub import Stub, StubError, StubStats, running_stub
from bench.table import Measurement, Verdict, render, summarise
from bench.tools import Tool, all_tools
from bench.trees import BUCKET, Scenario, files_left, link_tree, write_tree

_BENCH = Path(__file__).resolve().parent
_WORK = _BENCH / ".work"
_FREE_BYTES = 3 << 30
_LOG_TAIL = 500
_USAGE = 2
_BUSY = 0.5

_FULL = {
    "A": Scenario("A new small", 20_000, 4096),
    "B": Scenario("B new large", 4, 256 << 20),
    "C": Scenario("C already there", 20_000, 4096, present=True),
}
_QUICK = {
    "A": Scenario("A new small", 2_000, 4096),
    "B": Scenario("B new large", 2, 32 << 20),
    "C": Scenario("C already there", 2_000, 4096, present=True),
}


@dataclass(frozen=True, slots=True)
class Run:
    """Where one benchmark works, and how long one client may take."""

    stub: Stub
    folder: Path
    limit_seconds: float

    def master(self, scenario: Scenario) -> Path:
        """The folder that a scenario's tree is linked from."""
        return self.folder / "masters" / scenario.tree


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON file; 0 when nothing failed its check."""
    options = _parse(argv)
    # A terminated benchmark ends its client and removes its folder as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _WORK.mkdir(exist_ok=True)
    if not (_WORK / "s3stub").exists():
        print(
            f"{_WORK / 's3stub'} is missing; start the benchmark with bench/run.sh", file=sys.stderr
        )
        return _USAGE
    if shutil.disk_usage(_WORK).free < _FREE_BYTES:
        print(f"less than 3 GiB are free in {_WORK}; free some", file=sys.stderr)
        return _USAGE
    load_before = os.getloadavg()[0]
    if load_before > _BUSY:
        print(f"the machine is busy (load {load_before:.1f}); expect noise", file=sys.stderr)
    scenarios = [(_QUICK if options.quick else _FULL)[name] for name in options.scenarios]
    with (
        tempfile.TemporaryDirectory(dir=_WORK, prefix="run-") as folder,
        running_stub(
            _WORK / "s3stub", bucket=BUCKET, delay=options.delay, procs=options.stub_procs
        ) as stub,
    ):
        run = Run(stub, Path(folder), options.limit_seconds)
        versions = _versions(run, options.tools)
        tools = [tool for tool in _chosen(options.tools) if tool.name in versions]
        try:
            measurements = [
                one
                for scenario in scenarios
                for one in _measure(run, scenario, tools, options.rounds)
            ]
        except StubError as error:
            print(f"the benchmark cannot go on: {error}", file=sys.stderr)
            return 1
    return _report(measurements, versions, vars(options), load_before)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.uploader", description=__doc__)
    names = [tool.name for tool in _chosen(None)]
    parser.add_argument("--rounds", type=int, default=3, help="runs of every tool (default 3)")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the files, for a smoke test"
    )
    parser.add_argument("--scenarios", nargs="+", choices=sorted(_FULL), default=sorted(_FULL))
    parser.add_argument("--tools", nargs="+", choices=names, default=names)
    parser.add_argument("--delay", default="0s", help="added to every answer, such as 20ms")
    parser.add_argument("--stub-procs", type=int, default=1, help="processors of the stub")
    parser.add_argument("--limit-seconds", type=float, default=300, help="per run (default 300)")
    return parser.parse_args(argv)


def _chosen(names: Sequence[str] | None) -> list[Tool]:
    tools = all_tools(Path(sys.executable).parent, _WORK / "venv")
    return [tool for tool in tools if names is None or tool.name in names]


def _versions(run: Run, names: Sequence[str]) -> dict[str, str]:
    """Ask each tool for its version; one that cannot be run is named and left out."""
    versions = {}
    for tool in _chosen(names):
        version = tool.version(run.folder)
        if version is None:
            print(f"{tool.name}: left out, {' '.join(tool.version_argv)} failed", file=sys.stderr)
            continue
        versions[tool.name] = version
        print(f"{tool.name}: {version}")
    return versions


def _measure(run: Run, scenario: Scenario, tools: Sequence[Tool], rounds: int) -> list[Measurement]:
    master = run.master(scenario)
    if not master.exists():
        write_tree(scenario, master, now=time.time())
    if scenario.present:
        run.stub.reset()
        run.stub.put_folder(BUCKET, master)
        run.stub.save()
    measurements = []
    for number in range(rounds):
        # Each round begins with another tool, so that no tool always runs after the same one.
        turn = number % len(tools) if tools else 0
        for tool in (*tools[turn:], *tools[:turn]):
            one = _measure_once(run, scenario, tool, number + 1)
            measurements.append(one)
            print(_progress(one), file=sys.stderr)
    return sorted(measurements, key=lambda one: [tool.name for tool in tools].index(one.tool))


def _measure_once(run: Run, scenario: Scenario, tool: Tool, number: int) -> Measurement:
    root, home = run.folder / "root", run.folder / "home"
    link_tree(run.master(scenario), root / BUCKET)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    before = run.stub.restore() if scenario.present else run.stub.reset()
    log = run.folder / "client.log"
    child = run_child(
        tool.argv(root, run.stub.endpoint),
        env=tool.environment(home, run.stub.endpoint),
        folder=home,
        log=log,
        limit_seconds=run.limit_seconds,
    )
    after = run.stub.stats()
    fault = _fault(scenario, child, after, files_left(root))
    if fault:
        print(log.read_text(errors="replace")[-_LOG_TAIL:], file=sys.stderr)
    return Measurement(
        scenario=scenario.name,
        tool=tool.name,
        round=number,
        files=scenario.files,
        wall_seconds=child.wall_seconds,
        cpu_seconds=child.cpu_seconds,
        peak_rss_bytes=child.peak_rss_bytes,
        requests=after.requests,
        received_bytes=after.received_bytes,
        stub_cpu_seconds=after.cpu_seconds - before.cpu_seconds,
        stub_procs=after.procs,
        fault=fault,
    )


def _fault(scenario: Scenario, child: ChildRun, stats: StubStats, left: int) -> str:
    """Say what is wrong after a run, or nothing."""
    checks = (
        (child.timed_out, "killed at the time limit"),
        (child.exit_status != 0, f"exit status {child.exit_status}"),
        (stats.objects != scenario.files, f"{stats.objects} objects, not {scenario.files}"),
        (stats.object_bytes != scenario.total_bytes, f"{stats.object_bytes} bytes in the bucket"),
        (stats.open_uploads > 0, f"{stats.open_uploads} multipart uploads left open"),
        (left > 0, f"{left} files left on disk"),
    )
    return "; ".join(text for wrong, text in checks if wrong)


def _progress(one: Measurement) -> str:
    told = f": {one.fault}" if one.fault else ""
    return (
        f"{one.scenario}, round {one.round}, {one.tool}: {one.wall_seconds:.2f} s, "
        f"{one.verdict.value}{told}"
    )


def _report(
    measurements: Sequence[Measurement],
    versions: dict[str, str],
    options: dict[str, object],
    load_before: float,
) -> int:
    rows = summarise(measurements)
    print(render(rows))
    measured = {
        # The floor of every client's peak, see bench.measure.
        "harness_peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "options": options,
        "versions": versions,
        "rows": [asdict(row) | {"verdict": row.verdict.value} for row in rows],
        "runs": [asdict(one) | {"verdict": one.verdict.value} for one in measurements],
    }
    write_report("uploader", measured, load_before=load_before)
    return int(any(row.verdict is Verdict.FAILED for row in rows) or not rows)


if __name__ == "__main__":
    sys.exit(main())
