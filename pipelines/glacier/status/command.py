"""The command `towpath glacier status`: reads records, prints them, and no decisions.

Exit statuses: 0 all is well · 1 a job has failed · 2 bad input, or no record was found.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pipelines.glacier.lines import where
from pipelines.glacier.lines.connection import client_settings
from pipelines.glacier.lines.loading import load_sources
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.storage import Storage, resolve_storage
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.status import flags
from pipelines.glacier.status.board import FAILED, JobRow
from pipelines.glacier.status.lines import render_json, render_text
from pipelines.glacier.status.surveying import READS_AT_ONCE, Which, survey
from shared.aws.clients import open_clients
from shared.errors import ExitStatus, UsageError
from shared.lifecycle import run
from shared.log import configure_logging
from shared.s3.client import EngineSettings, S3Client

SUMMARY = "show how the jobs of a bucket are doing, and what sends failed ones again"

_BOTH: tuple[SatelliteName, ...] = ("sentinel2", "landsat")


def main(argv: Sequence[str]) -> int:
    """Print the jobs that are asked about; returns the exit status."""
    sources = load_sources(flags.SYNTAX, argv, Path.cwd()).sources
    problems = (*sources.config.problems, *sources.aws.problems)
    if problems:
        raise UsageError("\n".join(problems))
    for flag in (flags.REGIONS, flags.JOBS):
        # An unset variable of a script would stand for every job.
        if sources.line.get(flag) == ():
            raise UsageError(f"{flag.name} names nothing; give names, or leave it out for all")
    for warning in dict.fromkeys((*sources.config.warnings, *sources.aws.warnings)):
        sys.stderr.write(f"towpath glacier status: warning: {warning}\n")
    configure_logging("glacier", level="warning")
    storage = resolve_storage(sources)
    rows = _look(sources, storage)
    place = f"s3://{storage.s3_bucket}/{storage.s3_base_path}/"
    if not rows:
        raise UsageError(f"no job that is asked about has a record below {place!r}")
    only_failed = bool(sources.line.get(flags.FAILED))
    shown = [row for row in rows if row.status in FAILED] if only_failed else rows
    as_json = sources.line.get(where.OUTPUT) == "json"
    sys.stdout.write(
        render_json(shown, place) if as_json else render_text(shown, repeat=only_failed)
    )
    failed = any(row.status in FAILED for row in rows)
    return ExitStatus.UNEXPECTED if failed else ExitStatus.DONE


def _look(sources: Sources, storage: Storage) -> list[JobRow]:
    rows: list[JobRow] = []

    async def look() -> ExitStatus:
        async with open_clients(client_settings(sources)) as clients:
            store = S3Client(clients, EngineSettings(in_flight=READS_AT_ONCE), journal=None)
            try:
                rows.extend(await survey(store, storage, _which(sources)))
            finally:
                await store.aclose()
        return ExitStatus.DONE

    run(look)
    return rows


def _which(sources: Sources) -> Which:
    line = sources.line
    satellite = line.get(flags.SATELLITE) or "all"
    one = line.get(flags.REGION)
    regions = frozenset((*(line.get(flags.REGIONS) or ()), *((one,) if one else ())))
    return Which(
        _BOTH if satellite == "all" else (cast("SatelliteName", satellite),),
        regions=regions,
        jobs=frozenset(line.get(flags.JOBS) or ()),
        since=line.get(flags.SINCE),
    )
