"""From a command line to a plan: reads both files and the regions, and asks nobody else.

What it reads lies in the project folder; no credentials and no network are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.glacier.project.aws_keys import AWS_KEYS
from pipelines.glacier.project.config_keys import CONFIG_KEYS
from pipelines.glacier.project.ini_files import AWS_CONFIG_PATH, CONFIG_NAME, find_project, load_ini
from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.regions import BadSelection, select_regions
from pipelines.glacier.submit import flags
from pipelines.glacier.submit.flags import Flag
from pipelines.glacier.submit.line import parse_flags
from pipelines.glacier.submit.plan import Plan, TooManyJobs, build_plan
from pipelines.glacier.submit.resolve import resolve
from pipelines.glacier.submit.routing import TooManyTiles
from pipelines.glacier.submit.sources import Sources
from pipelines.glacier.submit.submission import Digests
from pipelines.glacier.values import Values
from shared.errors import UsageError


@dataclass(frozen=True, slots=True)
class Asked:
    """The line, both files, and the folder they belong to."""

    sources: Sources
    project: Path | None
    """None where no folder holds `config.ini` and none is named."""


def load_asked(argv: Sequence[str], working_folder: Path) -> Asked:
    """Read the line and the files that it leads to; UsageError."""
    line = parse_flags(argv)
    config, aws_config = _path(line, flags.CONFIG), _path(line, flags.AWS_CONFIG)
    project = find_project(_path(line, flags.PROJECT), working_folder.absolute())
    if project is None and config is not None:
        project = config.absolute().parent
    sources = Sources(
        line,
        load_ini(config, project and project / CONFIG_NAME, CONFIG_KEYS, flag=flags.CONFIG.name),
        load_ini(
            aws_config, project and project / AWS_CONFIG_PATH, AWS_KEYS, flag=flags.AWS_CONFIG.name
        ),
    )
    return Asked(sources, project)


def load_plan(asked: Asked, submission_id: str, digests: Digests | None = None) -> Plan:
    """Return the plan of what is asked for; UsageError has a line for each thing that is wrong."""
    submission = resolve(asked.sources, submission_id, digests or Digests())
    regions = load_regions(_region_file(asked))
    try:
        selected = select_regions(regions, submission.selection)
        return build_plan(submission, selected.regions, warnings=selected.warnings)
    except (BadSelection, TooManyTiles, TooManyJobs) as error:
        raise UsageError(str(error)) from error


def _region_file(asked: Asked) -> Path:
    named = _path(asked.sources.line, flags.REGION_FILE)
    if named is not None:
        return named
    if asked.project is None:
        raise UsageError(
            f"no folder from here upwards holds {CONFIG_NAME!r}; give --project, or --region-file"
        )
    return asked.project / REGION_FILE


def _path(line: Values, flag: Flag[str]) -> Path | None:
    given = line.get(flag)
    return None if given is None else Path(given)
