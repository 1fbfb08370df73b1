"""Where the acceptance tests play: a root, a strict S3, and real daemons between them."""

import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import pytest

from shared.removal import HIDDEN_FOLDER
from tests.support.daemon import (
    Daemon,
    Nursery,
    Outcome,
    Process,
    clean_environment,
    run_command,
    start_fresh,
)
from tests.support.effects import check_effects, remote_of
from tests.support.nursery import Birth
from tests.support.strict_s3.server import StrictS3

BUCKET = "colony-shots"
OTHER = "colony-stats"


@dataclass
class Ground:
    """One test's root and state folder, and what was written and started there."""

    folder: Path
    s3: StrictS3
    nursery: Nursery
    produced: dict[str, dict[str, list[bytes]]] = field(default_factory=dict)
    """Bucket to key to every content that was written, newest last."""
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The uploader's root."""
        return self.folder / "output" / "s3"

    @property
    def state(self) -> Path:
        """The uploader's state folder."""
        return self.folder / "state"

    def put(self, key: str, content: bytes, *, bucket: str = BUCKET, age: float = 60.0) -> Path:
        """Put a whole file in place, last changed `age` seconds ago: settled when it is found."""
        place = self.root / bucket / key
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = self.folder / "staged"
        staged.write_bytes(content)
        changed = staged.stat().st_mtime - age
        os.utime(staged, (changed, changed))
        staged.rename(place)
        self.note(key, content, bucket=bucket)
        return place

    def note(self, key: str, content: bytes, *, bucket: str = BUCKET) -> None:
        """Count a content among those that may, and must, reach S3."""
        self.produced.setdefault(bucket, {}).setdefault(key, []).append(content)

    def seed(self, key: str, content: bytes, *, bucket: str = BUCKET) -> None:
        """Lay an object down in S3."""
        self.s3.seed(bucket, {key: content})
        self.note(key, content, bucket=bucket)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return a daemon's environment; an extra variable that is empty is left out."""
        whole = {**clean_environment(), **self.s3.environment(), **(extra or {})}
        return {name: value for name, value in whole.items() if value}

    def birth(
        self, *argv: str, interval: float = 0.5, env: Mapping[str, str] | None = None
    ) -> Birth:
        """Say how a daemon of this ground is started; later options win."""
        usual = ["-d", str(self.root), "-i", str(interval), "-s", "1", "--log-form", "json"]
        return Birth([*usual, "--state-directory", str(self.state), *argv], self.environment(env))

    def start(
        self,
        *argv: str,
        interval: float = 0.5,
        env: Mapping[str, str] | None = None,
        fresh: bool = False,
        step: str = "",
    ) -> Daemon:
        """Start a daemon, from the nursery or as an interpreter of its own.

        With a step it kills itself there, when it is from the nursery.
        """
        birth = replace(self.birth(*argv, interval=interval, env=env), step=step)
        daemon = Daemon(birth, start_fresh if fresh else self.nursery.start)
        self.daemons.append(daemon)
        return daemon

    def ready(
        self, *argv: str, interval: float = 0.5, env: Mapping[str, str] | None = None
    ) -> Daemon:
        """Start a daemon and wait until its first scan is over."""
        daemon = self.start(*argv, interval=interval, env=env)
        daemon.wait_for("pass_finished")
        return daemon

    def command(self, *argv: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run one of the commands that end by themselves."""
        return run_command(self.birth(*argv, env=env), self.nursery.start)[0]

    def left(self) -> list[str]:
        """Return what is on disk, hidden files too, relative to the root."""
        # Not rglob: it fails when a folder goes away under it.
        found: list[str] = []
        for folder, folders, files in os.walk(self.root):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            found += [os.path.relpath(f"{folder}/{name}", self.root) for name in (*files, *links)]
        return sorted(found)

    def is_empty(self) -> bool:
        """Say whether every file has left the disk."""
        return not self.left()

    def check(self) -> None:
        """Check the effects on every bucket that was written to."""
        for bucket, contents in self.produced.items():
            check_effects(
                contents, remote_of(self.s3, bucket), self.root / bucket, is_hidden=_is_hidden
            )

    def close(self) -> None:
        """Leave no process behind."""
        for daemon in self.daemons:
            daemon.kill()


class Writer:
    """Appends to a file until told to stop, a line every few milliseconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._over.wait(0.02):
            with self._path.open("ab") as stream:
                stream.write(b"and on\n")


def start_humble(birth: Birth, stdout: int, stderr: int) -> Process:
    """Start a daemon that file permissions hold for, even where the tests run as root."""
    if os.getuid() != 0:
        return start_fresh(birth, stdout, stderr)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root reads every file, and setpriv (util-linux) is not installed")
    humbled = [setpriv, "--bounding-set=-dac_override,-dac_read_search"]
    return start_fresh(birth, stdout, stderr, wrapper=humbled)


def names_of(count: int, *, stem: str = "shot") -> Sequence[str]:
    """Return so many keys in one folder."""
    return [f"images/{stem}-{number:05d}.bin" for number in range(count)]


def _is_hidden(path: Path) -> bool:
    return path.parent.name == HIDDEN_FOLDER
