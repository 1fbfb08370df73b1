"""One phase of a run alone, for chosen sites: the run's own here, or its function in the cloud.

| `--env` | who does it                              | as whom                                    |
|---------|------------------------------------------|--------------------------------------------|
| `local` | this process, as in a run                | nobody in AWS; a recogniser may want a key |
| `prod`  | the site's function, which is waited for | the profile in the site's `.env.aws-sso`,  |
|         |                                          | else the automation role                   |

The automation role may invoke the functions that build and serve the index, and no others: whoever
has feeds fetched or audio transcribed in the cloud does so as a person.
"""

import argparse
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from daemons.ingester.commands.call import Call, Verb, add_format, read_call, run_command
from daemons.ingester.phases.outcome import Phase
from daemons.ingester.runs.results import RunResult
from daemons.ingester.runs.summary import summary_lines
from daemons.ingester.settings import Settings
from shared.checks import shown
from shared.errors import ExitStatus, UsageError

# The rest is imported where it is used: the SDK and the recognisers take a second to load, and
# --help and errors of usage do not wait for them.
# ruff: noqa: PLC0415

_SKIPS: Mapping[Phase, str] = {
    Phase.RSS: "skip_rss_retrieval",
    Phase.AUDIO: "skip_audio_processing",
    Phase.SEARCH_ENTRIES: "skip_search_entries",
}
"""The phases that need nothing of a site's account, and the settings that leave them out."""


@dataclass(frozen=True, slots=True)
class Step:
    """A phase that can be had alone."""

    verb: Verb
    phase: Phase
    function: str
    """What its function is called in the cloud, before the site's id."""
    after: Callable[[Call], Awaitable[ExitStatus]] | None = None
    """What is done here behind the phase."""


def run_step(step: Step, argv: Sequence[str]) -> int:
    """Run the command of a step with these arguments."""
    call = read_call(step.verb, argv, _add_flags)
    if call.arguments.env == "local":
        return run_command(partial(_here, step, call))
    if call.arguments.dry_run:
        raise UsageError("--dry-run goes with --env=local; a function cannot be told to do nothing")
    from daemons.ingester.commands.cloud import invoke_at_sites

    return run_command(partial(invoke_at_sites, call, step.function, call.project()))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--env",
        choices=("local", "prod"),
        default="local",
        help="who does it: this process, or each site's function in the cloud; default: local",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    add_format(parser)


async def _here(step: Step, call: Call) -> ExitStatus:
    """Do a run that consists of one phase: the same locks, the same limits, the same result."""
    from daemons.ingester.service import Ingester, Surroundings
    from shared.lifecycle import Control
    from shared.systemd import Notifier

    async def write(result: RunResult) -> None:
        if call.arguments.format == "json":
            sys.stdout.write(json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n")
            return
        for site in result.sites:
            sys.stdout.write("".join(f"{site.site_id}\t{shown(line)}\n" for line in site.planned))
        sys.stdout.writelines(f"{line}\n" for line in summary_lines(result))

    surroundings = Surroundings(call.state, os.environ, write, dry_run=call.arguments.dry_run)
    settings = only(step.phase, call.settings)
    result = await Ingester(settings, surroundings, Control(Notifier({}))).run_once()
    if step.after is None or result.interrupted:
        return result.status
    return max(result.status, await step.after(call))


def only(phase: Phase, settings: Settings) -> Settings:
    """Return settings with which a run does this phase and no other."""
    skips = {name: each is not phase for each, name in _SKIPS.items()}
    corrects = phase is Phase.AUDIO and settings.reapply_spelling_corrections
    alone = {"local_only": True, "reapply_spelling_corrections": corrects, **skips}
    return settings.model_copy(update=alone)
