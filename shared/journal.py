"""The journal's native protocol: entries with fields, one datagram each.

Rule: an entry either goes out whole or `send` says so; nothing here raises into a daemon.
"""

import array
import fcntl
import os
import re
import socket
import struct
from collections.abc import Mapping
from uuid import UUID, uuid5

SOCKET = "/run/systemd/journal/socket"

_NAMESPACE = UUID("5b1a3d0e-6d0c-5b6e-9f6e-6f3d2b0a7c11")
_SEND_LIMIT_SECONDS = 2.0
_LONGEST_NAME = 64
_UNFIT = re.compile(r"[^A-Z0-9_]")
_TAKEN = frozenset({"MESSAGE", "PRIORITY", "MESSAGE_ID", "SYSLOG_IDENTIFIER"})

# Sealing is Linux only, and so is the journal; elsewhere the names do not exist.
_SEALS = sum(
    getattr(fcntl, name, 0)
    for name in ("F_SEAL_SEAL", "F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_WRITE")
)


def stderr_is_journal(environ: Mapping[str, str], descriptor: int = 2) -> bool:
    """Tell whether stderr is the stream that systemd connected to the journal."""
    wanted = environ.get("JOURNAL_STREAM")
    if not wanted:
        return False
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return wanted == f"{status.st_dev}:{status.st_ino}"


def message_id(event: str) -> str:
    """Return the 128 bits by which `journalctl MESSAGE_ID=` finds every entry of an event."""
    return uuid5(_NAMESPACE, event).hex


def field_name(name: str) -> str:
    """Return the name as the journal takes it: upper case, no leading underscore or digit."""
    fit = _UNFIT.sub("_", name.upper())[:_LONGEST_NAME]
    if fit in _TAKEN or not fit[:1].isalpha():
        return f"FIELD_{fit}"[:_LONGEST_NAME]
    return fit


def encode_entry(fields: Mapping[str, str]) -> bytes:
    """Return the entry in the native format; a value with a newline goes with its length."""
    parts: list[bytes] = []
    for name, value in fields.items():
        raw = value.encode("utf-8", "backslashreplace")
        if b"\n" in raw:
            parts += [name.encode(), b"\n", struct.pack("<Q", len(raw)), raw, b"\n"]
        else:
            parts += [name.encode(), b"=", raw, b"\n"]
    return b"".join(parts)


class Journal:
    """Sends entries to the journal of this machine."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, fields: Mapping[str, str]) -> bool:
        """Send one entry; False when the journal did not take it."""
        data = encode_entry(fields)
        try:
            self._open().sendto(data, self._path)
        except OSError:
            return self._send_large(data)
        return True

    def close(self) -> None:
        """Close the socket; the next entry opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        """Return the socket, made at the first entry."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(_SEND_LIMIT_SECONDS)
        return self._socket

    def _send_large(self, data: bytes) -> bool:
        """Hand over a sealed file instead of a datagram that was too large."""
        if not hasattr(os, "memfd_create"):
            return False
        try:
            with os.fdopen(
                os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb"
            ) as file:
                file.write(data)
                file.flush()
                fcntl.fcntl(file.fileno(), fcntl.F_ADD_SEALS, _SEALS)
                rights = array.array("i", [file.fileno()])
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                self._open().sendmsg([b""], ancillary, 0, self._path)
        except OSError:
            self.close()
            return False
        return True
