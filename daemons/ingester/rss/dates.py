"""`pubDate`, in the forms that are met in the wild. Pure.

| written                                             | taken as                              |
|-----------------------------------------------------|---------------------------------------|
| `Thu, 25 Jul 2024 22:00:00 -0500`                   | RFC 2822; a wrong weekday is ignored  |
| `25 July 24 22:00 EST`                              | no seconds, two digits, US zones      |
| `... GMT`, `... UTC`, `... Z`, `... GMT+0200`       | that zone                             |
| `... CEST`                                          | UTC, with a warning: a guess          |
| `2024-07-25T22:00:00.5Z`, `2024-07-25 22:00+02:00`  | ISO 8601                              |
| no zone                                             | UTC                                   |
| `2024-07-25`, `25 Jul 2024`                         | midnight                              |
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,12}))?)?"
)
_ZONE = r"(?P<zone>[A-Za-z][A-Za-z/_]{0,39})?\s?(?P<offset>[+-][0-9]{1,2}:?(?:[0-9]{2})?)?"
_RFC_2822 = re.compile(
    r"(?:[A-Za-z]{2,10}\.?,?\s?)?(?P<day>[0-9]{1,2})[\s-](?P<month>[A-Za-z]{3,9})\.?,?[\s-]"
    rf"(?P<year>[0-9]{{2,4}})(?:,?\s{_CLOCK}\s?{_ZONE})?"
)
_ISO_8601 = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    rf"(?:[Tt\s]{_CLOCK}\s?{_ZONE})?"
)
_COMMENT = re.compile(r"\([^()]*\)")
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_ZONES = {
    "": 0, "z": 0, "ut": 0, "utc": 0, "gmt": 0,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
_NO_ZONE_OF_ITS_OWN = frozenset({"", "ut", "utc", "gmt"})
_LONGEST = 200
_CENTURY, _PIVOT = 100, 50
_ABBREVIATED = 3


@dataclass(frozen=True, slots=True)
class ParsedDate:
    """An instant, and what had to be guessed."""

    at: datetime
    """Aware, in UTC."""
    warning: str = ""


def parse_date(text: str) -> ParsedDate:
    """Read a date of a feed; ValueError when it is none."""
    plain = " ".join(_COMMENT.sub(" ", text[:_LONGEST]).split())
    found = _ISO_8601.fullmatch(plain) or _RFC_2822.fullmatch(plain)
    if found is None:
        raise ValueError(f"date {text[:_LONGEST]!r} cannot be read")
    offset, warning = _offset(found["zone"] or "", found["offset"] or "")
    try:
        at = _local(found).replace(tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"date {text[:_LONGEST]!r} does not exist: {error}") from None
    return ParsedDate(at, warning)


def _local(found: re.Match[str]) -> datetime:
    """Return what the clock showed, without a zone."""
    # A leap second is the last second of its minute to a datetime, which knows none.
    second = 59 if found["second"] == "60" else int(found["second"] or 0)
    micros = (found["fraction"] or "").ljust(6, "0")[:6]
    return datetime(  # noqa: DTZ001 - the caller adds the zone
        _year(found["year"]),
        _month(found["month"]),
        int(found["day"]),
        int(found["hour"] or 0),
        int(found["minute"] or 0),
        second,
        int(micros),
    )


def _year(text: str) -> int:
    """Return the year, short ones as RFC 2822 (section 4.3) reads them."""
    year = int(text)
    if len(text) == len("24"):
        return year + (20 if year < _PIVOT else 19) * _CENTURY
    return year if len(text) == len("2024") else year + 19 * _CENTURY


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    for number, name in enumerate(_MONTHS, start=1):
        # "Sept" and "July" are as common as the three letters of the standard.
        if len(text) >= _ABBREVIATED and name.startswith(text.lower()):
            return number
    raise ValueError(f"month {text!r} is none")


def _offset(zone: str, offset: str) -> tuple[timedelta, str]:
    """Return how far the zone is from UTC, and a warning where that is a guess."""
    if offset and zone.lower() in _NO_ZONE_OF_ITS_OWN:
        digits = offset[1:].replace(":", "")
        hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > len("12") else (digits, "0")
        away = timedelta(hours=int(hours), minutes=int(minutes))
        return (away if offset[0] == "+" else -away), ""
    if zone.lower() in _ZONES and not offset:
        return timedelta(hours=_ZONES[zone.lower()]), ""
    return timedelta(0), f"zone {(zone + offset)!r} is not known; taken as UTC"
