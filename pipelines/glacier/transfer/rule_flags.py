"""The flags that sync and verify share, and what they and `aws_config.ini` leave out or take. Pure.

What every sync of a project leaves out belongs into the file: there a submission finds it as well,
whose digests are to be those of the sync.
"""

from typing import Final

from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.project import aws_keys
from pipelines.glacier.project.ini_text import IniText
from pipelines.glacier.transfer.excludes import Rules
from pipelines.glacier.values import Values, whole

EXCLUDE: Final = Flag(
    "--exclude",
    aws_keys.SYNC_EXCLUDE.kind,
    "leave these out besides; a name stands for any depth, a path for one from the root",
    "PATTERN,PATTERN",
)
INCLUDE: Final = Flag(
    "--include",
    aws_keys.SYNC_INCLUDE.kind,
    "take these in spite of all but the guard of secrets",
    "PATTERN,PATTERN",
)
EXPECTED_REGIONS: Final = Flag(
    "--expected-regions", whole(1, 10_000), "regions of the region file (default: 192)", "N"
)
REGIONS_OF_GREENLAND: Final = 192


def rules_of(aws: IniText, line: Values | None = None) -> Rules:
    """Return what belongs to the project by `aws_config.ini`, and by the line if there is one."""
    given = Values({}) if line is None else line
    return Rules(
        excludes=(*(aws.values.get(aws_keys.SYNC_EXCLUDE) or ()), *(given.get(EXCLUDE) or ())),
        includes=(*(aws.values.get(aws_keys.SYNC_INCLUDE) or ()), *(given.get(INCLUDE) or ())),
    )
