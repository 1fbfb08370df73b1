"""From what a line and both files say to a plan: reads the regions and the project, and asks nobody
else.

What it reads lies in the project folder; no credentials and no network are needed.
"""

from dataclasses import replace
from pathlib import Path

from pipelines.glacier.lines.loading import Loaded, path_of
from pipelines.glacier.project.ini_files import CONFIG_NAME
from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.regions import BadSelection, select_regions
from pipelines.glacier.submit import flags
from pipelines.glacier.submit.plan import OverBudget, Plan, TooManyJobs, build_plan
from pipelines.glacier.submit.resolve import resolve
from pipelines.glacier.submit.routing import TooManyTiles
from pipelines.glacier.submit.submission import Digests
from pipelines.glacier.targets.state_machine_input import TooLargeRun
from pipelines.glacier.transfer.digests import local_digests
from pipelines.glacier.transfer.local_project import BadProject
from pipelines.glacier.transfer.rule_flags import rules_of
from shared.errors import UsageError


def load_plan(asked: Loaded, submission_id: str) -> Plan:
    """Return the plan of what is asked for; UsageError has a line for each thing that is wrong."""
    submission = resolve(asked.sources, submission_id)
    regions = load_regions(_region_file(asked))
    try:
        selected = select_regions(regions, submission.selection)
        digests, told = _digests(asked)
        return build_plan(
            replace(submission, digests=digests),
            selected.regions,
            warnings=(*selected.warnings, *told),
        )
    except (BadSelection, TooManyTiles, TooManyJobs, TooLargeRun, OverBudget) as error:
        raise UsageError(str(error)) from error


def _digests(asked: Loaded) -> tuple[Digests, list[str]]:
    """Return what a handler compares its project with, and why there is nothing to compare."""
    if asked.project is None:
        return Digests(), []
    try:
        found = local_digests(asked.project, rules_of(asked.sources.aws))
    except BadProject as error:
        first = str(error).splitlines()[0]
        return Digests(), [f"no job can tell whether its code is this project's: {first}"]
    return Digests(found.project, found.config), []


def _region_file(asked: Loaded) -> Path:
    named = path_of(asked.sources.line, flags.REGION_FILE)
    if named is not None:
        return named
    if asked.project is None:
        raise UsageError(
            f"no folder from here upwards holds {CONFIG_NAME!r}; give --project, or --region-file"
        )
    return asked.project / REGION_FILE
