"""The project of a run: the one that is on this machine, or the one that the bucket holds.

Rule: the project is known before anything of it runs, and it is the one that the submitter saw, or
somebody has said that another one will do.
"""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.regions import Region
from pipelines.glacier.run.request import RunRequest
from pipelines.glacier.run.settings import RunSettings
from pipelines.glacier.transfer.loading import load_project
from shared.errors import TransientError
from shared.s3.store import ObjectStore

_PLACES = 8
"""Runs beside one another on one machine, each with a copy of its own."""


class NoPlace(TransientError):
    """Every folder for the project is in use."""


@dataclass(frozen=True, slots=True)
class ProjectHere:
    """A project that can be run."""

    root: Path
    region_file: Path
    digest: str
    """Empty where nobody has said what the image was made from."""
    config_sha256: str
    fetched: int = 0
    """Files that were brought from the bucket."""

    async def regions(self) -> tuple[Region, ...]:
        """Return its regions; UsageError."""
        return await to_thread.run_sync(load_regions, self.region_file)


@asynccontextmanager
async def open_project(
    settings: RunSettings, store: ObjectStore, bucket: str
) -> AsyncIterator[ProjectHere]:
    """Have the project here for the length of a block; ProjectGap, `shared.s3.errors`, OSError."""
    root = Path(settings.project_root)
    if settings.mode == "image":
        yield _here(settings, root, settings.project_digest, settings.config_sha256)
        return
    with _own_place(root) as folder:
        loaded = await load_project(store, bucket, folder, prefix=f"{settings.project_prefix}/")
        yield _here(settings, folder, loaded.digest, loaded.config_sha256, loaded.fetched)


def compare(request: RunRequest, project: ProjectHere) -> tuple[list[str], list[str]]:
    """Return what shows that the project is another one, and what cannot be told."""
    differing, unknown = [], []
    for name, asked, here in (
        ("project_digest", request.project_digest, project.digest),
        ("config_sha256", request.config_sha256, project.config_sha256),
    ):
        if asked and not here:
            unknown.append(f"{name} of what runs here is not known; it cannot be compared")
        elif asked and asked != here:
            differing.append(f"{name} here is {here!r}, the submitter's is {asked!r}")
    return differing, unknown


def _here(
    settings: RunSettings, root: Path, digest: str, config_sha256: str, fetched: int = 0
) -> ProjectHere:
    region_file = Path(settings.region_file) if settings.region_file else root / REGION_FILE
    return ProjectHere(root, region_file, digest, config_sha256, fetched)


@contextmanager
def _own_place(root: Path) -> Iterator[Path]:
    """Return the first of a few folders that no other run uses; the same one when it is warm."""
    root.parent.mkdir(parents=True, exist_ok=True)
    for number in range(_PLACES):
        folder = root if number == 0 else root.with_name(f"{root.name}-{number}")
        lock = folder.with_name(f"{folder.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        try:
            yield folder
        finally:
            os.close(descriptor)
        return
    raise NoPlace(f"all {_PLACES} folders beside {str(root)!r} are in use; try again later")
