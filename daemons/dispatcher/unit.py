"""What the dispatcher needs of the machine it runs on."""

from daemons.dispatcher.settings import Settings
from shared.lifecycle import CLEAN_UP_SECONDS
from shared.units.needs import UnitNeeds, outermost


def unit_needs(settings: Settings) -> UnitNeeds:
    """Return what the dispatcher needs with these settings.

    The ledger's folder is written in, not the ledger alone: it is made there, and an editor
    replaces it. Chunks and answers are only looked at.
    """
    root = settings.root
    ledger = (root / settings.ledger).parent
    return UnitNeeds(
        service="dispatcher",
        summary="chunks of positions to jobs in S3",
        stop_seconds=settings.grace_seconds + CLEAN_UP_SECONDS,
        writes=outermost([ledger, root / settings.staging, settings.state_directory]),
        reads=(root, root / settings.positions),
        memory_max="90%",
        tasks_max=2048,
        umask="0022",
        runs_steps=True,
    )
