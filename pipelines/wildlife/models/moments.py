"""Times and positions as they are written down. Pure."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer


def in_utc(moment: datetime) -> datetime:
    """Return the same moment in UTC."""
    return moment.astimezone(UTC)


def write_moment(moment: datetime) -> str:
    """Return a moment as `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`."""
    return in_utc(moment).isoformat().removesuffix("+00:00") + "Z"


Moment = Annotated[AwareDatetime, AfterValidator(in_utc), PlainSerializer(write_moment, str)]
"""A time with its zone, held in UTC and written with a `Z`."""
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
"""Degrees, north positive, WGS 84."""
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
"""Degrees, east positive, WGS 84."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""From 0 to 1."""
