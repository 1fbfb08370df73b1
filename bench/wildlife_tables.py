"""`python -m bench.wildlife_tables`: WriteParquet on as many sightings as nobody has in one run.

The whole state, report and page included, beside the straightforward way: read both manifests into
memory, join, sort, `pyarrow.Table.from_pylist`. Their tables are compared row by row. Nothing of
this needs S3: memory is what is measured, and manifests and results lie in a folder.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.measure import ChildRun, run_child
from bench.report import write_report
from bench.wildlife_tables_table import (
    STATE,
    STRAIGHTFORWARD,
    Cost,
    render,
    render_goals,
    summarise,
)

# This module does not import pyarrow: what this process has in use counts as every child's peak.

_BENCH = Path(__file__).resolve().parent
_TABLES = {STATE: "clusters.parquet", STRAIGHTFORWARD: "straightforward.parquet"}
_LIMIT_SECONDS = 3600.0


def main(argv: Sequence[str] | None = None) -> int:
    """Make the manifests where they are missing, measure, print the table, write the JSON file."""
    options = _parse(argv)
    load_before = os.getloadavg()[0]
    costs: dict[tuple[int, str], list[Cost]] = {}
    for rows in options.rows:
        folder = options.folder / str(rows)
        _make_once(folder, rows)
        for number in range(options.rounds):
            for way in options.ways:
                cost = _measure(folder, way, compared=len(options.ways) > 1)
                print(f"{rows:,} rows, round {number + 1}, {way}: {cost}", file=sys.stderr)
                costs.setdefault((rows, way), []).append(cost)
    table = summarise(costs)
    print(render(table))
    print(render_goals(table))
    measured = {
        "options": {name: str(value) for name, value in vars(options).items()},
        "rows": [asdict(row) | {"goals": row.goals} for row in table],
    }
    write_report("wildlife_tables", measured, load_before=load_before)
    return int(any(row.cost.fault for row in table))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.sh wildlife_tables", description=__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=[50_000, 200_000, 1_000_000])
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=[STRAIGHTFORWARD, STATE],
        default=[STRAIGHTFORWARD, STATE],
        help="what comes later is compared with what was before",
    )
    parser.add_argument("--rounds", type=int, default=1, help="medians are over so many rounds")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_BENCH / ".work" / "wildlife_tables",
        help="where the manifests are kept (1 GB for a million rows)",
    )
    return parser.parse_args(argv)


def _make_once(folder: Path, rows: int) -> None:
    if (folder / "whole").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"making the manifests of {rows:,} sightings", file=sys.stderr)
    subprocess.run([*_child("make", folder), str(rows)], check=True)
    (folder / "whole").touch()


def _measure(folder: Path, way: str, *, compared: bool) -> Cost:
    table = folder / _TABLES[way]
    table.unlink(missing_ok=True)
    log = folder / "log"
    child = run_child(
        _child(way, folder),
        env={**os.environ, "PYTHONPATH": str(_BENCH.parent), "TMPDIR": str(folder)},
        folder=folder,
        log=log,
        limit_seconds=_LIMIT_SECONDS,
    )
    fault = _fault(child)
    if fault:
        print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
    elif compared and way == STATE:
        fault = _differing(folder)
    return Cost(
        wall_seconds=child.wall_seconds,
        cpu_seconds=child.cpu_seconds,
        peak_rss_bytes=child.peak_rss_bytes,
        file_bytes=table.stat().st_size if table.exists() else 0,
        fault=fault,
    )


def _child(way: str, folder: Path) -> Sequence[str]:
    return [sys.executable, "-m", "bench.wildlife_tables_child", way, str(folder)]


def _fault(child: ChildRun) -> str:
    if child.timed_out:
        return f"not done in {_LIMIT_SECONDS:.0f} s"
    return f"exit status {child.exit_status}" if child.exit_status else ""


def _differing(folder: Path) -> str:
    """Compare both tables in a process of its own."""
    told = subprocess.run(_child("compare", folder), check=True, capture_output=True, text=True)
    return told.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
