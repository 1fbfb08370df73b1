"""`towpath ingester rss-retrieval`: phase 1 alone."""

from collections.abc import Sequence

from daemons.ingester.commands.call import Verb
from daemons.ingester.commands.steps import Step, run_step
from daemons.ingester.phases.outcome import Phase

SUMMARY = "fetch feeds and audio alone"

_STEP = Step(
    Verb(
        "rss-retrieval",
        """Fetch feeds and audio alone, here or in the cloud.

        Here it is the run's own phase, which does not look into S3: bring here first what is there
        (`towpath ingester sync --direction pull`), lest it be fetched again. With --env=prod the
        site's function rss-retrieval-SITE is invoked and waited for.
        """,
        ("max_episodes", "user_agent", "allow_networks", "sites_at_once"),
    ),
    Phase.RSS,
    "rss-retrieval",
)


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester rss-retrieval` with these arguments."""
    return run_step(_STEP, argv)
