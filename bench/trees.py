"""The trees that are uploaded: written once, then hard-linked anew for every run.

Links cost milliseconds where writing 1 GiB costs seconds, and every run finds the same warm page
cache. The modification time lies in the past, so that no tool has a reason to wait.
"""

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

BUCKET = "towpath-bench"
"""The one bucket: the first folder under an uploader's root."""

_FILES_PER_FOLDER = 1000
_BLOCK_BYTES = 1 << 20
_AGE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Scenario:
    """A number of files of one size; `present` says that S3 has them already."""

    name: str
    files: int
    size_bytes: int
    present: bool = False

    @property
    def total_bytes(self) -> int:
        """Bytes of all files together."""
        return self.files * self.size_bytes

    @property
    def tree(self) -> str:
        """The name of the tree; scenarios with the same files share it."""
        return f"{self.files}x{self.size_bytes}"


def write_tree(scenario: Scenario, folder: Path, *, now: float) -> None:
    """Write the scenario's files below `folder`: every one different, the same in every run."""
    source = random.Random(scenario.tree)  # noqa: S311 - content only has to differ
    block = source.randbytes(min(scenario.size_bytes, _BLOCK_BYTES))
    for number in range(scenario.files):
        path = folder / f"run-{number // _FILES_PER_FOLDER:03d}" / f"frame-{number:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(number.to_bytes(8, "big"))
            file.write(block[8:])
            for _ in range(scenario.size_bytes // len(block) - 1):
                file.write(block)
        os.utime(path, (now - _AGE_SECONDS, now - _AGE_SECONDS))


def link_tree(master: Path, target: Path) -> None:
    """Make `target` the same tree out of hard links; what was there before is removed."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(master, target, copy_function=os.link)


def files_left(folder: Path) -> int:
    """Count the files below `folder`, hidden ones included."""
    return sum(len(names) for _, _, names in os.walk(folder))
