r"""Transcripts in the SRT format: read leniently, joined exactly, written in one style. Pure.

| read                                        | becomes                                         |
|---------------------------------------------|-------------------------------------------------|
| a byte order mark, `\r\n`, `\r`              | `\n`                                            |
| `1:02:03.5`                                 | one-digit hours, `.` or `,`, 1 to 3 digits      |
| a cue without number, or with any number    | a cue; the order in the file counts             |
| an empty line inside a cue's text           | the text goes on after it                       |
| 60 minutes or seconds, an end before start  | no cue, but counted                             |

Times are whole milliseconds everywhere: seconds would lose the fraction where a chunk begins.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

_SECOND_MS = 1000
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS
_SIXTY = 60
_TIME = r"(\d{1,6}):(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3})\d*)?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_NUMBER = re.compile(r"\s*\d+\s*", re.ASCII)
_LINE_END = re.compile(r"\r\n?|\n")
_ARROW = re.compile(r"-{2,}>")


@dataclass(frozen=True, slots=True)
class Cue:
    """A piece of text and when it is spoken."""

    start_ms: int
    end_ms: int
    text: str
    """One or more lines."""

    def shifted(self, offset_ms: int) -> "Cue":
        """Return the cue as it is heard that much later."""
        return replace(self, start_ms=self.start_ms + offset_ms, end_ms=self.end_ms + offset_ms)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was found in a transcript."""

    cues: tuple[Cue, ...]
    """In the order of the file."""
    invalid: int = 0
    """How many were left out because their times cannot be."""


def decode_srt(body: bytes) -> str:
    """Return a transcript's text; recognisers cut characters in half, and it is read anyway."""
    return body.decode("utf-8-sig", "replace")


def parse_srt(text: str) -> Parsed:
    """Read a transcript; what is no cue is passed over."""
    # NUL is the one character that no reader agrees on, and it means nothing.
    lines = _LINE_END.split(text.removeprefix("\ufeff").replace("\0", ""))
    heads = [(at, found) for at, line in enumerate(lines) if (found := _TIMES.fullmatch(line))]
    ends = [*(_before_number(lines, at) for at, _ in heads), len(lines)][1:]
    cues: list[Cue] = []
    for (at, head), end in zip(heads, ends, strict=True):
        start_ms, end_ms = _milliseconds(head.groups()[:4]), _milliseconds(head.groups()[4:])
        if start_ms is not None and end_ms is not None and start_ms <= end_ms:
            cues.append(Cue(start_ms, end_ms, clean_text("\n".join(lines[at + 1 : end]))))
    return Parsed(tuple(cues), invalid=len(heads) - len(cues))


def join(parts: Iterable[tuple[int, Sequence[Cue]]]) -> tuple[Cue, ...]:
    """Put the cues of chunks together, each given with the millisecond at which it begins.

    Cues of equal start keep their order. What ends before it starts is dropped.
    """
    cues = (cue.shifted(offset_ms) for offset_ms, chunk in parts for cue in chunk)
    return tuple(sorted((cue for cue in cues if 0 <= cue.start_ms <= cue.end_ms), key=_start_of))


def render_srt(cues: Iterable[Cue]) -> str:
    """Write a transcript: numbered from 1, an empty line between cues, a newline at the end."""
    return "\n".join(
        f"{number}\n{format_ms(cue.start_ms)} --> {format_ms(cue.end_ms)}\n"
        + "".join(f"{line}\n" for line in clean_text(cue.text).split("\n") if line)
        for number, cue in enumerate(cues, start=1)
    )


def clean_text(text: str) -> str:
    """Return text as it can stand in a cue: no empty line, nothing like a line of times."""
    lines = (_ARROW.sub("->", line.strip()) for line in _LINE_END.split(text.replace("\0", "")))
    return "\n".join(line for line in lines if line)


def format_ms(milliseconds: int) -> str:
    """Write a time: `00:20:00,200`."""
    hours, rest = divmod(milliseconds, _HOUR_MS)
    minutes, rest = divmod(rest, _MINUTE_MS)
    seconds, fraction = divmod(rest, _SECOND_MS)
    return f"{hours:02}:{minutes:02}:{seconds:02},{fraction:03}"


def _start_of(cue: Cue) -> int:
    return cue.start_ms


def _milliseconds(parts: Sequence[str | None]) -> int | None:
    """Return a time in milliseconds; None when there is no such time."""
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    if minutes >= _SIXTY or seconds >= _SIXTY:
        return None
    fraction = int((parts[3] or "").ljust(3, "0"))
    return hours * _HOUR_MS + minutes * _MINUTE_MS + seconds * _SECOND_MS + fraction


def _before_number(lines: Sequence[str], at: int) -> int:
    """Return where the text before a line of times ends; the cue's number is none of it."""
    return at - 1 if at > 0 and _NUMBER.fullmatch(lines[at - 1]) else at
