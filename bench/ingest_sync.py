"""`python -m bench.ingest_sync`: what a night costs in which nothing happened.

The ingester's sync beside `aws s3 sync --dryrun`, `rclone check` and `rclone copy --dry-run`: the
same tree, the same stub over HTTP, one run. All is in step, and a command that says otherwise
fails. Rounds are interleaved, and each begins with another tool. With --without-http the listing
is made in our own process, and what is measured is walking, merging and comparing.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.ingest_sites import Site
from bench.ingest_table import Cost, Row, Task, render, render_goals, summarise
from bench.measure import ChildRun, run_child
from bench.report import write_report
from bench.stub import Stub, StubError, StubStats, running_stub
from bench.table import Verdict
from bench.tools import Tool, aws_sync, rclone_check, rclone_copy, towpath_sync
from bench.trees import BUCKET

_BENCH = Path(__file__).resolve().parent
_WORK = _BENCH / ".work"
_USAGE = 2
_LOG_TAIL = 500
_MILLION = 1_000_000
_LIMIT_SECONDS = 3600.0
_SPARE_FILES = 100_000

_AWS, _RCLONE = _WORK / "venv/bin/aws", _WORK / "venv/bin/rclone"


@dataclass(frozen=True, slots=True)
class Command:
    """One process, and what it must not say where everything is in step."""

    tool: Tool
    difference: str
    """In its output, it names a difference."""
    forgetting: bool = False
    """What earlier runs remember is removed before."""
    expected: str = ""
    """In its output, else it has not compared everything."""


def _commands(site: Site) -> Mapping[str, Command]:
    in_step = f'"in_step": {site.objects}, "moved": 0,'
    look, night = towpath_sync("look"), towpath_sync("night")
    moved = '"event":"file_set_aside"'
    return {
        "first look": Command(look, moved, forgetting=True, expected=in_step),
        "look": Command(look, moved, expected=in_step),
        "first night": Command(night, moved, forgetting=True, expected=in_step),
        "night": Command(night, moved, expected=in_step),
        "aws up": Command(aws_sync(_AWS, down=False), "(dryrun)"),
        "aws down": Command(aws_sync(_AWS, down=True), "(dryrun)"),
        "rclone check": Command(rclone_check(_RCLONE), "ERROR", expected="0 differences found"),
        "rclone up": Command(rclone_copy(_RCLONE, down=False), "--dry-run is set"),
        "rclone down": Command(rclone_copy(_RCLONE, down=True), "--dry-run is set"),
    }


TASKS = (
    Task("gap report", "aws s3 sync --dryrun, up", ("aws up",)),
    Task("gap report", "rclone check", ("rclone check",)),
    Task("gap report", "rclone copy --dry-run, up", ("rclone up",)),
    Task("gap report", "towpath, nothing remembered", ("first look",), ours=True),
    Task("gap report", "towpath", ("look",), ours=True),
    Task("night", "aws s3 sync --dryrun, down and up", ("aws down", "aws up")),
    Task("night", "rclone copy --dry-run, down and up", ("rclone down", "rclone up")),
    Task("night", "towpath, nothing remembered", ("first night",), ours=True),
    Task("night", "towpath", ("night",), ours=True),
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where one site's commands work."""

    site: Site
    folder: Path
    stub: Stub
    limit_seconds: float

    @property
    def root(self) -> Path:
        """The tree is root/BUCKET."""
        return self.folder / "root"

    def forget(self) -> None:
        """Remove what our runs remember."""
        shutil.rmtree(self.folder / "root-state", ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON file; 0 when nothing failed its check."""
    options = _parse(argv)
    # A terminated benchmark ends its client and removes its folder as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sites = _sites(options)
    parent = options.folder or _WORK
    if fault := _fault_before(sites, parent, options):
        print(fault, file=sys.stderr)
        return _USAGE
    if options.without_http:
        return _without_http(sites[-1], parent, options.rounds)
    load_before = os.getloadavg()[0]
    rows: list[Row] = []
    versions: dict[str, str] = {}
    try:
        for site in sites:
            rows += _measure_site(site, parent, options, versions)
    except StubError as error:
        print(f"the benchmark cannot go on: {error}", file=sys.stderr)
        return 1
    return _report(rows, versions, options, load_before)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest_sync", description=__doc__)
    parser.add_argument("--sites", nargs="+", choices=("episodes", "objects"))
    parser.add_argument("--objects", type=int, default=_MILLION, help=f"default {_MILLION}")
    parser.add_argument("--rounds", type=int, default=1, help="runs of every command (default 1)")
    parser.add_argument(
        "--skip", nargs="+", default=[], metavar="COMMAND", help="such as 'aws down'"
    )
    parser.add_argument("--folder", type=Path, help="where the trees are laid (bench/.work)")
    parser.add_argument("--limit-seconds", type=float, default=_LIMIT_SECONDS, help="per command")
    parser.add_argument("--without-http", action="store_true", help="our side alone, --objects")
    return parser.parse_args(argv)


def _sites(options: argparse.Namespace) -> list[Site]:
    """One site as it is known, and one of as many small objects as are wanted, in threes."""
    sites = {
        "episodes": Site("1,022 episodes", 1022, entries=382_559),
        "objects": Site("", (options.objects - 1) // 3),
    }
    many = sites["objects"]
    sites["objects"] = Site(f"{many.objects:,} objects", many.episodes)
    if options.without_http:
        return [sites["objects"]]
    return [sites[name] for name in options.sites or sites]


def _fault_before(sites: Sequence[Site], parent: Path, options: argparse.Namespace) -> str:
    """Say why the benchmark cannot begin."""
    if options.objects < 4 or options.rounds < 1:  # noqa: PLR2004 - the limits are the message
        return "at least 4 objects and 1 round are needed"
    if not (options.without_http or (_WORK / "s3stub").exists()):
        return f"{_WORK / 's3stub'} is missing; start the benchmark with bench/run.sh ingest_sync"
    parent.mkdir(parents=True, exist_ok=True)
    free = os.statvfs(parent).f_favail
    most = max(site.objects for site in sites) + _SPARE_FILES
    # A file system that makes them as they are needed counts none.
    if 0 < free < most:
        return (
            f"{str(parent)!r} has room for {free} files; {most} are needed, name another --folder"
        )
    return ""


def _measure_site(
    site: Site, parent: Path, options: argparse.Namespace, versions: dict[str, str]
) -> list[Row]:
    with (
        tempfile.TemporaryDirectory(dir=parent, prefix="run-") as folder,
        running_stub(_WORK / "s3stub", bucket=BUCKET, delay="0s", procs=1) as stub,
    ):
        ground = Ground(site, Path(folder), stub, options.limit_seconds)
        stub.seed(BUCKET, site.lay(ground.root / BUCKET))
        commands = _usable(ground, options.skip, versions)
        rounds = [_round(ground, commands, number) for number in range(options.rounds)]
    tasks = [task for task in TASKS if all(name in commands for name in task.commands)]
    return summarise(site.name, site.pages, tasks, rounds)


def _usable(
    ground: Ground, skipped: Sequence[str], versions: dict[str, str]
) -> Mapping[str, Command]:
    """Return the commands whose tool can be run; the others are named and left out."""
    usable = {}
    for name, command in _commands(ground.site).items():
        tool = command.tool
        if tool.name not in versions:
            versions[tool.name] = tool.version(ground.folder) or ""
            said = versions[tool.name] or f"left out, {' '.join(tool.version_argv)} failed"
            print(f"{tool.name}: {said}", file=sys.stderr)
        if versions[tool.name] and name not in skipped:
            usable[name] = command
    return usable


def _round(ground: Ground, commands: Mapping[str, Command], number: int) -> Mapping[str, Cost]:
    """Run every command once; those of one tool stay in their order, as ours remember."""
    tools = list(dict.fromkeys(command.tool.name for command in commands.values()))
    turn = number % len(tools)
    costs = {}
    for tool in (*tools[turn:], *tools[:turn]):
        for name, command in commands.items():
            if command.tool.name == tool:
                costs[name] = _run(ground, command)
                print(_progress(ground.site, number, name, costs[name]), file=sys.stderr)
    return costs


def _run(ground: Ground, command: Command) -> Cost:
    home = ground.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    if command.forgetting:
        ground.forget()
    before = ground.stub.forget()
    log = ground.folder / "client.log"
    child = run_child(
        command.tool.argv(ground.root, ground.stub.endpoint),
        env=command.tool.environment(home, ground.stub.endpoint),
        folder=home,
        log=log,
        limit_seconds=ground.limit_seconds,
    )
    after = ground.stub.stats()
    said = log.read_text(errors="replace")
    fault = _fault(ground.site, command, child, after, said)
    if fault:
        print(said[-_LOG_TAIL:], file=sys.stderr)
    return Cost(
        wall_seconds=child.wall_seconds,
        cpu_seconds=child.cpu_seconds,
        peak_rss_bytes=child.peak_rss_bytes,
        requests=after.requests,
        stub_cpu_seconds=after.cpu_seconds - before.cpu_seconds,
        stub_procs=after.procs,
        fault=fault,
    )


def _fault(site: Site, command: Command, child: ChildRun, stats: StubStats, said: str) -> str:
    """Say what is wrong after a command, or nothing."""
    checks = (
        (child.timed_out, "killed at the time limit"),
        (child.exit_status != 0, f"exit status {child.exit_status}"),
        (command.difference in said, "it found a difference"),
        (command.expected not in said, "it does not say that it compared everything"),
        (stats.requests < site.pages, f"{stats.requests} requests for {site.pages} pages"),
        (stats.received_bytes > 0 or stats.objects != site.objects, "it wrote to the bucket"),
    )
    return "; ".join(text for wrong, text in checks if wrong)


def _progress(site: Site, number: int, name: str, cost: Cost) -> str:
    told = f": {cost.fault}" if cost.fault else ""
    return (
        f"{site.name}, round {number + 1}, {name}: {cost.wall_seconds:.2f} s, "
        f"CPU {cost.cpu_seconds:.2f} s, {cost.requests} requests, {cost.verdict.value}{told}"
    )


def _without_http(site: Site, parent: Path, rounds: int) -> int:
    """Let our side list what is made in its own process; the first run reads every file."""
    with tempfile.TemporaryDirectory(dir=parent, prefix="run-") as folder:
        root = Path(folder) / "root"
        _exhaust(site.lay(root / BUCKET))
        argv = [sys.executable, "-m", "bench.ingest_client", "look", str(root)]
        argv += ["--episodes", str(site.episodes)]
        return max(subprocess.run(argv, check=False).returncode for _ in range(rounds))


def _exhaust(lines: Iterator[str]) -> None:
    for _ in lines:
        pass


def _report(
    rows: Sequence[Row],
    versions: Mapping[str, str],
    options: argparse.Namespace,
    load_before: float,
) -> int:
    print(render(rows))
    print(render_goals(rows))
    measured = {
        "options": {name: str(value) for name, value in vars(options).items()},
        "versions": versions,
        "rows": [asdict(row) | {"verdict": row.verdict.value, "goals": row.goals} for row in rows],
    }
    write_report("ingest_sync", measured, load_before=load_before)
    return int(any(row.verdict is Verdict.FAILED for row in rows) or not rows)


if __name__ == "__main__":
    sys.exit(main())
