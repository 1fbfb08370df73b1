"""What is wrong with a file, a line for each mistake."""

import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError

_SHOWN_MAX = 80
_CLASS = re.compile(r" or instance of \w+")


class Mistakes(ValueError):
    """A file says what it may not; each line is one mistake."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines: Sequence[str] = list(lines)
        super().__init__("\n".join(self.lines))


def mistakes_of(error: ValidationError, where: str = "") -> list[str]:
    """Return a line for each mistake, `where` being what all of them lie in."""
    return [_line(dict(each), where) for each in error.errors(include_url=False)]


def shown(value: object) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."


def _line(fault: Mapping[str, object], where: str) -> str:
    location = fault["loc"]
    parts = [str(part) for part in location] if isinstance(location, tuple) else []
    name = ".".join(filter(None, [where, *parts]))[:_SHOWN_MAX] or "the whole"
    # How a class is called here is nothing to whoever writes the file.
    said = _CLASS.sub("", str(fault["msg"]).removeprefix("Value error, "))
    said = said[:1].lower() + said[1:]
    if fault["type"] == "missing":
        return f"{name} is required; write it"
    if fault["type"] == "extra_forbidden":
        return f"{name} is not known; remove it, or look at how it is written"
    return f"{name} = {shown(fault['input'])} is not valid; {said}"
