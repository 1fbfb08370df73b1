"""Where the sun stands, by which sightings are told apart into day, twilight and night. Pure.

A few terms of the usual series: good to a fraction of a degree between 1950 and 2050, which is far
less than a hill at the horizon takes away.
"""

import math
from datetime import UTC, datetime
from enum import StrEnum

_EPOCH = datetime(2000, 1, 1, 12, tzinfo=UTC)
_RISING = -0.833
"""Degrees of the sun's centre when its upper edge is seen at the horizon, lifted by the air."""
_CIVIL = -6.0


class Light(StrEnum):
    """What light there was."""

    DAY = "day"
    TWILIGHT = "twilight"
    NIGHT = "night"


def elevation(moment: datetime, latitude: float, longitude: float) -> float:
    """Return the degrees of the sun above the horizon, negative below it."""
    days = (moment - _EPOCH).total_seconds() / 86_400
    anomaly = math.radians((357.529 + 0.98560028 * days) % 360)
    mean = (280.459 + 0.98564736 * days) % 360
    along = math.radians(mean + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439 - 0.00000036 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(along), math.cos(along))
    declination = math.asin(math.sin(tilt) * math.sin(along))
    sidereal = math.radians((280.46062 + 360.98564737 * days + longitude) % 360)
    hour_angle = sidereal - ascension
    north = math.radians(latitude)
    height = math.sin(north) * math.sin(declination)
    height += math.cos(north) * math.cos(declination) * math.cos(hour_angle)
    return math.degrees(math.asin(max(-1.0, min(1.0, height))))


def light_at(moment: datetime, latitude: float, longitude: float) -> Light:
    """Return what light there was; twilight is the civil one, to six degrees below."""
    height = elevation(moment, latitude, longitude)
    if height > _RISING:
        return Light.DAY
    return Light.TWILIGHT if height > _CIVIL else Light.NIGHT
