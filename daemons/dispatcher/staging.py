"""The files of one CID on this disk: its chunk and answer, and the seeds while they are made.

These calls block: use them through `anyio.to_thread`. Rule: a chunk and an answer are only looked
at; of the staging folder nothing is touched but the folder of the one CID in hand.
"""

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from daemons.dispatcher.backlog import Survey, survey_names
from shared.fswatch.stability import FileIdentity
from shared.handshake.layout import chunk_name, closest_name, seed_path
from shared.s3.pinned import identity_of


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as it was when it had settled."""

    cid: str
    identity: FileIdentity


class Look(StrEnum):
    """What has become of a chunk."""

    UNCHANGED = "unchanged"
    ANSWERED = "answered"
    CHANGED = "changed"
    """It is another file by now, or gone: the watch will tell when it has settled again."""


@dataclass(frozen=True, slots=True)
class Staging:
    """The folders of one project."""

    positions: Path
    seeds: Path

    def survey(self) -> Survey:
        """Say what the names in the folder of positions speak of; nothing where there is none."""
        try:
            with os.scandir(self.positions) as entries:
                return survey_names(entry.name for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return Survey()

    def look(self, chunk: Chunk) -> Look:
        """Say what has become of a chunk; an answer counts even while it is being written."""
        if (self.positions / closest_name(chunk.cid)).is_file():
            return Look.ANSWERED
        try:
            status = self.chunk(chunk.cid).lstat()
        except FileNotFoundError:
            return Look.CHANGED
        same = stat.S_ISREG(status.st_mode) and identity_of(status) == chunk.identity
        return Look.UNCHANGED if same else Look.CHANGED

    def chunk(self, cid: str) -> Path:
        """Where the chunk of a CID lies."""
        return self.positions / chunk_name(cid)

    def folder(self, cid: str) -> Path:
        """Where the seeds of a CID are made; a CID is five digits and leads nowhere else."""
        return self.seeds / PurePosixPath(seed_path(cid)).parent

    def seed(self, cid: str) -> Path:
        """The file that the seed step has to leave."""
        return self.seeds / seed_path(cid)

    def begin(self, cid: str) -> Path:
        """Make the empty folder for a CID's seeds."""
        self.clear(cid)
        folder = self.folder(cid)
        folder.mkdir(parents=True)
        return folder

    def built(self, cid: str) -> bool:
        """Tell whether the step has left a file with something in it, and no link to one."""
        with suppress(FileNotFoundError, NotADirectoryError):
            status = self.seed(cid).lstat()
            inside = stat.S_ISDIR(self.folder(cid).lstat().st_mode)
            return inside and stat.S_ISREG(status.st_mode) and status.st_size > 0
        return False

    def clear(self, cid: str) -> None:
        """Remove the seeds of a CID from this disk, whatever a step or an earlier life left."""
        folder = self.folder(cid)
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(folder.lstat().st_mode):
                folder.unlink()
                return
            try:
                shutil.rmtree(folder)
            except PermissionError:
                # A step may have left folders that nobody may write into.
                for path, _, _ in os.walk(folder):
                    Path(path).chmod(0o700)
                shutil.rmtree(folder)
