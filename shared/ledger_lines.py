"""What the bytes of a ledger mean: identifiers, torn pieces, or something else. Pure.

Only lines that have their end are final. The last one without it is looked at anew each time: its
writer may not be done.
"""

import re
from collections.abc import Sequence
from zlib import crc32

_BLANK = " \t\r\v\f\0"
"""NULs too: a crash may leave them where data never reached the disk."""

_FORGIVEN = 3
_LONGEST_REST = 64
_SHOWN = 40
_MOST_IGNORED = 100


class NotALedger(ValueError):
    """The content is something else; the message goes after the file's name."""


class LedgerLines:
    """The identifiers in a ledger's content, which is taken in piece by piece as it grows."""

    def __init__(self, accepts: re.Pattern[str]) -> None:
        self._accepts = accepts
        self._final: set[str] = set()
        self._tail = ""
        self._piece = ""
        self._size = 0
        self._crc = 0
        self._offset = 0
        self._number = 0
        self._matching = 0
        self._foreign = 0
        self._torn = 0
        self._ignored: list[tuple[int, str]] = []

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._final or (identifier == self._tail != "")

    def __len__(self) -> int:
        return len(self._final) + (self._tail != "" and self._tail not in self._final)

    def identifiers(self) -> frozenset[str]:
        """Return them all."""
        return frozenset(self._final | {self._tail} if self._tail else self._final)

    def ignored(self) -> Sequence[tuple[int, str]]:
        """Return the lines that count for nothing, each with its number from 1."""
        return tuple(self._ignored)

    def continues(self, content: bytes) -> bool:
        """Tell whether the content begins with what was taken in, byte for byte."""
        return len(content) >= self._size and crc32(memoryview(content)[: self._size]) == self._crc

    def take(self, content: bytes) -> None:
        """Take in the whole content, of which an earlier call may have seen the beginning."""
        new = content[self._offset :]
        end = new.rfind(b"\n") + 1
        try:
            whole, rest = new[:end].decode(), new[end:].decode()
        except UnicodeDecodeError as error:
            raise NotALedger(
                f"is no UTF-8 text at byte {self._offset + error.start}; name a text file"
            ) from None
        self._take_lines(whole)
        self._crc = crc32(memoryview(content)[self._size :], self._crc)
        self._size = len(content)
        self._offset += end
        self._look_at_tail(rest)
        self._judge()

    def take_own(self, data: bytes) -> None:
        """Take in a line that was appended here, made by `encoded`."""
        self._drop_notes_on_tail()
        if data.startswith(b"\n"):
            self._number += 1
            self._take_line(self._number, self._tail or self._piece)
        self._number += 1
        self._take_line(self._number, data.decode().strip())
        self._tail = self._piece = ""
        self._crc = crc32(data, self._crc)
        self._size += len(data)
        self._offset = self._size

    def encoded(self, identifier: str) -> bytes:
        """Return the bytes that append a line, after the end of an unfinished one."""
        before = b"\n" if self._offset < self._size else b""
        return before + identifier.encode() + b"\n"

    def _take_lines(self, text: str) -> None:
        """Take in lines that have their end."""
        self._drop_notes_on_tail()
        lines = text.replace("\r\n", "\n").split("\n")[:-1]
        # Nearly always all of them, and a hundred thousand are to be read in no time.
        plain = list(filter(self._accepts.fullmatch, lines))
        self._final.update(plain)
        self._matching += len(plain)
        if len(plain) < len(lines):
            known = set(plain)
            for number, line in enumerate(lines, self._number + 1):
                if line not in known:
                    self._take_line(number, self._stripped(line, number))
        self._number += len(lines)

    def _take_line(self, number: int, found: str) -> None:
        """Take in one line without what surrounds it."""
        if not found:
            return
        if self._accepts.fullmatch(found):
            self._final.add(found)
            self._matching += 1
        elif self._torn < _FORGIVEN and self._may_be_torn(found):
            self._torn += 1
            self._note(number, found)
        else:
            self._foreign += 1
            self._note(number, found)

    def _stripped(self, line: str, number: int) -> str:
        """Remove what is tolerated around an identifier, on the first line a BOM too."""
        found = line.strip(_BLANK)
        return found.lstrip("\ufeff" + _BLANK) if number == 1 else found

    def _look_at_tail(self, text: str) -> None:
        """Look at what has no end yet."""
        found = self._stripped(text, self._number + 1)
        matches = found != "" and self._accepts.fullmatch(found) is not None
        self._tail, self._piece = (found, "") if matches else ("", found)
        if self._piece:
            self._note(self._number + 1, self._piece)

    def _drop_notes_on_tail(self) -> None:
        """Forget what was said about the unfinished line, which is judged anew."""
        self._ignored = [item for item in self._ignored if item[0] <= self._number]

    def _note(self, number: int, text: str) -> None:
        """Remember a line that counts for nothing, within bounds."""
        if len(self._ignored) < _MOST_IGNORED:
            self._ignored.append((number, text[:_SHOWN]))

    def _may_be_torn(self, text: str) -> bool:
        """Tell whether a line may be the beginning of an identifier that ends with digits."""
        rests = range(1, _LONGEST_REST if len(text) < _LONGEST_REST else 0)
        return any(self._accepts.fullmatch(text + "0" * rest) for rest in rests)

    def _judge(self) -> None:
        """Refuse what is mostly something else; a few torn lines are what crashes leave."""
        torn = bool(self._piece) and self._torn < _FORGIVEN and self._may_be_torn(self._piece)
        foreign = self._foreign + (self._piece != "" and not torn)
        matching = self._matching + (self._tail != "")
        if foreign > matching:
            number, text = self._ignored[0]
            raise NotALedger(
                f"is no ledger: {foreign} of {foreign + matching} lines are no identifiers, e.g. "
                f"line {number} is {text!r} where {self._accepts.pattern!r} is expected; "
                "name the right file"
            )
