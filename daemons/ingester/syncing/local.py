"""The local tree as a sorted listing: by the UTF-8 bytes of whole paths in NFC, as S3 sorts keys.

A directory sorts as its name with a `/`: `a-b` comes before what lies in `a`, because `-` is less
than `/`. So the names of one directory are sorted that way and walked depth first, and whole paths
come out in order. Held are the names of the directories on the way to where the walk is, never a
file's facts but those of one piece. Blocks: for a worker thread.

Rule: what cannot be listed is an error and never an empty folder; symbolic links are not followed.
"""

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from daemons.ingester.archive.folders import Folder, comparable, folder_of
from daemons.ingester.syncing.entries import LocalEntry, Problem, name_fault
from daemons.ingester.syncing.merge import twin_reason
from shared.errors import PermanentError
from shared.fswatch.tree import Tree, reason_of
from shared.s3.pinned import PinBroken, identity_of, open_pinned
from shared.s3.store import PinnedFile

PIECE_FILES = 1000
"""Files that are handed out together, as many as a page of S3's listing has."""

_DEEPEST = 64


class LocalListingFailed(PermanentError):
    """A folder cannot be read; what lies in it is not known, so nothing may be decided about it."""


@dataclass(frozen=True, slots=True)
class LocalPiece:
    """Some files in a row, and what was passed over for a reason."""

    entries: Sequence[LocalEntry]
    problems: Sequence[Problem] = ()


def list_folder(root: Path, folder: Folder) -> Generator[LocalPiece, None, None]:
    """Yield the files of a folder of a site in order; nothing where there is no such folder.

    Raises:
        LocalListingFailed: the folder, or one below it, cannot be read.
    """
    try:
        tree = Tree(root)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _failed(root, "", error) from error
    with tree:
        found = _files(tree, root, folder)
        while piece := list(islice(found, PIECE_FILES)):
            yield LocalPiece(
                [entry for entry in piece if isinstance(entry, LocalEntry)],
                [problem for problem in piece if isinstance(problem, Problem)],
            )


def find_entry(root: Path, path: str) -> LocalEntry | None:
    """Look for one file by its path in NFC, which is also its name on disk; None without one."""
    try:
        with Tree(root) as tree:
            return _entry(tree, path, path)
    except OSError:
        return None


def open_entry(root: Path, entry: LocalEntry) -> PinnedFile:
    """Open a listed file for reading; the caller closes it.

    Raises:
        OSError: it cannot be opened, or a link has taken its place.
        PinBroken: it is not the file that was listed any more.
    """
    with Tree(root) as tree:
        return open_in(tree, entry)


def open_in(tree: Tree, entry: LocalEntry) -> PinnedFile:
    """Open one of several listed files below the root of a tree, as `open_entry` does."""
    directory, _, last = entry.name.rpartition("/")
    source = open_pinned(last, directory=tree.directory(directory))
    if (source.identity, source.changed_ns) != (entry.identity, entry.changed_ns):
        os.close(source.descriptor)
        raise PinBroken("it changed after it was listed")
    return source


def _files(tree: Tree, root: Path, folder: Folder) -> Iterator[LocalEntry | Problem]:
    """Walk depth first. The stack holds, for each open directory, what is left of it."""
    stack = [_names(tree, root, folder.value)]
    while stack:
        name = next(stack[-1], None)
        if name is None:
            stack.pop()
        elif isinstance(name, Problem):
            yield name
        elif not name.endswith("/"):
            if found := _look(tree, root, name):
                yield found
        elif len(stack) < _DEEPEST:
            stack.append(_names(tree, root, name[:-1]))
        else:
            yield Problem(_shown(name), f"it lies more than {_DEEPEST} folders deep")


def _names(tree: Tree, root: Path, directory: str) -> Iterator[str | Problem]:
    """Yield what lies in a directory in the order of the listing, directories with a `/`."""
    try:
        with os.scandir(tree.directory(directory)) as entries:
            names = [f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name for e in entries]
    except OSError as error:
        if isinstance(error, FileNotFoundError) and "/" not in directory:
            return
        raise _failed(root, directory, error) from error
    # Backwards, so that names that were walked need not be kept.
    names.sort(key=None if all(map(str.isascii, names)) else _order, reverse=True)
    before = compared_before = ""
    while names:
        name = names.pop()
        path = f"{directory}/{name}"
        if not _takes_part(path, directory):
            continue
        compared = comparable(name)
        if compared == compared_before:
            yield Problem(_shown(path), twin_reason(_shown(f"{directory}/{before}")))
            continue
        before, compared_before = name, compared
        yield path


def _order(name: str) -> tuple[str, bool]:
    """Sort by NFC form; of two that are the same, the one that is in NFC comes first."""
    compared = comparable(name)
    return compared, name != compared


def _takes_part(path: str, directory: str) -> bool:
    if not path.endswith("/"):
        return folder_of(path) is not None
    folder = Folder(directory.partition("/")[0])
    return folder_of(f"{path}any{folder.suffixes[0]}") is not None


def _look(tree: Tree, root: Path, name: str) -> LocalEntry | Problem | None:
    if fault := name_fault(name):
        return Problem(_shown(name), fault)
    try:
        found = _entry(tree, name, comparable(name))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(root, name, error) from error
    return found or Problem(name, "it is no regular file; links are not followed")


def _entry(tree: Tree, name: str, path: str) -> LocalEntry | None:
    directory, _, last = name.rpartition("/")
    status = os.stat(last, dir_fd=tree.directory(directory), follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return None
    return LocalEntry(path, name, identity_of(status), status.st_ctime_ns)


def _failed(root: Path, directory: str, error: OSError) -> LocalListingFailed:
    where = str(root / directory) if directory else str(root)
    return LocalListingFailed(
        f"{_shown(where)!r} cannot be listed: {reason_of(error)}; nothing is decided about it"
    )


def _shown(name: str) -> str:
    """Return a name that can be written down, whatever bytes it has."""
    return name.encode("utf-8", "backslashreplace").decode()
