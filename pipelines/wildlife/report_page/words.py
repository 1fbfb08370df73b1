"""How figures, times and positions are written on the page. Pure."""

from datetime import datetime, tzinfo

UNKNOWN = "\N{EN DASH}"
"""Where there is no figure."""

_NARROW = "\N{NARROW NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_MINUTE, _HOUR = 60, 3600


def count(number: int, one: str = "", many: str = "") -> str:
    """Return a number with its thousands apart, and what is counted behind it."""
    digits = f"{number:,}".replace(",", _NARROW)
    word = one if number == 1 else many or f"{one}s"
    return f"{digits} {word}" if one else digits


def decimal(value: float, digits: int = 1) -> str:
    """Return a number with so many decimals; what rounds to zero has no sign."""
    text = f"{value:,.{digits}f}".replace(",", _NARROW)
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def amount(dkk: float) -> str:
    """Return a number of DKK, small ones with the four decimals that the guard reckons in."""
    return decimal(dkk, 2 if abs(dkk) >= 10 else 4)  # noqa: PLR2004 - ten crowns


def money(dkk: float) -> str:
    """Return an amount and its currency."""
    return f"{amount(dkk)}{_NARROW}DKK"


def percent(share: float) -> str:
    """Return a share as a percentage; what is little, and not nothing, keeps a decimal."""
    value = 100 * share
    return f"{decimal(value, 1 if 0 < abs(value) < 10 else 0)}{_NARROW}%"  # noqa: PLR2004 - per cent


def duration(seconds: float) -> str:
    """Return how long something took."""
    if seconds < _MINUTE:
        return f"{decimal(seconds)}{_NARROW}s"
    if seconds < _HOUR:
        return f"{decimal(seconds / _MINUTE)}{_NARROW}min"
    return f"{decimal(seconds / _HOUR)}{_NARROW}h"


def day(moment: datetime, zone: tzinfo) -> str:
    """Return a date, as `9 October 2026`."""
    local = moment.astimezone(zone)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def minute(moment: datetime, zone: tzinfo) -> str:
    """Return a date and the time on it, as `9 Oct 2026, 05:40`."""
    local = moment.astimezone(zone)
    month = _MONTHS[local.month - 1][:3]
    return f"{local.day} {month} {local.year}, {local:%H:%M}"


def short_minute(moment: datetime, zone: tzinfo) -> str:
    """Return a date of a year that is known, and the time on it, as `9 Oct, 05:40`."""
    local = moment.astimezone(zone)
    return f"{local.day} {_MONTHS[local.month - 1][:3]}, {local:%H:%M}"


def days(first: datetime, last: datetime, zone: tzinfo) -> str:
    """Return two dates and what lies between, saying once what they share."""
    start, end = first.astimezone(zone), last.astimezone(zone)
    month = _MONTHS[start.month - 1]
    if start.date() == end.date():
        return day(last, zone)
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day}{UNKNOWN}{day(last, zone)}"
    if start.year == end.year:
        return f"{start.day} {month} {UNKNOWN} {day(last, zone)}"
    return f"{day(first, zone)} {UNKNOWN} {day(last, zone)}"


def position(latitude: float, longitude: float, digits: int = 4) -> str:
    """Return a position in degrees and quarters of the sky."""
    north = "N" if latitude >= 0 else "S"
    east = "E" if longitude >= 0 else "W"
    return (
        f"{abs(latitude):.{digits}f}\N{DEGREE SIGN}{_NARROW}{north}, "
        f"{abs(longitude):.{digits}f}\N{DEGREE SIGN}{_NARROW}{east}"
    )


def distance(meters: float) -> str:
    """Return a distance that is round already."""
    return f"{meters / 1000:g}{_NARROW}km" if meters >= 1000 else f"{meters:g}{_NARROW}m"  # noqa: PLR2004 - a kilometre
