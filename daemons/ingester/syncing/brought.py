"""Which folders of a site were brought here whole: nothing that S3 had of them was missing here.

What S3 may have is not made anew; on a night when S3 cannot be asked, the last pull is all that is
known of it. The counts of files do not tell: they are known as well after somebody has looked or
uploaded, on a machine that never fetched anything.

| what happens                                   | a folder of that sync is                  |
|------------------------------------------------|-------------------------------------------|
| a pull begins                                  | not whole                                 |
| it ends, nothing failed, no path is only in S3 | whole                                     |
| it ends otherwise, or the process dies         | not whole, until a pull ends well         |
| a look, a plan, a push                         | what it was                               |
| somebody removed the counts of files           | not whole: files are missing, on purpose  |

Rule: in doubt a folder is not whole. That costs a night's work, the other mistake costs money.
Blocks.
"""

import json
from collections.abc import Collection

from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.place import SitePlace
from shared.files import write_durably

_LARGEST_BYTES = 4096


def load_brought(place: SitePlace) -> frozenset[Folder]:
    """Return the folders that are here whole; none where that is not known."""
    try:
        return _noted(place) if place.counts.exists() else frozenset()
    except OSError:
        return frozenset()


def forget_brought(place: SitePlace, folders: Collection[Folder]) -> None:
    """Begin a sync that pulls these folders; durable, so that its first file may be moved then."""
    _save(place, load_brought(place) - frozenset(folders))


def note_brought(place: SitePlace, folders: Collection[Folder]) -> None:
    """Note that a pull has ended and these folders are whole; after the counts were saved."""
    _save(place, load_brought(place) | frozenset(folders))


def _noted(place: SitePlace) -> frozenset[Folder]:
    try:
        with place.brought.open("rb") as stream:
            found = json.loads(stream.read(_LARGEST_BYTES))
        return frozenset(Folder(name) for name in found["folders"])
    except (OSError, ValueError, TypeError, KeyError):
        return frozenset()


def _save(place: SitePlace, folders: frozenset[Folder]) -> None:
    if folders != _noted(place):
        body = json.dumps({"folders": sorted(folder.value for folder in folders)})
        write_durably(place.brought, f"{body}\n".encode())
