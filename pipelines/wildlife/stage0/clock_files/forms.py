"""Values that stand in several of the files."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")

CameraId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
OFFSET_MAX_SECONDS = 86_400
Offset = Annotated[float, Field(ge=-OFFSET_MAX_SECONDS, le=OFFSET_MAX_SECONDS, allow_inf_nan=False)]
"""Seconds that a clock is ahead."""
LARGE_SECONDS = 3600
"""A clock that is wrong by more than this is worth a warning."""
DEFAULT_ZONE = "Europe/Stockholm"


def find_zone(name: str) -> ZoneInfo:
    """Return a zone by its name; ValueError."""
    try:
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (KeyError, OSError):
        # Names of folders of the zone data raise the latter.
        pass
    raise ValueError("write a time zone as 'Europe/Stockholm' or 'UTC'")


def _known_zone(name: str) -> str:
    find_zone(name)
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]
