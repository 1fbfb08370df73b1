"""`python -m bench.glacier_clip`: one acquisition of four raw tiles, clipped to a region.

The processing step beside the straightforward way: fetch the tiles, `rasterio.merge`, warp. All of
them take the same tiles from the same server on loopback, and their rasters are compared with what
is known of the tiles. These are made once and kept.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.glacier_table import DIFFERING_MAX, REFERENCE, Cost, Row, render, render_goals, summarise
from bench.measure import run_child
from bench.report import write_report

# This module imports neither numpy nor rasterio: what this process has in use counts as every
# child's peak.

_BENCH = Path(__file__).resolve().parent
_WORK = _BENCH / ".work"
_REGIONS = ("074_four_corners", "191_Hagen_Brae")
_DAY = "2024-08-01"
_WINDOWS = "rasterio.merge over /vsicurl"
_STEP, _STEP_KEEPING = "towpath, windows", "towpath, raw tiles kept"
_OURS = {_STEP: False, _STEP_KEEPING: True}
"""Ways of the step, and whether whole tiles are among what is asked for."""
_LIMIT_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What is measured on."""

    folder: Path
    server: "Server"

    def target(self, region: str, way: str) -> Path:
        """Return where a way leaves its raster."""
        if way in _OURS:
            scenes = list((self.output(way) / region / "clipped").glob("*.tif"))
            return scenes[0] if scenes else self.output(way) / "none.tif"
        return self.folder / "out" / f"{way.split(maxsplit=1)[0]}.tif"

    def output(self, way: str) -> Path:
        """Return the step's output folder."""
        return self.folder / "out" / ("kept" if _OURS[way] else "windows")


class Server:
    """The catalogue's process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        said = self._heard()
        self.url: str = said["url"]
        self.tiles: Sequence[str] = said["tiles"]
        """Their URLs in merge priority order."""

    def since(self) -> Mapping[str, int]:
        """Return what was handed out since the last time."""
        assert self._process.stdin is not None  # noqa: S101 - it is piped
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is piped
        said: Mapping[str, Any] = json.loads(self._process.stdout.readline())
        return said


def main(argv: Sequence[str] | None = None) -> int:
    """Make the tiles where they are missing, measure, print the table, write the JSON file."""
    options = _parse(argv)
    folder: Path = options.folder
    _make_once(folder)
    load_before = os.getloadavg()[0]
    rows: list[Row] = []
    with _serving(folder) as server:
        ground = Ground(folder, server)
        for region in options.regions:
            rounds = [_round(ground, region, number) for number in range(options.rounds)]
            rows += summarise(region, rounds, _OURS)
    print(render(rows))
    print(render_goals(rows))
    _write_report(rows, options, load_before)
    return int(any(row.cost.fault for row in rows))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.sh glacier", description=__doc__)
    parser.add_argument("--regions", nargs="+", choices=_REGIONS, default=list(_REGIONS))
    parser.add_argument("--rounds", type=int, default=1, help="medians are over so many rounds")
    parser.add_argument(
        "--folder", type=Path, default=_WORK / "glacier", help="where the tiles are kept (0.7 GB)"
    )
    return parser.parse_args(argv)


def _make_once(folder: Path) -> None:
    if (folder / "whole").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print("making four tiles of 10,980 x 10,980 pixels", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "bench.glacier_tiles", str(folder)], check=True)
    (folder / "whole").touch()


@contextmanager
def _serving(folder: Path) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.glacier_served", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()


def _round(ground: Ground, region: str, number: int) -> Mapping[str, Cost]:
    shutil.rmtree(ground.folder / "out", ignore_errors=True)
    (ground.folder / "out").mkdir()
    costs = {}
    for way, argv in _commands(ground, region).items():
        costs[way] = _run(ground, region, way, argv)
        print(f"{region}, round {number + 1}, {way}: {costs[way]}", file=sys.stderr)
    return costs


def _commands(ground: Ground, region: str) -> Mapping[str, Sequence[str]]:
    """Return what is compared, the reference first."""
    return {
        REFERENCE: _merge_command(ground, region, "whole", REFERENCE),
        _WINDOWS: _merge_command(ground, region, "windows", _WINDOWS),
        _STEP: _step_command(ground, region, _STEP, clear="1"),
        _STEP_KEEPING: _step_command(ground, region, _STEP_KEEPING, clear="0"),
    }


def _merge_command(ground: Ground, region: str, how: str, way: str) -> Sequence[str]:
    target = str(ground.target(region, way))
    return [sys.executable, "-m", "bench.glacier_merge", how, region, target, *ground.server.tiles]


def _step_command(ground: Ground, region: str, way: str, *, clear: str) -> Sequence[str]:
    return [
        *(sys.executable, "-m", "pipelines.glacier.step.sentinel2"),
        *("--regions", region, "--date1", _DAY, "--date2", _DAY),
        *("--download_flag", "1", "--post_processing_flag", "1", "--clear_downloads", clear),
        *("--base_dir", str(ground.output(way))),
        *("--region_file", str(ground.folder / "regions.gpkg"), "--stac_url", ground.server.url),
    ]


def _run(ground: Ground, region: str, way: str, argv: Sequence[str]) -> Cost:
    ground.server.since()
    log = ground.folder / "out" / "log"
    child = run_child(
        argv,
        env={**os.environ, "PYTHONPATH": str(_BENCH.parent)},
        folder=ground.folder,
        log=log,
        limit_seconds=_LIMIT_SECONDS,
    )
    sent = ground.server.since()
    fault = f"exit status {child.exit_status}" if child.exit_status or child.timed_out else ""
    differing = 0.0
    if fault:
        print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
    else:
        differing = _differing(ground, region, way)
        if way in _OURS and differing > DIFFERING_MAX:
            fault = f"{differing:.1%} of its pixels are wrong"
    return Cost(
        wall_seconds=child.wall_seconds,
        cpu_seconds=child.cpu_seconds,
        peak_rss_bytes=child.peak_rss_bytes,
        fetched_bytes=sent["sent_bytes"],
        requests=sent["requests"],
        differing=differing,
        fault=fault,
    )


def _differing(ground: Ground, region: str, way: str) -> float:
    """Return the share of pixels that are not the tiles', told by a process of its own."""
    told = subprocess.run(
        [
            *(sys.executable, "-m", "bench.glacier_compare"),
            *(str(ground.folder), region, str(ground.target(region, way))),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(told.stdout)


def _write_report(rows: Sequence[Row], options: argparse.Namespace, load_before: float) -> None:
    measured = {
        "options": {name: str(value) for name, value in vars(options).items()},
        "rows": [asdict(row) | {"goals": row.goals} for row in rows],
    }
    write_report("glacier", measured, load_before=load_before)


if __name__ == "__main__":
    sys.exit(main())
