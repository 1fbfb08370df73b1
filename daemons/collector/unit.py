"""What the collector needs of the machine it runs on."""

from daemons.collector.settings import Settings
from shared.lifecycle import CLEAN_UP_SECONDS
from shared.units.needs import UnitNeeds, outermost


def unit_needs(settings: Settings) -> UnitNeeds:
    """Return what the collector needs with these settings.

    The ledger's folder is written in, not the ledger alone: it is made there, and an editor
    replaces it.
    """
    root = settings.root
    return UnitNeeds(
        service="collector",
        summary="results from S3 to the central folder",
        stop_seconds=settings.grace_seconds + CLEAN_UP_SECONDS,
        writes=outermost(
            [
                (root / settings.ledger).parent,
                root / settings.inbox,
                root / settings.central,
                settings.state_directory,
            ]
        ),
        reads=(root,),
        memory_max="2048M",
        umask="0022",
    )
