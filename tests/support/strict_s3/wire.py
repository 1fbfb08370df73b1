"""The connection below HTTP: how it is reset, broken off in the middle, or found to be gone."""

import asyncio
import os
import socket
import struct
from http import HTTPStatus

from tests.support.strict_s3.replies import Reply

_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)


class Line:
    """One client connection."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport
        self.gone = asyncio.Event()
        """Set when the client has closed the connection, or it was closed on it."""

    def reset(self) -> None:
        """Close with RST, so that the client sees a reset and not an end."""
        if self._transport is None:
            return
        known = self._transport.get_extra_info("socket")
        # uvloop's socket object is a façade without setsockopt; the option belongs to the open
        # file, so a duplicate of the descriptor sets it for both.
        with socket.socket(fileno=os.dup(known.fileno())) as duplicate:
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE)
        self._transport.abort()

    def send_half(self, reply: Reply) -> None:
        """Send the headers and half of the body, or half of the headers, then close."""
        if self._transport is None:
            return
        length = len(reply.body) if reply.length is None else reply.length
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        head = "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()
        if len(reply.body) > 1:
            self._transport.write(head + bytes(reply.body[: len(reply.body) // 2]))
        else:
            self._transport.write(head[: len(head) // 2])
        self._transport.close()
