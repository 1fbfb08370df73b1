"""`itunes:duration`, which every publisher writes differently. Pure.

| written                       | seconds                                                    |
|-------------------------------|------------------------------------------------------------|
| `3600`, `3600.5`              | 3600: decimals are cut off                                 |
| `62:03`                       | 3723: minutes may exceed 59                                |
| `1:02:03`, `01:02:03.9`       | 3723                                                       |
| anything else                 | unknown, `1:75` and `1:75:00` included, and beyond 3 years |
"""

import re

_FORM = re.compile(
    r"(?:(?P<seconds>[0-9]+)"
    r"|(?P<minutes>[0-9]+):(?P<of_minute>[0-9]{1,2})"
    r"|(?P<hours>[0-9]+):(?P<of_hour>[0-9]{1,2}):(?P<of_last>[0-9]{1,2}))"
    r"(?:\.[0-9]*)?"
)
_DIGITS_MAX = 8
_SIXTY = 60


def parse_duration(text: str) -> int | None:
    """Return whole seconds, None where the text does not say."""
    found = _FORM.fullmatch(text.strip())
    if found is None or any(len(part or "") > _DIGITS_MAX for part in found.groups()):
        return None
    if found["seconds"]:
        return int(found["seconds"])
    hours, minutes, seconds = (
        (0, int(found["minutes"]), int(found["of_minute"]))
        if found["minutes"]
        else (int(found["hours"]), int(found["of_hour"]), int(found["of_last"]))
    )
    if seconds >= _SIXTY or (found["hours"] and minutes >= _SIXTY):
        return None
    total = (hours * _SIXTY + minutes) * _SIXTY + seconds
    return total if len(str(total)) <= _DIGITS_MAX else None
