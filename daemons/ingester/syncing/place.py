"""Where a site's files are, and whether they are all still there.

An archive that is suddenly empty is a drive that is not mounted far more often than a wish: going
on would download everything again onto the wrong disk. So the number of files of each folder is
remembered in the state folder.

| files here now          | remembered              | verdict                                 |
|-------------------------|-------------------------|-----------------------------------------|
| none, or no folder      | none: a first run       | go on: everything is downloaded         |
| none, or no folder      | some                    | stop                                    |
| none in one folder      | ten or more in it       | stop: that one may be a mount of its own|
| anything else           | -                       | go on                                   |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.local import list_folder
from shared.errors import ExitStatus, PermanentError
from shared.files import make_folders, write_durably

FEW_FILES = 10
"""So many files of one folder that they were not removed one by one."""


class LocalFilesMissing(PermanentError):
    """Files that were there are not; the drive may not be mounted."""

    status = ExitStatus.USAGE


@dataclass(frozen=True, slots=True)
class SitePlace:
    """Where one site lives, here and in S3."""

    site_id: str
    bucket: str
    root: Path
    """`{data}/s3/sites/{site}`."""
    work: Path
    """A folder of this site's own for unfinished files, on the same file system; never synced."""
    state: Path
    """A folder of this site's own for what only saves work, and for the counts."""

    @property
    def downloads(self) -> Path:
        """A folder of this site's own for unfinished audio, which outlasts a run; never synced."""
        return self.work.parent.parent / "audio" / self.site_id

    @property
    def proofs(self) -> Path:
        """The file of `proofs.Proofs`."""
        return self.state / "proofs.sqlite"

    @property
    def counts(self) -> Path:
        """The file of the counts."""
        return self.state / "files.json"

    @property
    def brought(self) -> Path:
        """The file of `brought`."""
        return self.state / "brought.json"


def site_place(site_id: str, bucket: str, data: Path, state: Path) -> SitePlace:
    """Lay out a site below the data folder and the state folder of the service."""
    return SitePlace(
        site_id,
        bucket,
        data / "s3" / "sites" / site_id,
        data / "work" / "sync" / site_id,
        state / "sync" / site_id,
    )


def prepare_place(place: SitePlace, *, moving: bool = True) -> None:
    """Make the site's folders, and remove what a killed run has left in its work folder.

    Who moves nothing needs a state folder and leaves the data alone.
    """
    make_folders(place.state)
    if not moving:
        return
    for folder in (place.root, place.work):
        make_folders(folder)
    for leftover in place.work.iterdir():
        leftover.unlink()


def require_files(place: SitePlace) -> None:
    """Stop where files that were there are gone.

    Raises:
        LocalFilesMissing: the message says what was there and what to do.
        LocalListingFailed: a folder cannot be read.
    """
    remembered = load_counts(place)
    gone = [folder for folder in remembered if not _has_files(place.root, folder)]
    if remembered and len(gone) == len(remembered):
        total = sum(remembered.values())
        raise LocalFilesMissing(_message(place, str(place.root), total))
    for folder in gone:
        if remembered[folder] >= FEW_FILES:
            where = str(place.root / folder.value)
            raise LocalFilesMissing(_message(place, where, remembered[folder]))


def load_counts(place: SitePlace) -> Mapping[Folder, int]:
    """Return how many files each folder had, folders without any left out."""
    try:
        found = json.loads(place.counts.read_bytes())
        return {Folder(name): int(count) for name, count in found.items() if int(count) > 0}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise LocalFilesMissing(
            f"{str(place.counts)!r} cannot be read: {error}; look whether the files of "
            f"{str(place.root)!r} are all there, and remove it"
        ) from error


def save_counts(place: SitePlace, counts: Mapping[Folder, int]) -> None:
    """Remember how many files the named folders have; the others stay as they were."""
    before = load_counts(place)
    after = {folder: count for folder, count in {**before, **counts}.items() if count > 0}
    if after != before:
        body = json.dumps({folder.value: count for folder, count in after.items()}, indent=2)
        write_durably(place.counts, f"{body}\n".encode())


def _has_files(root: Path, folder: Folder) -> bool:
    pieces = list_folder(root, folder)
    return any(entry.size > 0 for piece in pieces for entry in piece.entries)


def _message(place: SitePlace, where: str, count: int) -> str:
    files = "1 file" if count == 1 else f"{count} files"
    return (
        f"{where!r} held {files} and holds none now; mount the drive, or remove "
        f"{str(place.counts)!r} to download them again"
    )
