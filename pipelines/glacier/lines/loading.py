"""From a command line to its values: reads the line and the project's two files.

No credentials and no network are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.line import parse_line
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project.aws_keys import AWS_KEYS
from pipelines.glacier.project.config_keys import CONFIG_KEYS
from pipelines.glacier.project.ini_files import AWS_CONFIG_PATH, CONFIG_NAME, find_project, load_ini
from pipelines.glacier.values import Values


@dataclass(frozen=True, slots=True)
class Loaded:
    """The line, both files, and the folder they belong to."""

    sources: Sources
    project: Path | None
    """None where no folder holds `config.ini` and none is named."""


def load_sources(syntax: Syntax, argv: Sequence[str], working_folder: Path) -> Loaded:
    """Read the line and the files that it leads to; UsageError.

    What is wrong with a file's values is in its `problems`; the command decides what to do then.
    """
    line = parse_line(syntax, argv)
    config, aws_config = path_of(line, where.CONFIG), path_of(line, where.AWS_CONFIG)
    project = find_project(path_of(line, where.PROJECT), working_folder.absolute())
    if project is None and config is not None:
        project = config.absolute().parent
    sources = Sources(
        line,
        load_ini(config, project and project / CONFIG_NAME, CONFIG_KEYS, flag=where.CONFIG.name),
        load_ini(
            aws_config, project and project / AWS_CONFIG_PATH, AWS_KEYS, flag=where.AWS_CONFIG.name
        ),
    )
    return Loaded(sources, project)


def path_of(line: Values, flag: Flag[str]) -> Path | None:
    """Return the path that a flag gives."""
    given = line.get(flag)
    return None if given is None else Path(given)
