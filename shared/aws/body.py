"""A large request body that is sent from its buffer, without being copied on the way.

aiohttp copies a `bytearray` twice before it reaches the socket: once to bound its length and once
to join it with the headers. Eight megabytes a part, several parts at once: that was half of the
daemon's memory. A `PartBuffer` is written in slices of its own memory instead.
"""

from typing import Any, Final

from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter

_SLICE: Final = 512 * 1024


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
