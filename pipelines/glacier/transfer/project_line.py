"""From the line of sync or verify to the project that it is about; no network."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.glacier.lines.loading import Loaded, load_sources
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project.ini_files import CONFIG_NAME
from pipelines.glacier.transfer.excludes import Rules
from pipelines.glacier.transfer.rule_flags import EXPECTED_REGIONS, REGIONS_OF_GREENLAND, rules_of
from shared.errors import UsageError


@dataclass(frozen=True, slots=True)
class AskedProject:
    """The project, and what belongs to it."""

    sources: Sources
    root: Path
    rules: Rules
    regions: int
    """How many the region file has."""


def load_project_line(syntax: Syntax, argv: Sequence[str], working_folder: Path) -> AskedProject:
    """Read the line and both files; UsageError."""
    loaded = load_checked(syntax, argv, working_folder)
    line = loaded.sources.line
    if loaded.project is None:
        raise UsageError(f"no folder from here upwards holds {CONFIG_NAME!r}; give --project")
    return AskedProject(
        loaded.sources,
        loaded.project,
        rules_of(loaded.sources.aws, line),
        line.get(EXPECTED_REGIONS) or REGIONS_OF_GREENLAND,
    )


def load_checked(syntax: Syntax, argv: Sequence[str], working_folder: Path) -> Loaded:
    """Read the line and both files, print their warnings; UsageError for each mistake in them."""
    loaded = load_sources(syntax, argv, working_folder)
    config, aws = loaded.sources.config, loaded.sources.aws
    if problems := (*config.problems, *aws.problems):
        raise UsageError("\n".join(problems))
    warn(syntax, (*config.warnings, *aws.warnings))
    return loaded


def warn(syntax: Syntax, warnings: Sequence[str]) -> None:
    """Print what is only odd."""
    program = syntax.program.partition(" [")[0]
    sys.stderr.write("".join(f"{program}: warning: {each}\n" for each in dict.fromkeys(warnings)))
