"""What a watcher needs of the machine it runs on."""

from pathlib import Path

from daemons.watcher.settings import Settings
from shared.lifecycle import CLEAN_UP_SECONDS
from shared.units.needs import UnitNeeds, outermost


def unit_needs(settings: Settings) -> UnitNeeds:
    """Return what one watcher needs with these settings.

    The ledger's folder is written in, not the ledger alone: it is made there, and an editor
    replaces it. A catalogue on this disk is only read.
    """
    root = settings.root
    catalogue = settings.catalogue
    is_folder = bool(catalogue) and "://" not in catalogue
    return UnitNeeds(
        service="watcher",
        summary="jobs in S3 to committed results",
        stop_seconds=settings.grace_seconds + CLEAN_UP_SECONDS,
        writes=outermost(
            [
                (root / settings.ledger).parent,
                root / settings.work_directory,
                settings.state_directory,
            ]
        ),
        reads=(root, *([root / Path(catalogue)] if is_folder else [])),
        memory_max="90%",
        tasks_max=4096,
        umask="0022",
        runs_steps=True,
        several=True,
    )
