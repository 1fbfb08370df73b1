"""What stands for a container here: a process in a group of its own, and an image that is a folder.

Docker is not needed: whatever would be pulled is a folder of this machine and an interpreter.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

PROJECT = Path(__file__).resolve().parents[2]
_END_SECONDS = 10.0
_STOP_SECONDS = 10.0
"""Between being asked to end and being made to; on AWS thirty seconds, or what is configured."""
_PASSED_ON = ("LANG", "LC_ALL", "PYTHONDONTWRITEBYTECODE", "TZ")


@dataclass(frozen=True, slots=True)
class Image:
    """A container image: where its code lies, and what it runs."""

    folder: Path
    """The working folder, which is on Python's path."""
    entry: tuple[str, ...] = ()
    """What a container begins with; nothing: a function's runtime client, a job's command."""
    handler: str = "lambda_handler.handler"
    """Of a function that names no other."""
    command: tuple[str, ...] = ()
    """Of a job that names no other."""
    python_path: tuple[Path, ...] = ()
    absent: tuple[str, ...] = ()
    """Libraries that this machine has, and the image has not."""
    own_folders: tuple[str, ...] = ()
    """Variables that name a folder of which each container has one, as of `/tmp`."""
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    python: str = sys.executable


_GLACIER = PROJECT / "pipelines" / "glacier" / "image"
GLACIER_IMAGE = Image(
    _GLACIER,
    entry=("/bin/sh", str(_GLACIER / "entry.sh")),
    python_path=(PROJECT,),
    absent=("boto3", "matplotlib", "rich"),
    own_folders=("GLACIER_WORK_DIR",),
)
"""The image of the glacier runs, as this checkout is: both of its ways in."""


class Sandbox:
    """A process that was started from an image; nothing of its group outlives it."""

    def __init__(
        self, image: Image, command: Sequence[str], environ: Mapping[str, str], *, folder: Path
    ) -> None:
        temporary = folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self._lock = threading.Lock()
        self._swept = False
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=image.folder,
                env={**_surroundings(image, folder, temporary), **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, as long as the process is there."""
        with self._lock:
            if not self._swept and self.running:
                self._signal(number)

    def ended(self, seconds: float | None = None) -> int | None:
        """Wait for the end and return its status as a shell shows it; None: not in time.

        What it has started and left behind ends with it, as it would with a container.
        """
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        with self._lock:
            # Once, and at once: later on the number may be another group's.
            if not self._swept:
                self._swept = True
                self._signal(signal.SIGKILL)
        return 128 - status if status < 0 else status

    def stop(self) -> int:
        """Ask it to end, make it end if it does not, and return its status."""
        self.send(signal.SIGTERM)
        status = self.ended(_STOP_SECONDS)
        return self.end() if status is None else status

    def end(self) -> int:
        """End it and all that it has started, at once, and return its status."""
        self.send(signal.SIGKILL)
        status = self.ended(_END_SECONDS)
        assert status is not None, f"{self.process.args!r} outlives SIGKILL"
        return status

    def _signal(self, number: signal.Signals) -> None:
        # Some systems refuse where only the dead are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def _surroundings(image: Image, folder: Path, temporary: Path) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    programs = [str(Path(image.python).parent), *os.environ.get("PATH", os.defpath).split(":")]
    return {
        **kept,
        "HOME": str(folder),
        "PATH": ":".join(programs),
        "PYTHONPATH": ":".join(
            map(str, (_hidden(image, folder), image.folder, *image.python_path))
        ),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(temporary),
        **{name: str(temporary / name.lower()) for name in image.own_folders},
        **image.environ,
    }


def _hidden(image: Image, folder: Path) -> Path:
    """Return a folder, first on the path, in which the image's absent libraries are not found."""
    hiding = folder / "absent"
    hiding.mkdir(exist_ok=True)
    for name in image.absent:
        (hiding / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n")
    return hiding


def settle_all(promised: Sequence["Future[None]"], seconds: float) -> None:
    """Wait until all have ended, and raise what any of them has raised; TimeoutError."""
    done, pending = wait(promised, seconds)
    if pending:
        raise TimeoutError(f"{len(pending)} of {len(promised)} have not ended in {seconds:g} s")
    for future in done:
        future.result()
