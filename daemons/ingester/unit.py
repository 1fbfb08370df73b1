"""What the ingester needs of the machine it runs on."""

from pathlib import Path

from daemons.ingester.project.files import read_variables
from daemons.ingester.project.mappings import find_data_folder
from daemons.ingester.settings import Settings
from shared.lifecycle import CLEAN_UP_SECONDS
from shared.units.needs import UnitNeeds, outermost

_MODELS = ("WHISPER_CPP_PATH", "FASTER_WHISPER_MODEL")
"""Variables of `.env.local` that name folders."""
_ENDS = (
    (1, "the run is over, and the next one tries what failed"),
    (2, "the configuration is wrong"),
    (3, "another run is under way"),
)
"""Exit statuses of one run."""


def unit_needs(settings: Settings) -> UnitNeeds:
    """Return what the ingester needs with these settings; UsageError as a run would have it.

    It writes below the data folder, wherever the project's `.local-files-config.json` has it. A
    model of speech is read where `.env.local` says.
    """
    root = settings.root
    summary = settings.json_summary
    variables = read_variables(root / ".env.local")
    models = [root / Path(variables[name]).expanduser() for name in _MODELS if name in variables]
    return UnitNeeds(
        service="ingester",
        summary="podcast sites in step with S3",
        stop_seconds=settings.grace_seconds + CLEAN_UP_SECONDS,
        writes=outermost(
            [
                find_data_folder(root),
                settings.state_directory,
                None if summary is None else summary.parent,
            ]
        ),
        reads=(root, *models),
        memory_max="90%",
        tasks_max=2048,
        umask="0022",
        runs_steps=True,
        schedule=None if settings.schedule else settings.timer,
        # A crash of one that runs on is mended by starting it again.
        ends=_ENDS[1:] if settings.schedule else _ENDS,
    )
