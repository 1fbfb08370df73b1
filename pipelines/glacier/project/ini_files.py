"""Where a project's configuration files lie, and their content.

The default files are looked up from the project's root, never from the working folder itself: a
command that is started somewhere else would silently work with other settings.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from pipelines.glacier.project.ini_text import IniText, Key, parse_ini
from pipelines.glacier.values import Values
from shared.errors import UsageError

CONFIG_NAME = "config.ini"
AWS_CONFIG_PATH = Path("aws/config/aws_config.ini")
_BYTES_MAX = 1 << 20


def find_project(named: Path | None, start: Path) -> Path | None:
    """Return the project's root: the named one, else the nearest folder from `start` upwards that
    holds `config.ini`, else None.

    Raises:
        UsageError: the named one is no folder.
    """
    if named is not None:
        if not named.is_dir():
            raise UsageError(f"--project {str(named)!r} is no folder; name the project's root")
        return named
    above = (start, *start.parents)
    return next((folder for folder in above if (folder / CONFIG_NAME).is_file()), None)


def load_ini(
    named: Path | None, default: Path | None, keys: Sequence[Key[object]], *, flag: str
) -> IniText:
    """Read the named file, else the default one; UsageError.

    | named | default | then                                      |
    |-------|---------|-------------------------------------------|
    | there |         | it is read                                |
    | not   |         | UsageError                                |
    |       | no file | UsageError                                |
    |       | there   | it is read                                |
    |       | not     | no values, and a warning that tells where |
    """
    path = named or default
    if path is None:
        warning = f"no project folder holds a {CONFIG_NAME}; defaults are used, see --project"
        return IniText(Values({}), flag, warnings=(warning,))
    label = repr(str(path))
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise UsageError(f"configuration file {label} cannot be read: {error.strerror}") from error
    if content is None:
        if named is not None:
            raise UsageError(f"{flag} {label} is not there; name a file")
        if os.path.lexists(path):
            # Whoever put it there believes that it is read.
            raise UsageError(f"configuration file {label} is no file; put one there, or remove it")
        warning = f"{label} is not there; defaults are used, see {flag} and --project"
        return IniText(Values({}), label, warnings=(warning,))
    if len(content) > _BYTES_MAX:
        raise UsageError(f"configuration file {label} is larger than {_BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"configuration file {label} is not UTF-8 at byte {error.start}"
        raise UsageError(message) from error
    return parse_ini(text, keys, label)
