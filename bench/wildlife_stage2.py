"""`python -m bench.wildlife_stage2`: a season of a million detections made into observations.

The state Stage2Post as local mode runs it, files in and files out, beside the straightforward
script. Each is a process of its own, and both must find the same observations at the same places.
The season is made once and kept.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from bench.measure import run_child
from bench.report import write_report
from bench.wildlife_stage2_table import NAIVE, OURS, Cost, Row, render, render_goals, summarise

# This module imports nothing of the state: what this process has in use counts as every child's
# peak.

_BENCH = Path(__file__).resolve().parent
_WORK = _BENCH / ".work"
_LIMIT_SECONDS = 3600.0
_WAYS = {
    OURS: ("ours", "out/stage2/observations.jsonl"),
    NAIVE: ("naive", "naive.jsonl"),
}
"""What the ways are called, and where each leaves its observations."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make the season where it is missing, measure, print the table, write the JSON file."""
    options = _parse(argv)
    folder: Path = options.folder / f"wildlife-stage2-{options.detections}"
    _make_once(folder, options.detections)
    load_before = os.getloadavg()[0]
    rounds = [_round(folder, number) for number in range(options.rounds)]
    rows = summarise(options.detections, rounds)
    print(render(rows))
    print(render_goals(rows))
    _write_report(rows, options, load_before)
    return int(any(row.cost.fault for row in rows))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.wildlife_stage2", description=__doc__)
    parser.add_argument("--detections", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1, help="medians are over so many rounds")
    parser.add_argument(
        "--folder", type=Path, default=_WORK, help="where the season is kept (0.9 GB)"
    )
    return parser.parse_args(argv)


def _make_once(folder: Path, detections: int) -> None:
    if (folder / "whole").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"making {detections} detections", file=sys.stderr)
    maker = [sys.executable, "-m", "bench.wildlife_detections", str(folder), str(detections)]
    subprocess.run(maker, check=True, cwd=_BENCH.parent)
    (folder / "whole").touch()


def _round(folder: Path, number: int) -> Mapping[str, Cost]:
    costs = {}
    expected = ""
    for way in reversed(_WAYS):
        costs[way], found = _run(folder, way, expected)
        expected = expected or found
        print(f"round {number + 1}, {way}: {costs[way]}", file=sys.stderr)
    return {way: costs[way] for way in _WAYS}


def _run(folder: Path, way: str, expected: str) -> tuple[Cost, str]:
    """Run one way, and return what it cost and the digest of what it found."""
    name, result = _WAYS[way]
    (folder / result).unlink(missing_ok=True)
    log = folder / f"{name}.log"
    child = run_child(
        [sys.executable, "-m", "bench.wildlife_stage2_ways", name, str(folder)],
        env={**os.environ, "PYTHONPATH": str(_BENCH.parent)},
        folder=folder,
        log=log,
        limit_seconds=_LIMIT_SECONDS,
    )
    fault, count, found = "", 0, ""
    if child.exit_status or child.timed_out:
        fault = f"exit status {child.exit_status}"
        print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
    else:
        count, found = _digest(folder / result)
        if expected and found != expected:
            fault = "others than the naive way's"
    cost = Cost(
        wall_seconds=child.wall_seconds,
        cpu_seconds=child.cpu_seconds,
        peak_rss_bytes=child.peak_rss_bytes,
        observations=count,
        fault=fault,
    )
    return cost, found


def _digest(path: Path) -> tuple[int, str]:
    """Return the number of observations, and a digest of what does not depend on their form."""
    facts = []
    with path.open() as lines:
        for line in lines:
            one = json.loads(line)
            counts = one["frame_count"], one["individual_count"], len(one["detection_timeline"])
            said = f"{one['duration_seconds']} {counts} {round(one['avg_confidence'], 9)}"
            facts.append((one["observation_id"], said, str(one["cluster_id"])))
    # Places have names of their own in each way; they are the same if the same are together.
    places: dict[str, int] = {}
    known = [(name, said, places.setdefault(at, len(places))) for name, said, at in sorted(facts)]
    return len(known), sha256(repr(known).encode()).hexdigest()


def _write_report(rows: Sequence[Row], options: argparse.Namespace, load_before: float) -> None:
    measured = {
        "options": {name: str(value) for name, value in vars(options).items()},
        "rows": [asdict(row) | {"goals": row.goals} for row in rows],
    }
    write_report("wildlife-stage2", measured, load_before=load_before)


if __name__ == "__main__":
    sys.exit(main())
