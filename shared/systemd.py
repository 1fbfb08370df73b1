"""What a daemon tells systemd: ready, status, still alive, stopping.

Rule: outside systemd it does nothing, and nothing that happens to the socket reaches the daemon.
"""

import os
import socket
import time
from collections.abc import Mapping

_LONGEST_STATUS = 500
_SEND_LIMIT_SECONDS = 1.0


class Notifier:
    """Sends state to the service manager that `NOTIFY_SOCKET` names, if there is one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_seconds = _watchdog_seconds(environ)
        """How often systemd wants to hear from us at the latest (`WatchdogSec=`), or None."""

    def ready(self) -> bool:
        """Say that start-up is over."""
        return self._send("READY=1")

    def status(self, text: str) -> bool:
        """Say in a line what is going on; `systemctl status` shows it."""
        line = " ".join(text.split())[:_LONGEST_STATUS]
        return self._send(f"STATUS={line}")

    def alive(self) -> bool:
        """Feed the watchdog."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        """Say that the end has begun."""
        return self._send("STOPPING=1")

    def reloading(self) -> bool:
        """Say that settings are being read again; `ready` ends it."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def extend(self, seconds: float) -> bool:
        """Say that what is under way, starting, reloading or stopping, gets on and needs longer."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, message: str) -> bool:
        """Send one datagram; False when nobody took it."""
        if self._address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_LIMIT_SECONDS)
                sender.sendto(message.encode("utf-8", "backslashreplace"), self._address)
        except OSError:
            return False
        return True


def _address(name: str) -> str | None:
    """Return the address of the socket; `@` stands for an abstract one."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return the watchdog's time-out, unless it is meant for another process."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
