"""`towpath ingester process-audio`: phase 2 alone."""

from collections.abc import Sequence

from daemons.ingester.commands.call import Verb
from daemons.ingester.commands.steps import Step, run_step
from daemons.ingester.phases.outcome import Phase

SUMMARY = "transcribe alone"

_STEP = Step(
    Verb(
        "process-audio",
        """Transcribe what has no transcript yet, alone, here or in the cloud.

        Here it is the run's own phase, which does not look into S3: bring here first what is there
        (`towpath ingester sync --direction pull`), lest it be made again. With --env=prod the
        site's function whisper-transcription-SITE is invoked and waited for.
        """,
        (
            "transcribe_limit",
            "only_episode",
            "reapply_spelling_corrections",
            "transcriptions_at_once",
            "speech_seconds_least",
            "speech_factor",
            "sites_at_once",
        ),
    ),
    Phase.AUDIO,
    "whisper-transcription",
)


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester process-audio` with these arguments."""
    return run_step(_STEP, argv)
