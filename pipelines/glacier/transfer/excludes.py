"""Which files of a project folder belong to the project. Pure.

| a path                                            | is         |
|---------------------------------------------------|------------|
| that looks like a secret                          | SECRET     |
| of the sync itself: manifest, unfinished file     | EXCLUDED   |
| that an include names                             | TAKEN      |
| that an exclude names                             | EXCLUDED   |
| that the rules below name, at any depth           | EXCLUDED   |
| any other                                         | TAKEN      |

A pattern without a slash is for a file or folder of that name at any depth; one with a slash is
for a path from the root. Either way a folder stands for all that is in it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

from pipelines.glacier.transfer.manifest import MANIFEST_NAME
from pipelines.glacier.transfer.names import parents_of
from pipelines.glacier.transfer.secret_guard import secret_name

REGION_FOLDER: Final = "1_download_merge_and_clip/ancillary/glacier_roi_v2"
"""Where rasters belong to the project: with the region file."""

_FOLDERS = (
    ".git",
    "__pycache__",
    ".pytest_cache",
    ".vscode",
    ".idea",
    ".venv",
    "venv",
    "Archive",
)
_LOGS = ("aws", "logs")
_FILES = ("*.pyc", "*.log", "test_*.json", "result*.json", "fresh_*.json")
_RASTERS = (".tif", ".tiff", ".jp2", ".vrt", ".img", ".hdf", ".nc", ".ovr")
_UNFINISHED = ".towpath-tmp"
_ANY_FILE = "\0"
"""The name of a file that no rule for files means."""
_ENVIRONMENT_MARKERS = frozenset({"pyvenv.cfg", "conda-meta"})


class Kind(Enum):
    """What a path is to the project."""

    TAKEN = "taken"
    EXCLUDED = "excluded"
    SECRET = "secret"  # noqa: S105 - a word, and no password


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a path is, and because of which rule."""

    kind: Kind
    reason: str = ""


_TAKEN = Verdict(Kind.TAKEN)


@dataclass(frozen=True, slots=True)
class Rules:
    """What somebody leaves out besides, and what is taken in spite of the rules."""

    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()

    def judge(self, path: str, environments: Collection[str] = ()) -> Verdict:
        """Judge a file; `environments` are the folders that `environments_of` has found."""
        if reason := secret_name(path):
            return Verdict(Kind.SECRET, reason)
        if path == MANIFEST_NAME or path.endswith(_UNFINISHED):
            return Verdict(Kind.EXCLUDED, "belongs to the sync itself")
        if any(_names(pattern, path) for pattern in self.includes):
            return _TAKEN
        for pattern in self.excludes:
            if _names(pattern, path):
                return Verdict(Kind.EXCLUDED, f"exclude {pattern}")
        reason = _built_in(path, environments)
        return Verdict(Kind.EXCLUDED, reason) if reason else _TAKEN

    def judge_folder(self, path: str) -> Verdict:
        """Judge a folder as a whole; TAKEN: what is in it must be looked at one by one."""
        if reason := secret_name(f"{path}/{_ANY_FILE}"):
            return Verdict(Kind.SECRET, reason)
        if self.includes:
            return _TAKEN
        for pattern in self.excludes:
            if _names(pattern, path):
                return Verdict(Kind.EXCLUDED, f"exclude {pattern}")
        reason = _built_in(f"{path}/{_ANY_FILE}", ())
        return Verdict(Kind.EXCLUDED, reason) if reason else _TAKEN


DEFAULT_RULES: Final = Rules()


def is_environment(names: Iterable[str]) -> bool:
    """Tell by the names in a folder whether it is a virtual environment."""
    return not _ENVIRONMENT_MARKERS.isdisjoint(names)


def environments_of(paths: Iterable[str]) -> frozenset[str]:
    """Return the folders among some paths that are virtual environments, whatever their names."""
    found = set()
    for path in paths:
        parts = path.split("/")
        for depth, part in enumerate(parts[1:], start=1):
            if part in _ENVIRONMENT_MARKERS:
                found.add("/".join(parts[:depth]))
    return frozenset(found)


def _built_in(path: str, environments: Collection[str]) -> str:
    parts = path.split("/")
    folders, name = parts[:-1], parts[-1].casefold()
    for folder in folders:
        if folder in _FOLDERS:
            return f"{folder}/"
    if any(tuple(folders[at : at + 2]) == _LOGS for at in range(len(folders))):
        return "/".join(_LOGS)
    if environments and any(parent in environments for parent in parents_of(path)):
        return "virtual environment"
    for pattern in _FILES:
        if fnmatchcase(name, pattern):
            return pattern
    if name.endswith(_RASTERS) and not path.startswith(f"{REGION_FOLDER}/"):
        return "raster outside the region folder"
    return ""


def _names(pattern: str, path: str) -> bool:
    wanted, parts = pattern.strip("/").split("/"), path.split("/")
    if "/" not in pattern.rstrip("/"):
        return any(fnmatchcase(part, wanted[0]) for part in parts)
    return len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted))
