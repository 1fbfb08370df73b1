"""Which files of its episodes a site has here, read from the disk; blocks."""

from collections.abc import Callable, Mapping
from pathlib import Path

from daemons.ingester.archive.folders import Folder, episode_path
from daemons.ingester.archive.holdings import PER_EPISODE, Holdings, Identity
from daemons.ingester.syncing.entries import LocalEntry, Problem
from daemons.ingester.syncing.local import list_folder


def read_holdings(
    root: Path, on_problem: Callable[[Problem], None] = lambda _problem: None
) -> Holdings:
    """Return the files of a site's episodes; names that cannot be are handed to `on_problem`.

    Raises:
        LocalListingFailed: a folder cannot be read, so that nothing may be decided about it.
    """
    holdings = Holdings()
    for folder in PER_EPISODE:
        for piece in list_folder(root, folder):
            for entry in piece.entries:
                if entry.size > 0:
                    holdings.add(entry.path, entry.name)
            for problem in piece.problems:
                on_problem(problem)
    return holdings


def read_folder(root: Path, folder: Folder) -> Mapping[Identity, LocalEntry]:
    """Return the files that a folder holds for episodes, in order, those of no bytes left out.

    Raises:
        LocalListingFailed: the folder cannot be read.
    """
    found: dict[Identity, LocalEntry] = {}
    for piece in list_folder(root, folder):
        for entry in piece.entries:
            place = episode_path(entry.path)
            if place is not None and entry.size > 0:
                found[place.podcast_id, place.file_key] = entry
    return found
