"""The bodies of answers: bounded in bytes, read piece by piece. Pure."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Found_co = TypeVar("Found_co", covariant=True)
Parsed = TypeVar("Parsed")

MEBIBYTE = 1024 * 1024
_LINE_BYTES = 64 * 1024


class Reader(Protocol[Found_co]):
    """Takes a body as it comes in; ValueError for one that is not what it should be."""

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""

    def result(self) -> Found_co:
        """Return what was in the body; called once, after the last piece."""


class Whole(Generic[Parsed]):
    """A body that is read when it is all there."""

    def __init__(self, parse: Callable[[bytes], Parsed], *, most: int = 32 * MEBIBYTE) -> None:
        self._parse = parse
        self._most = most
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next piece; ValueError where it becomes too much."""
        if len(self._body) + len(piece) > self._most:
            raise ValueError(f"more than {self._most} bytes")
        self._body += piece

    def result(self) -> Parsed:
        """Return what was in it."""
        return self._parse(bytes(self._body))


class Lines(Generic[Parsed]):
    """A body of lines, of which a few matter: the others are never kept."""

    def __init__(
        self, parse: Callable[[bytes], Parsed | None], *, most: int = 256 * MEBIBYTE
    ) -> None:
        self._parse = parse
        self._left = most
        self._most = most
        self._rest = b""
        self._found: list[Parsed] = []

    def feed(self, piece: bytes) -> None:
        """Take the next piece; ValueError where it, or a line, becomes too much."""
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError(f"more than {self._most} bytes")
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LINE_BYTES:
            raise ValueError(f"a line of more than {_LINE_BYTES} bytes")
        for line in lines:
            self._take(line)

    def result(self) -> list[Parsed]:
        """Return what was found, in order."""
        self._take(self._rest)
        return self._found

    def _take(self, line: bytes) -> None:
        if (found := self._parse(line)) is not None:
            self._found.append(found)
