"""The disk of one watcher: `work/<n>/`, which is its own, and a folder in it for the CID in hand.

    work/<n>/instance.json                 who has worked here, so that its leases are known as dead
    work/<n>/<CID>/<token>/optical_seeds/  the seeds as they lie in the bucket
                           sidecar/        what the sidecar step writes
                           aws_compare_out/  what is pushed
                           scratch/        TMPDIR of the steps

`<n>` is the first number whose folder nobody has locked; the lock ends with the process. `<token>`
is new each time: a step of a life that was killed may go on for seconds, and must not write among
the files of the next one. These calls block: use them through `anyio.to_thread`.
"""

import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.errors import AlreadyRunning
from shared.files import ready_folder, write_durably
from shared.handshake.layout import CID, OUTPUT_FOLDER, SEEDS_FOLDER
from shared.lock import hold_lock

_MOST_WATCHERS = 1000
_INSTANCE = re.compile(r"[0-9a-f]{32}")
_NOTE = "instance.json"
_REMOVALS = 2


@dataclass(frozen=True, slots=True)
class JobPlace:
    """The folder of the CID in hand."""

    cid: str
    folder: Path

    @property
    def optical_root(self) -> Path:
        """Where seeds lie as they lie below `optical_seeds/` in the bucket."""
        return self.folder / SEEDS_FOLDER.rstrip("/")

    @property
    def chunk_root(self) -> Path:
        """The seeds of this CID."""
        return self.optical_root / f"chunk_{self.cid}"

    @property
    def out_root(self) -> Path:
        """Where the sidecar step writes."""
        return self.folder / "sidecar"

    @property
    def sidecar(self) -> Path:
        """What the sidecar step hands to the closest step."""
        return self.out_root / "neowise_se_flags_ALL.parquet"

    @property
    def out_dir(self) -> Path:
        """What is pushed."""
        return self.folder / OUTPUT_FOLDER.rstrip("/")

    @property
    def scratch(self) -> Path:
        """Where steps put temporary files."""
        return self.folder / "scratch"

    def clear(self) -> None:
        """Remove the CID's folder and whatever a step made of it."""
        remove_tree(self.folder.parent)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that this watcher has to itself."""

    number: int
    folder: Path
    instance: str
    """The same in every life in this folder."""

    def begin(self, cid: str) -> JobPlace:
        """Make the folders for a CID; whatever is older lies elsewhere, or is gone."""
        with suppress(OSError):
            remove_tree(self.folder / cid)
        place = JobPlace(cid, self.folder / cid / secrets.token_hex(4))
        for folder in (place.chunk_root, place.out_root, place.out_dir, place.scratch):
            folder.mkdir(parents=True)
        return place

    def leftovers(self) -> Sequence[str]:
        """Return the CIDs that a former life had in hand."""
        return sorted(name for name in os.listdir(self.folder) if CID.fullmatch(name))  # noqa: PTH208 - names

    def sweep(self) -> None:
        """Remove what a former life had in hand."""
        for cid in self.leftovers():
            with suppress(OSError):
                remove_tree(self.folder / cid)


@contextmanager
def open_workspace(work: Path) -> Iterator[Workspace]:
    """Have the first work folder that nobody else has until the `with` ends.

    Raises:
        UsageError: there is none that we may write into.
        AlreadyRunning: others have all of them.
    """
    ready_folder(work, "work folder")
    with ExitStack() as stack:
        number = _first_free(work, stack)
        folder = work / str(number)
        yield Workspace(number, folder, _instance(folder / _NOTE))


def _first_free(work: Path, stack: ExitStack) -> int:
    """Lock the first folder that can be locked, and return its number."""
    reason = ""
    for number in range(1, _MOST_WATCHERS + 1):
        folder = work / str(number)
        ready_folder(folder, "work folder")
        try:
            stack.enter_context(hold_lock(folder))
        except AlreadyRunning as error:
            reason = str(error)
        else:
            return number
    raise AlreadyRunning(
        f"none of {_MOST_WATCHERS} work folders below {str(work)!r} is free; the last: {reason}"
    )


def _instance(note: Path) -> str:
    """Return who works here, now and in every life to come."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        said = str(json.loads(note.read_bytes())["instance"])
        if _INSTANCE.fullmatch(said):
            return said
    # What cannot be read is no name; a new one only makes its old leases wait for their end.
    instance = secrets.token_hex(16)
    write_durably(note, json.dumps({"instance": instance}).encode() + b"\n")
    return instance


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, whatever its permissions; never through a link.

    Raises:
        OSError: something is still being written there, or the disk is broken.
    """
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(kind):
        path.unlink()
        return
    for _ in range(_REMOVALS):
        try:
            shutil.rmtree(path)
        except OSError:
            # A step may have forbidden us its folders, or may be dying and still write.
            _open_up(path)
        else:
            return
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


def _open_up(path: Path) -> None:
    """Give us the right to look into, and remove from, every folder of a tree."""
    with suppress(OSError):
        path.chmod(0o700)
    for parent, folders, _ in os.walk(path):
        for name in folders:
            with suppress(OSError):
                os.chmod(os.path.join(parent, name), 0o700, follow_symlinks=False)  # noqa: PTH101, PTH118 - pathlib has no such tree walk
