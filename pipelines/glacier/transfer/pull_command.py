"""The command `towpath glacier pull`: results from the bucket to where the next steps look.

Exit statuses: 0 done · 1 a file failed · 2 bad input, no bucket, or no results.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.loading import Loaded, path_of
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.storage import resolve_storage
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project import config_keys
from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.regions import BadSelection, Selection, select_regions
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.transfer.project_line import load_checked, warn
from pipelines.glacier.transfer.reports import PullReport, pulls_to_json
from pipelines.glacier.transfer.results import Filter, Pulled
from pipelines.glacier.values import SWITCH
from shared.errors import ExitStatus, UsageError
from shared.s3.uri import S3Uri

# The rest is imported where it is used: --help and mistakes in the line do not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "bring results from S3 to this machine"

STEP_FOLDER: Final = "1_download_merge_and_clip"
_SATELLITES: tuple[SatelliteName, ...] = ("sentinel2", "landsat")

BASE_DIR = Flag(
    "--base-dir",
    where.PATH,
    "folder of the data (default: base_dir of config.ini on a cluster, else local_base_dir)",
    "DIR",
)
EXCLUDE_DOWNLOADS = Flag("--exclude-downloads", SWITCH, "leave raw tiles there", switch=True)
FORCE_OVERWRITE = Flag(
    "--force-overwrite", SWITCH, "replace files here that differ from S3", switch=True
)
REGIONS = Flag("--regions", config_keys.REGIONS.kind, "regions by name", "NAME,NAME")
RUNS = Flag("--runs", SWITCH, "records and logs of jobs as well", switch=True)
DRY_RUN = Flag("--dry-run", SWITCH, "print what would be done and write nothing", switch=True)
REGION_FILE_FLAG = Flag(
    "--region-file", where.PATH, "GeoPackage of the regions (default: the project's)", "FILE"
)
SYNTAX = Syntax(
    "towpath glacier pull [sentinel2|landsat|all]",
    f"""
    Fetch results of one satellite, or of all, to BASE_DIR/{STEP_FOLDER}/SATELLITE/.

    What is here is never touched, unless --force-overwrite is given.
    """,
    {
        "what": (REGIONS, EXCLUDE_DOWNLOADS, RUNS, FORCE_OVERWRITE, DRY_RUN, where.OUTPUT),
        "where": (BASE_DIR, where.S3_BUCKET, where.AWS_REGION, where.ENDPOINT_URL),
        "project": (where.PROJECT, where.CONFIG, where.AWS_CONFIG, REGION_FILE_FLAG),
    },
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be pulled, and where to."""

    sources: Sources
    satellites: tuple[SatelliteName, ...]
    base: Path
    wanted: Filter
    replace: bool
    dry_run: bool


def main(argv: Sequence[str]) -> int:
    """Pull, or tell what a pull would do; returns the exit status."""
    asked = _load(argv)
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("glacier")
    reports: list[PullReport] = []

    async def work() -> ExitStatus:
        await _pull(asked, reports)
        good = all(report.is_good for report in reports)
        return ExitStatus.DONE if good else ExitStatus.UNEXPECTED

    try:
        status = run(work)
    finally:
        # Also when it was cut short: what came is here and need not be asked for again.
        if asked.sources.line.get(where.OUTPUT) == "json":
            sys.stdout.write(pulls_to_json(reports))
        else:
            sys.stdout.write("".join(report.to_text() for report in reports))
    return status


async def _pull(asked: Asked, reports: list[PullReport]) -> None:
    from pipelines.glacier.transfer.opening import open_store
    from pipelines.glacier.transfer.pulling import Pull

    storage = resolve_storage(asked.sources)
    found = 0
    async with open_store(asked.sources) as store:
        for satellite in asked.satellites:
            place = S3Uri(storage.s3_bucket, f"{storage.s3_base_path}/{satellite}/")
            folder = asked.base / STEP_FOLDER / satellite
            pull = Pull(store, place, folder)
            items, count = await pull.look(satellite, asked.wanted, replace=asked.replace)
            found += len(items) if asked.wanted.regions is not None else count
            done = None if asked.dry_run else Pulled()
            reports.append(PullReport(satellite, str(folder), items, done))
            if done is not None:
                await pull.carry_out(items, done)
    if not found:
        where_to_look = S3Uri(storage.s3_bucket, f"{storage.s3_base_path}/")
        raise UsageError(f"{where_to_look} has no results of what is asked for")


def _load(argv: Sequence[str]) -> Asked:
    what, flags = _split(argv)
    loaded = load_checked(SYNTAX, flags, Path.cwd())
    line = loaded.sources.line
    wanted = Filter(
        regions=_regions(loaded),
        downloads=not line.get(EXCLUDE_DOWNLOADS),
        runs=bool(line.get(RUNS)),
    )
    satellites = _SATELLITES if what == "all" else (cast("SatelliteName", what),)
    return Asked(
        loaded.sources,
        satellites,
        _base(loaded.sources),
        wanted,
        replace=bool(line.get(FORCE_OVERWRITE)),
        dry_run=bool(line.get(DRY_RUN)),
    )


def _split(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Take the satellite out of the line, wherever it stands, as the old script did."""
    taking = {flag.name for flags in SYNTAX.groups.values() for flag in flags if not flag.switch}
    names = [
        (at, word)
        for at, word in enumerate(argv)
        if not word.startswith("-") and (at == 0 or argv[at - 1] not in taking)
    ]
    if len(names) > 1:
        raise UsageError(f"{names[1][1]!r} is one name too many; give one satellite, or all")
    if not names:
        return "all", list(argv)
    at, what = names[0]
    if what not in {*_SATELLITES, "all"}:
        raise UsageError(f"satellite {what!r} is not known; allowed: sentinel2, landsat or all")
    return what, [*argv[:at], *argv[at + 1 :]]


def _base(sources: Sources) -> Path:
    given = path_of(sources.line, BASE_DIR)
    if given is not None:
        return given
    key = config_keys.BASE_DIR if shutil.which("sbatch") else config_keys.LOCAL_BASE_DIR
    told = sources.config.values.get(key)
    if told is None:
        raise UsageError(f"{sources.config.place(key)} is required; or give {BASE_DIR.name}")
    return Path(told).expanduser()


def _regions(loaded: Loaded) -> dict[str, frozenset[str]] | None:
    names = loaded.sources.line.get(REGIONS)
    if names is None:
        return None
    if not names:
        raise UsageError("--regions names no region; give names, or leave it out for all")
    path = path_of(loaded.sources.line, REGION_FILE_FLAG)
    if path is None and loaded.project is not None:
        path = loaded.project / REGION_FILE
    if path is None:
        raise UsageError("--regions needs the region file; give --region-file, or --project")
    try:
        selected = select_regions(load_regions(path), Selection(tuple(names)))
    except BadSelection as error:
        raise UsageError(str(error)) from error
    warn(SYNTAX, selected.warnings)
    return {region.name: frozenset(region.tiles) for region in selected.regions}
