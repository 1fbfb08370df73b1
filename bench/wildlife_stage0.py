"""`python -m bench.wildlife_stage0`: what it takes to read the notes of 10,000 pictures in S3.

Stage0Exif, which reads the head of each file, beside fetching whole files for Pillow, and beside
`exiftool` where it is installed; that one has the files on this disk already, as it knows no S3.
The pictures are of three cameras, a megabyte each, with a thumbnail of 12 KiB as cameras write one;
fifty of them are different, the others are copies. Rounds are interleaved.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

from bench.measure import ChildRun, run_child
from bench.report import write_report
from bench.stub import Stub, StubError, running_stub
from bench.table import Verdict
from bench.tools import Tool
from bench.trees import BUCKET
from bench.wildlife_stage0_table import REFERENCE, Cost, Row, render, render_goals, summarise
from tests.support.wildlife_pictures import Exif, make_picture

_BENCH = Path(__file__).resolve().parent
_WORK = _BENCH / ".work"
_USAGE = 2
_LOG_TAIL = 500
_LIMIT_SECONDS = 1800.0
_PICTURES = 10_000
_DIFFERENT = 50
_CAMERAS = 3
_SIZE = (1920, 1440)
_PICTURE_BYTES = 1_000_000
_THUMBNAIL_BYTES = 12 * 1024
_REQUEST_SECONDS = 30
_OURS = "towpath, heads"
_EXIFTOOL = "exiftool, local files"
_CLOCKS = b"camera_id,location,timezone,offset_seconds,clock_drift_ppm,notes\ncam01,,,120,,\n"


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the ways work."""

    folder: Path
    stub: Stub
    pictures: int
    limit_seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON file; 0 when nothing failed its check."""
    options = _parse(argv)
    # A terminated benchmark ends its child and removes its folder as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.pictures < _DIFFERENT or options.rounds < 1:
        print(f"at least {_DIFFERENT} pictures and 1 round are needed", file=sys.stderr)
        return _USAGE
    if not (_WORK / "s3stub").exists():
        print(f"{_WORK / 's3stub'} is missing; run bench/run.sh wildlife_stage0", file=sys.stderr)
        return _USAGE
    load_before = os.getloadavg()[0]
    try:
        rounds = _measure(options)
    except StubError as error:
        print(f"the benchmark cannot go on: {error}", file=sys.stderr)
        return 1
    rows = summarise(rounds, _OURS)
    print(render(rows))
    print(render_goals(rows))
    measured = {
        "options": {name: str(value) for name, value in vars(options).items()},
        "rows": [_told(row) for row in rows],
    }
    write_report("wildlife_stage0", measured, load_before=load_before)
    return int(any(row.verdict is Verdict.FAILED for row in rows))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.wildlife_stage0", description=__doc__)
    parser.add_argument("--pictures", type=int, default=_PICTURES, help=f"default {_PICTURES}")
    parser.add_argument("--rounds", type=int, default=1, help="runs of every way (default 1)")
    parser.add_argument("--delay", default="0s", help="latency of the stub (default 0s)")
    parser.add_argument("--limit-seconds", type=float, default=_LIMIT_SECONDS, help="per run")
    return parser.parse_args(argv)


def _measure(options: argparse.Namespace) -> Sequence[Mapping[str, Cost]]:
    with (
        tempfile.TemporaryDirectory(dir=_WORK, prefix="run-") as name,
        running_stub(_WORK / "s3stub", bucket=BUCKET, delay=options.delay, procs=1) as stub,
    ):
        ground = Ground(Path(name), stub, options.pictures, options.limit_seconds)
        _lay(ground)
        ways = [_OURS, REFERENCE]
        if shutil.which("exiftool"):
            _lay_local(ground)
            ways.append(_EXIFTOOL)
        else:
            print("exiftool is left out; it is not installed", file=sys.stderr)
        rounds = []
        for number in range(options.rounds):
            turn = number % len(ways)
            costs = {way: _run(ground, way) for way in (*ways[turn:], *ways[:turn])}
            rounds.append({way: costs[way] for way in ways})
        return rounds


def _masters() -> Iterator[bytes]:
    """Make the pictures that differ: grainy, so that they have about as many bytes as real ones."""
    first = datetime(2026, 6, 1, 4)  # noqa: DTZ001 - of a camera's clock
    grain = make_picture(size=_SIZE, noise=1)
    for number in range(_DIFFERENT):
        at = first + timedelta(minutes=7 * number)
        notes = Exif(original=f"{at:%Y:%m:%d %H:%M:%S}", position=(59.3 + number / 1000, 18.07))
        head = make_picture(exif=notes.to_bytes() + bytes(_THUMBNAIL_BYTES), size=_SIZE)
        # The image data is that of the grainy one; its size and its tables are the same.
        at_scan, grain_scan = head.index(b"\xff\xda"), grain.index(b"\xff\xda")
        body = head[:at_scan] + grain[grain_scan:]
        yield body[: _PICTURE_BYTES - 2] + b"\xff\xd9"


def _key(number: int) -> str:
    return f"in/cam{number % _CAMERAS + 1:02d}/IMG_{number:05d}.JPG"


def _lay(ground: Ground) -> None:
    """Put the pictures into the bucket: those that differ, and copies of them within the stub."""
    connection = HTTPConnection(ground.stub.host, ground.stub.port, timeout=_REQUEST_SECONDS)
    try:
        for number, body in enumerate(_masters()):
            _put(connection, _key(number), body, {})
        for number in range(_DIFFERENT, ground.pictures):
            source = {"x-amz-copy-source": f"/{BUCKET}/{_key(number % _DIFFERENT)}"}
            _put(connection, _key(number), b"", source)
        _put(connection, "clocks/time_corrections.csv", _CLOCKS, {})
    finally:
        connection.close()
    ground.stub.save()


def _put(connection: HTTPConnection, key: str, body: bytes, headers: Mapping[str, str]) -> None:
    connection.request("PUT", f"/{BUCKET}/{key}", body=body, headers=dict(headers))
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:  # noqa: PLR2004 - what a PUT answers
        raise StubError(f"PUT of {key!r} answered {answer.status}: {text[:200]!r}")


def _lay_local(ground: Ground) -> None:
    """Lay the same tree on the disk, out of hard links."""
    masters = ground.folder / "masters"
    masters.mkdir()
    for number, body in enumerate(_masters()):
        (masters / str(number)).write_bytes(body)
    for number in range(ground.pictures):
        path = ground.folder / _key(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(masters / str(number % _DIFFERENT))


def _run(ground: Ground, way: str) -> Cost:
    home = ground.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    before = ground.stub.restore()
    log = ground.folder / "client.log"
    tool = _tool(ground, way)
    child = run_child(
        tool.argv(ground.folder, ground.stub.endpoint),
        env=tool.environment(home, ground.stub.endpoint),
        folder=home,
        log=log,
        limit_seconds=ground.limit_seconds,
    )
    after = ground.stub.stats()
    said = log.read_text(errors="replace")
    found = _found(way, child, said)
    cost = Cost(
        pictures=int(found.get("pictures", 0)),
        seconds=found.get("seconds", child.wall_seconds),
        cpu_seconds=child.cpu_seconds,
        peak_rss_bytes=child.peak_rss_bytes,
        read_bytes=int(found.get("bytes", 0)),
        requests=after.requests,
        stub_load=(after.cpu_seconds - before.cpu_seconds) / child.wall_seconds,
        fault=_fault(ground, child, found),
    )
    print(f"{way}: {cost.rate:.0f} pictures/s, {cost.verdict.value} {cost.fault}", file=sys.stderr)
    if cost.fault:
        print(said[-_LOG_TAIL:], file=sys.stderr)
    return cost


def _tool(ground: Ground, way: str) -> Tool:
    """How a way is started; the endpoint is in its environment."""
    here = {"PYTHONPATH": str(_BENCH.parent)}
    verb = "head" if way == _OURS else "whole"
    argv = [sys.executable, "-m", "bench.wildlife_reader", verb]
    if way == _EXIFTOOL:
        tags = ["-DateTimeOriginal", "-GPSLatitude", "-GPSLongitude", "-ImageSize", "-Model"]
        argv = ["exiftool", "-fast2", "-q", "-r", "-json", *tags, str(ground.folder / "in")]
    return Tool(way, lambda _root, _endpoint: argv, (), here)


def _found(way: str, child: ChildRun, said: str) -> Mapping[str, float]:
    """Return what a way says that it read; nothing where it failed."""
    if child.exit_status:
        return {}
    if way == _EXIFTOOL:
        return {"pictures": said.count('"DateTimeOriginal"'), "seconds": child.wall_seconds}
    found: Mapping[str, float] = json.loads(said.strip().splitlines()[-1])
    return found


def _fault(ground: Ground, child: ChildRun, found: Mapping[str, float]) -> str:
    """Say what is wrong after a run, or nothing."""
    checks = (
        (child.timed_out, "killed at the time limit"),
        (child.exit_status != 0, f"exit status {child.exit_status}"),
        (found.get("pictures") != ground.pictures, f"{found.get('pictures')} pictures"),
    )
    return "; ".join(text for wrong, text in checks if wrong)


def _told(row: Row) -> Mapping[str, object]:
    return asdict(row) | {
        "verdict": row.verdict.value,
        "rate": round(row.cost.rate, 1),
        "goals": row.goals,
    }


if __name__ == "__main__":
    sys.exit(main())
