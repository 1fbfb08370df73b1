"""What the uploader needs of the machine it runs on."""

from daemons.uploader.settings import Settings
from shared.lifecycle import CLEAN_UP_SECONDS
from shared.units.needs import UnitNeeds, outermost

_BASE_MEBIBYTES = 512


def unit_needs(settings: Settings) -> UnitNeeds:
    """Return what the uploader needs with these settings.

    It writes in its root alone: files leave it, and a removal that was interrupted is put back.
    """
    return UnitNeeds(
        service="uploader",
        summary="files to S3, and off the disk",
        stop_seconds=settings.grace_seconds + CLEAN_UP_SECONDS,
        writes=outermost([settings.directory, settings.state_directory]),
        memory_max=f"{_BASE_MEBIBYTES + 2 * settings.memory_mebibytes}M",
    )
