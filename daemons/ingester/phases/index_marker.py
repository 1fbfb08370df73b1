"""The notes of what is owed once a site's files were uploaded: an index, and caches that forget.

They are written before the first counted file is uploaded, and go once somebody has accepted.
Without them what failed, or was killed, would never be repeated: the next run has nothing to upload
and so no reason. These calls block.
"""

import json
from pathlib import Path

from shared.files import fsync_directory, make_folders, write_durably

_LONGEST = 64 * 1024


class PendingMarker:
    """A file that is there as long as something is due."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_set(self) -> bool:
        """Say whether it is due; a file that says nothing is a marker too."""
        return self._path.is_file()

    def reason(self) -> str:
        """Return why it was set, empty where that is not known or it is not set."""
        try:
            with self._path.open("rb") as stream:
                found = json.loads(stream.read(_LONGEST))
        except (OSError, ValueError, RecursionError):
            return ""
        said = found.get("reason", "") if isinstance(found, dict) else ""
        return said if isinstance(said, str) else ""

    def set(self, reason: str) -> None:
        """Note durably that it is due; what an earlier run has noted stays.

        Raises:
            OSError: it cannot be written; nothing that counts may be uploaded then.
        """
        if self.is_set():
            return
        make_folders(self._path.parent)
        body = json.dumps({"reason": reason}, ensure_ascii=False)
        write_durably(self._path, f"{body}\n".encode())

    def clear(self) -> None:
        """Note durably that nothing is due any more."""
        self._path.unlink(missing_ok=True)
        if self._path.parent.is_dir():
            fsync_directory(self._path.parent)


def pending_marker(state: Path, site_id: str) -> PendingMarker:
    """Return the marker of a site's index, below the state folder of the service."""
    return PendingMarker(state / "pending" / f"{site_id}.json")


def stale_marker(state: Path, site_id: str) -> PendingMarker:
    """Return the marker of a site whose distribution may still have files of before."""
    return PendingMarker(state / "stale" / f"{site_id}.json")
