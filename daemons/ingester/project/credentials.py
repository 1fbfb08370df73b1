"""The keys of the automation user, from `.env.automation`, else from the environment.

Rule: what is secret is in no message and in no `repr`. A message names the variable and the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemons.ingester.project.files import read_variables
from shared.errors import UsageError

FILE_NAME = ".env.automation"
_KEY_ID = "AWS_ACCESS_KEY_ID"
_SECRET = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
_REGION = "AWS_REGION"
_PROFILE = "SCHEDULED_RUN_MAIN_AWS_PROFILE"


@dataclass(frozen=True, slots=True)
class AutomationKeys:
    """Long-lived keys that may do nothing but assume the roles of the sites."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    aws_region: str
    """Of STS, S3 and Lambda."""
    profile: str = ""
    """Informational."""


def load_automation_keys(root: Path, environ: Mapping[str, str]) -> AutomationKeys:
    """Return the keys; what the file does not give, the environment may.

    Raises:
        UsageError: one line for each variable that is missing or cannot be one.
    """
    path = root / FILE_NAME
    written = read_variables(path)

    def value(name: str) -> str:
        return written.get(name, "") or environ.get(name, "").strip()

    problems = [
        f"{name} is missing; write it into {str(path)!r} or set it in the environment"
        for name in (_KEY_ID, _SECRET, _REGION)
        if not value(name)
    ]
    problems += [
        f"{name} in {str(path)!r} or the environment is not one plain word; paste it anew"
        for name in (_KEY_ID, _SECRET, _REGION)
        if value(name) and not _is_one_word(value(name))
    ]
    if problems:
        raise UsageError("\n".join(problems))
    return AutomationKeys(value(_KEY_ID), value(_SECRET), value(_REGION), value(_PROFILE))


def _is_one_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
