"""A site's manifest on the local disk; blocks.

| the file                             | is                                                    |
|--------------------------------------|-------------------------------------------------------|
| is not there, or has no bytes        | none: a site whose archive begins                     |
| is a manifest                        | that                                                  |
| is anything else, or cannot be read  | an error: somebody mends it, nothing replaces it      |
"""

from collections.abc import Callable

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.archive.manifest import MANIFEST_BYTES_MAX, Manifest, parse_manifest
from daemons.ingester.mirror.files import read_site_file, write_site_file
from daemons.ingester.syncing.manifests import ManifestUnreadable
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.transfer import no_step
from shared.errors import PermanentError
from shared.files import OutsideRoot


class ManifestTooLarge(PermanentError):
    """A manifest would be larger than any that is read again; it was not written."""


def load_manifest(place: SitePlace) -> Manifest:
    """Return the manifest, an empty one without a header where there is none.

    Raises:
        ManifestUnreadable: there is a file and it cannot be used.
    """
    try:
        body = read_site_file(place, MANIFEST_PATH, MANIFEST_BYTES_MAX)
        return parse_manifest(body) if body else Manifest()
    except (ValueError, OSError, OutsideRoot) as error:
        where = str(place.root / MANIFEST_PATH)
        raise ManifestUnreadable(
            f"the local manifest {where!r} cannot be used: {error}; mend it, nothing was changed"
        ) from error


def has_manifest(place: SitePlace) -> bool:
    """Say whether there is a manifest, one that cannot be read included."""
    try:
        return bool(read_site_file(place, MANIFEST_PATH, 0))
    except (OSError, OutsideRoot):
        return True


def save_manifest(
    place: SitePlace, manifest: Manifest, step: Callable[[str], None] = no_step
) -> None:
    """Replace the manifest durably; a crash leaves the old one or the new one.

    Raises:
        ManifestTooLarge, OutsideRoot, OSError: what was there is there still.
    """
    body = manifest.to_bytes()
    if len(body) > MANIFEST_BYTES_MAX:
        raise ManifestTooLarge(
            f"the manifest of {place.site_id!r} would have {len(body)} bytes; allowed are "
            f"{MANIFEST_BYTES_MAX}: look at its feeds"
        )
    write_site_file(place, MANIFEST_PATH, body, step)
