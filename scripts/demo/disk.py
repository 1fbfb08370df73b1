"""What lies below the writer's root, links left out. Blocking, and small."""

import os
from dataclasses import dataclass
from pathlib import Path

from shared.removal import HIDDEN_FOLDER


@dataclass(frozen=True, slots=True)
class Disk:
    """One look."""

    files: tuple[Path, ...]
    hidden_folders: int
    """Folders in which the daemon keeps files out of sight while it removes them."""

    @property
    def clear(self) -> bool:
        """Whether no file is left, and no trace of the daemon."""
        return not self.files and not self.hidden_folders

    @property
    def hidden(self) -> int:
        """Files in the middle of being removed."""
        return sum(map(is_hidden, self.files))


def look_at(root: Path) -> Disk:
    """Look at everything below a folder; what goes away meanwhile is not there."""
    files: list[Path] = []
    hidden_folders = 0
    # Not Path.rglob, which fails when a folder goes away in front of it.
    for folder, folders, names in os.walk(root):
        hidden_folders += HIDDEN_FOLDER in folders
        paths = (Path(folder, name) for name in names)
        files += [path for path in paths if path.is_file() and not path.is_symlink()]
    return Disk(tuple(files), hidden_folders)


def is_hidden(path: Path) -> bool:
    """Say whether the daemon keeps the file out of sight while it removes it."""
    return path.parent.name == HIDDEN_FOLDER


def key_of(bucket_folder: Path, path: Path) -> str:
    """Return the key of a file in a bucket's folder, as if nothing was hidden."""
    home = path.parent.parent if is_hidden(path) else path.parent
    return (home / path.name).relative_to(bucket_folder).as_posix()
