"""A delivered file in a folder of its own, and what may happen while it is removed."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.removal import (
    HIDDEN_FOLDER,
    Removal,
    remove_delivered,
)
from shared.s3.pinned import open_pinned

CONTENT = b"delivered"
OLD_NS = 1_700_000_000 * 10**9
STEPS = ["hide", "compare", "unlink", "unlinked"]
NAMES = ["a.bin", "n" * 255, "line\nbreak", "-rf", "\u00e9\U0001f600", os.fsdecode(b"raw\xff")]


@dataclass
class Place:
    """A folder with one delivered file in it."""

    folder: Path
    directory: int
    name: str = "a.bin"

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.name

    @property
    def hidden(self) -> Path:
        """Where the file is while it is being removed."""
        return self.folder / HIDDEN_FOLDER / self.name

    def write(self, content: bytes, mtime_ns: int = OLD_NS) -> None:
        """Make the file, settled long ago."""
        self.path.write_bytes(content)
        os.utime(self.path, ns=(mtime_ns, mtime_ns))

    def remove(self, act: Callable[[], object] = lambda: None, at: str = "pinned") -> Removal:
        """Pin the file and remove it; `act` happens before the named step."""

        def step(name: str) -> None:
            if name == at:
                act()

        source = open_pinned(self.name, directory=self.directory)
        changed_ns = os.fstat(source.descriptor).st_ctime_ns
        try:
            step("pinned")
            return remove_delivered(
                self.name,
                source,
                directory=self.directory,
                changed_ns=changed_ns,
                step=step,
            )
        finally:
            os.close(source.descriptor)

    def contents(self) -> set[bytes]:
        """Everything that is still on disk."""
        return {path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@contextmanager
def place_in(folder: Path, name: str = "a.bin") -> Iterator[Place]:
    """Open the folder and make the file."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        place = Place(folder, directory, name)
        place.write(CONTENT)
        yield place
    finally:
        os.close(directory)


def refuse_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system know no leases."""

    def refuse(descriptor: int, command: int, argument: int = 0) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(fcntl, "fcntl", refuse)


class Killed(BaseException):
    """The process ends here."""
