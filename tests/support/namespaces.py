"""Linux namespaces from Python: what `unshare` and `mount` do, and a thread that lives apart.

Only the standard library is imported, so that a process can use it before it becomes something
else. Everything here needs root.
"""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

NEW_MOUNTS = 0x00020000
NEW_CGROUP = 0x02000000
NEW_NAMES = 0x04000000
NEW_IPC = 0x08000000
NEW_PROCESSES = 0x20000000
NEW_NETWORK = 0x40000000

READ_ONLY = 0x1
NO_SET_UID = 0x2
NO_DEVICES = 0x4
REMOUNT = 0x20
BIND = 0x1000
_RECURSIVE = 0x4000
PRIVATE = _RECURSIVE | 0x40000
SHARED = _RECURSIVE | 0x100000

_DEATH_SIGNAL = 1
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS = 0x8913, 0x8914, 0x8916
_UP = 0x1
_LIMIT_SECONDS = 30.0

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(namespaces: int) -> None:
    """Move this thread into new namespaces; OSError."""
    _checked("unshare", _libc.unshare(ctypes.c_int(namespaces)))


def join(namespace: int, kind: int) -> None:
    """Move this thread into the namespace that a descriptor stands for; OSError."""
    _checked("setns", _libc.setns(ctypes.c_int(namespace), ctypes.c_int(kind)))


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount something; OSError names what and where."""
    done = _libc.mount(
        source.encode(),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _checked(f"mount {kind or source} on {target}", done)


def bind(source: Path, target: Path, *, writable: bool) -> None:
    """Show a file or folder in another place too; a read-only one is that for this place alone."""
    mount(str(source), target, flags=BIND)
    if not writable:
        mount("", target, flags=BIND | REMOUNT | READ_ONLY)


def die_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when the thread that started it is gone."""
    _checked("prctl", _libc.prctl(_DEATH_SIGNAL, ctypes.c_ulong(number), 0, 0, 0))


def raise_loopback() -> None:
    """Switch the loopback interface of this network on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(control, _GET_FLAGS, asked))
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def add_loopback_address(label: int, address: str) -> None:
    """Give the loopback interface of this network one more address."""
    name = f"lo:{label}".encode()
    numbers = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_ADDRESS, struct.pack("16s16s", name, numbers))


class Room:
    """A thread in namespaces of its own; processes and threads that it starts are in them too.

    They end when the room is closed: a thread's namespaces last as long as somebody is in them.
    """

    def __init__(self, namespaces: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="room")
        try:
            self.call(unshare, namespaces)
        except BaseException:
            self.close()
            raise

    def call(self, function: Callable[_P, _T], *args: _P.args, **settings: _P.kwargs) -> _T:
        """Call a function inside and hand back what it returns or raises; bounded."""
        return self._thread.submit(function, *args, **settings).result(_LIMIT_SECONDS)

    def open_namespace(self, name: str) -> int:
        """Return a descriptor of one of its namespaces, named as in /proc."""
        return self.call(os.open, f"/proc/thread-self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown()


def _checked(what: str, status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        thread = threading.current_thread().name
        raise OSError(number, f"{what}: {os.strerror(number)} (in thread {thread})")
