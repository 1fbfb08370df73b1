"""The parts of a file that have been read so far. Pure.

Parsers take what they need as if all was there. What is not raises `Wanted`; whoever drives them
reads that range, adds it, and parses again from the start, which costs microseconds. So a parser
reads like one of a whole file, and only the few ranges that it touches ever cross the network.
"""

from typing import Literal, TypeAlias

Fault: TypeAlias = Literal["empty", "not_a_picture", "truncated", "damaged", "too_large"]


class BadPicture(ValueError):
    """The file is no picture that can be read; `fault` is the word for why."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Wanted(Exception):
    """A range that has to be read before one can go on."""

    def __init__(self, offset: int, length: int) -> None:
        super().__init__(f"{length} bytes at {offset}")
        self.offset = offset
        self.length = length


class Loaded:
    """A file of `size` bytes, of which some pieces are here."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pieces: list[tuple[int, bytes]] = []

    def add(self, offset: int, piece: bytes) -> None:
        """Add what was read at an offset."""
        self._pieces.append((offset, piece))

    def take(self, offset: int, length: int) -> bytes:
        """Return a range.

        Raises:
            Wanted: it is not here yet.
            BadPicture: the file ends before.
        """
        if not length:
            return b""
        for start, piece in self._pieces:
            if start <= offset and offset + length <= start + len(piece):
                return piece[offset - start : offset - start + length]
        if offset + length > self.size:
            raise BadPicture("truncated", f"ends at byte {self.size}, within what it says it has")
        raise Wanted(offset, length)

    @property
    def whole(self) -> bytes | None:
        """The file, if it came in one piece."""
        for start, piece in self._pieces:
            if start == 0 and len(piece) >= self.size:
                return piece
        return None
