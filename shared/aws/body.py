"""Large request bodies that are sent from a buffer, or from a file, without copies on the way.

aiohttp copies a `bytearray` twice before it reaches the socket: once to bound its length and once
to join it with the headers. Eight megabytes a part, several parts at once: that was half of the
daemon's memory. A `PartBuffer` is written in slices of its own memory instead, and of a
`StreamedBody` no more is in memory than what is being sent.
"""

import os
from collections.abc import Callable
from typing import Any, Final

import anyio
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter
from anyio import to_thread

STREAMED_PIECE: Final = 1024 * 1024
"""Bytes of a `StreamedBody` that are read at once."""
_SLICE: Final = 512 * 1024
_STALL_SECONDS: Final = 60.0
"""How long one piece may wait to be taken: about the slowest speed that a request may have."""


class PartBuffer(bytearray):
    """A reusable buffer; botocore takes it for the `bytearray` that it is."""


class PartPayload(payload.Payload):
    """Writes a `PartBuffer` to the connection, slice by slice, waiting for each to be taken."""

    _value: PartBuffer
    _autoclose = True

    def __init__(self, value: PartBuffer, **named: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(value, **{"content_type": "application/octet-stream", **named})
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text; part of aiohttp's interface."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of it."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write it, at most `content_length` bytes."""
        size = len(self._value)
        end = size if content_length is None else min(size, content_length)
        with memoryview(self._value) as whole:
            for offset in range(0, end, _SLICE):
                await writer.write(whole[offset : min(end, offset + _SLICE)])


payload.PAYLOAD_REGISTRY.register(PartPayload, PartBuffer, order=payload.Order.try_first)


class StreamedBody:
    """A request body that is read, piece by piece, while it is sent; its memory is one piece.

    `begin` opens one reading from the start: a function that returns the `count` bytes that follow
    at `offset`, and blocks. Each sending has a reading of its own, so that what is left of a broken
    one cannot disturb the next.

    botocore takes it for a file. It reads it only to sign the bytes, which is where a store is
    reached over plain HTTP from another machine.
    """

    def __init__(
        self,
        size: int,
        begin: Callable[[], Callable[[int, int], bytearray]],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.begin = begin
        self.progress = progress
        self._size = size
        self._at = 0
        self._read = begin()

    def __len__(self) -> int:
        return self._size

    def read(self, count: int = -1) -> bytearray:
        """Return the next bytes, at most `count`."""
        left = self._size - self._at
        piece = self._read(self._at, left if count < 0 else min(count, left))
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to the beginning, or as far from it as somebody has been."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        if self._at == 0:
            self._read = self.begin()
        return self._at

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._at


class StreamedPayload(payload.Payload):
    """Writes a `StreamedBody` to the connection; the next piece is read when one was taken."""

    _value: StreamedBody
    _autoclose = True

    def __init__(self, value: StreamedBody, **named: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(value, **{"content_type": "application/octet-stream", **named})
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text, all of it read at once; part of aiohttp's interface."""
        return self._value.begin()(0, len(self._value)).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of it."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write it, at most `content_length` bytes; TimeoutError when the other side takes none."""
        size = len(self._value)
        end = size if content_length is None else min(size, content_length)
        read = self._value.begin()
        for offset in range(0, end, STREAMED_PIECE):
            piece = await to_thread.run_sync(read, offset, min(STREAMED_PIECE, end - offset))
            with anyio.fail_after(_STALL_SECONDS):
                await writer.write(piece)
            self._value.progress()


payload.PAYLOAD_REGISTRY.register(StreamedPayload, StreamedBody, order=payload.Order.try_first)
