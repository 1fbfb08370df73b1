"""Small files of a site's mirror, written whole or not at all; blocks.

Rule: what is unfinished lies in the site's work folder and never in the mirror, which is synced.
"""

import secrets
from collections.abc import Callable

from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.transfer import no_step
from shared.files import contained, fsync_directory, make_folders, write_durably


def read_site_file(place: SitePlace, path: str, bytes_max: int) -> bytes:
    """Return the first bytes of a file, one more than `bytes_max` at most; none without a file.

    Raises:
        OutsideRoot, OSError: it cannot be read.
    """
    try:
        with contained(place.root, path).open("rb") as stream:
            return stream.read(bytes_max + 1)
    except FileNotFoundError:
        return b""


def write_site_file(
    place: SitePlace, path: str, body: bytes, step: Callable[[str], None] = no_step
) -> None:
    """Replace a file of the mirror durably; a crash leaves the old one or the new one.

    Raises:
        OutsideRoot, OSError: what was there is there still.
    """
    target = contained(place.root, path)
    make_folders(target.parent)
    make_folders(place.work)
    arrived = place.work / secrets.token_hex(8)
    try:
        write_durably(arrived, body)
        step("file_written")
        arrived.replace(target)
    finally:
        arrived.unlink(missing_ok=True)
    fsync_directory(target.parent)
