"""`python -m bench.neowise`: the sidecar step beside the way it replaces and beside astropy.

One generated sky, made once and kept; three processes on it, one after the other. Every figure of
the table is from this run, and so are the ratios.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.measure import ChildRun, run_child
from pipelines.neowise.columns import SEED_SCHEMA
from pipelines.neowise.sky import Field, SkyPlan, write_sky

_BENCH = Path(__file__).resolve().parent.parent
_WORK = _BENCH / ".work"
_YEARS = ("year1", "year2", "year3", "year4", "year5", "addendum")
_PLACES = ((0, 0), (150, 45), (80, -75), (40, 89))
_RADIUS_DEG = 2.5
_MARGIN_DEG = 1.5
"""Positions lie in a patch, detections around it as well: so it is in the real sky."""
_MIB = 1 << 20
_LIMIT_SECONDS = 7200.0
_SPEED_A, _SPEED_B, _MEMORY_B, _BYTES_A = 20, 1, 0.5, 1 / 6

Facts = Mapping[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Make the sky where it is missing, measure, print the table, write the JSON file."""
    options = _parse(argv)
    folder = _WORK / f"sky-{options.detections}-{options.positions}"
    if options.make_only:
        _make(folder, options.detections, options.positions)
        return 0
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # In a process of its own: what this one has in use counts as every child's peak.
        _run(folder, "make", "bench.neowise", "--make-only", *_sizes(options))
    years = ",".join(_YEARS)
    ours = _measure(folder, "ours", years, str(options.workers))
    theirs = _measure(folder, "theirs", years)
    naive = _measure(folder, "naive", years, str(options.naive_pixels), "100")
    differing = _differing(folder)
    facts = {"ours": ours, "astropy": theirs, "naive, scaled": naive}
    print(_table(facts, differing))
    results = _BENCH / "results"
    results.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = results / f"neowise-{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "measured_at": now.isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "options": vars(options),
        "runs": facts,
        "differing_rows": differing,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return int(differing > 0)


def _sizes(options: argparse.Namespace) -> tuple[str, ...]:
    return ("--detections", str(options.detections), "--positions", str(options.positions))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.neowise", description=__doc__)
    parser.add_argument("--detections", type=int, default=24_000_000)
    parser.add_argument("--positions", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--naive-pixels", type=int, default=3, help="pixels that (a) is measured on"
    )
    parser.add_argument("--make-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _make(folder: Path, detections: int, positions: int) -> None:
    """Write a sky field by field, so that only one is in memory."""
    seeds: dict[str, list[object]] = {name: [] for name in SEED_SCHEMA.names}
    made = 0
    for number, (ra, dec) in enumerate(_PLACES):
        field = Field(f"{number:05d}", ra, dec, _RADIUS_DEG, positions // len(_PLACES))
        plan = SkyPlan(
            (field,),
            years=_YEARS,
            # What is planted around the positions comes on top; a little is lost near them.
            background=int(detections / len(_PLACES) * 1.02),
            seed=number,
            row_group_rows=32_768,
            extra_columns=4,
            margin_deg=_MARGIN_DEG,
        )
        sky = write_sky(folder / "sky", plan)
        made += sky.detections
        (truth,) = sky.truths
        seeds["opt_ra_deg"] += truth.ra_deg.tolist()
        seeds["opt_dec_deg"] += truth.dec_deg.tolist()
        seeds["source_id"] += truth.ids
        seeds["row_id"] += truth.ids
        seeds["chunk_id"] += [truth.cid] * len(truth.ids)
        print(f"{made} detections", file=sys.stderr)
    (folder / "seeds").mkdir()
    pq.write_table(pa.table(seeds, schema=SEED_SCHEMA), folder / "seeds" / "part-00000.parquet")
    (folder / "whole").write_text(f"{made}\n")


def _measure(folder: Path, way: str, *arguments: str) -> Facts:
    if way == "ours":
        # Shards of an earlier run would be taken for finished work.
        shutil.rmtree(folder / way, ignore_errors=True)
    child = _run(folder, way, f"bench.neowise.{way}", str(folder), *arguments)
    told = json.loads((folder / f"{way}.json").read_text())
    return {**told, "peak_rss_bytes": child.peak_rss_bytes}


def _run(folder: Path, name: str, module: str, *arguments: str) -> ChildRun:
    child = run_child(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": str(_BENCH.parent)},
        folder=folder,
        log=folder / f"{name}.log",
        limit_seconds=_LIMIT_SECONDS,
    )
    if child.exit_status:
        raise SystemExit(f"{name} failed; see {folder / f'{name}.log'}")
    return child


def _differing(folder: Path) -> int:
    """Return how many positions have another closest detection than with astropy."""
    ours = pq.read_table(folder / "ours" / "neowise_se_flags_ALL.parquet")
    theirs = pq.read_table(folder / "theirs.parquet")
    first, second = (
        dict(
            zip(
                table.column("opt_source_id").to_pylist(),
                table.column("cntr").to_pylist(),
                strict=True,
            )
        )
        for table in (ours, theirs)
    )
    return sum(first.get(name) != second.get(name) for name in first.keys() | second.keys())


def _table(facts: Mapping[str, Facts], differing: int) -> str:
    lines = [f"{'':16}{'wall s':>10}{'CPU s':>10}{'peak MiB':>10}{'read MiB':>12}{'matched':>10}"]
    for name, one in facts.items():
        lines.append(
            f"{name:16}{one['wall_seconds']:>10.1f}{one['cpu_seconds']:>10.1f}"
            f"{one['peak_rss_bytes'] / _MIB:>10.0f}{one['bytes_read'] / _MIB:>12.0f}"
            f"{one['matched']:>10.0f}"
        )
    ours, theirs, naive = facts.values()
    checks = (
        ("times the speed of the naive way", naive, ours, "wall_seconds", _SPEED_A),
        ("times the speed of astropy", theirs, ours, "wall_seconds", _SPEED_B),
    )
    for said, slow, fast, name, goal in checks:
        lines.append(f"{slow[name] / fast[name]:8.2f} {said} (goal: {goal} or more)")
    memory = ours["peak_rss_bytes"] / theirs["peak_rss_bytes"]
    read = ours["bytes_read"] / naive["bytes_read"]
    lines.append(f"{memory:8.2f} of astropy's memory (goal: {_MEMORY_B} or less)")
    lines.append(f"{read:8.3f} of the bytes of the naive way (goal: {_BYTES_A:.3f} or less)")
    lines.append(f"{differing:8d} positions with another closest detection than astropy's")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
