"""All of a CID in one command, so that a container can do it: places are paths or `s3://` URIs.

Rule: nothing that is there already is overwritten by anything else; the same content is left alone,
so that a job may be repeated.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.neowise.closest import write_closest
from pipelines.neowise.columns import seed_path
from pipelines.neowise.disk import told_about
from pipelines.neowise.places import deliver, fetch_object, fetch_seeds
from pipelines.neowise.positions import load_positions
from pipelines.neowise.search import search
from pipelines.neowise.seeds import write_seed
from pipelines.neowise.settings import Settings

log: FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """One CID, where its input is and where its results go."""

    cid: str
    source: str
    is_csv: bool
    out: str
    row_id_float: bool = True
    work_folder: Path | None = None
    """Kept, so that a killed run goes on; None: a temporary folder that is removed."""


def process(job: Job, settings: Settings) -> list[str]:
    """Do all steps of a CID and return where its table and report are."""
    with ExitStack() as stack:
        work = job.work_folder or Path(stack.enter_context(_temporary_folder()))
        seeds = _seeds_of(job, work, settings)
        found = search(settings, load_positions(seeds), work / "out")
        log.info("sidecar_written", cid=job.cid, positions=found.positions, matched=found.matched)
        (written,) = write_closest(
            found.path, seeds, work / "out", cid=job.cid, row_id_float=job.row_id_float
        )
        places = deliver((written.table, written.report), job.out, settings)
    log.info("closest_delivered", cid=job.cid, rows=written.rows, out=job.out)
    return places


def _temporary_folder() -> TemporaryDirectory[str]:
    with told_about(Path(os.environ.get("TMPDIR") or "/tmp"), "written"):  # noqa: S108 - for the message
        return TemporaryDirectory(prefix="towpath-neowise-")


def _seeds_of(job: Job, work: Path, settings: Settings) -> Path:
    """Return the folder of the CID's own seeds, made or fetched where it has to be."""
    fetched = work / "fetched"
    if job.is_csv:
        chunk = fetch_object(job.source, fetched, settings)
        return write_seed(chunk, job.cid, work / "optical_seeds").path.parent
    folder = fetch_seeds(job.source, fetched, settings)
    own = folder / Path(seed_path(job.cid)).parent
    return own if own.is_dir() else folder
