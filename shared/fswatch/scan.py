"""Walk a tree and hand over what lies in it, directory by directory: the truth about a root.

The walk is iterative and lazy: memory is bounded by the names of one directory and the directories
still to be entered, descriptors by a constant, and whoever stops asking stops the walk.
"""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.fswatch.items import Oddity, OddityKind
from shared.fswatch.names import SkipRules, is_utf8, joined
from shared.fswatch.stability import LocalFile
from shared.fswatch.tree import Look, Tree, classify, is_gone, look_failed, reason_of

MOST_IN_A_BATCH = 1000


@dataclass(frozen=True, slots=True)
class ScanBatch:
    """Up to a thousand entries of one directory; an empty directory makes one empty batch."""

    directory: str
    files: tuple[LocalFile, ...]
    """In the order of their names' UTF-8 bytes, over all batches of the directory."""
    oddities: tuple[Oddity, ...]
    opens_directory: bool
    """Whether this is the first batch of its directory."""


def scan_tree(root: Path, rules: SkipRules) -> Generator[ScanBatch, None, None]:
    """Everything below the root; OSError only when the root itself cannot be opened.

    Blocks: for a worker thread. Close the generator when leaving early, it holds descriptors.
    """
    return scan_subtree(root, "", rules)


def scan_subtree(root: Path, relative: str, rules: SkipRules) -> Generator[ScanBatch, None, None]:
    """Everything below one directory of the root, whatever the rules say of its own name.

    A directory that is gone, or was replaced by something else, is silently empty: the next look at
    its parent tells. One that cannot be read is an oddity and delays nothing else.
    """
    with Tree(root) as tree:
        pending = [relative]
        while pending:
            directory = pending.pop()
            if not is_utf8(directory):
                yield _nothing_but(directory, OddityKind.NOT_UTF8, "the name is not valid UTF-8")
                continue
            try:
                names, below = _list_directory(tree.directory(directory), rules)
            except OSError as error:
                if not is_gone(error):
                    kind = OddityKind.UNREADABLE_DIRECTORY
                    yield _nothing_but(directory, kind, reason_of(error))
                continue
            yield from _batches(tree, directory, names)
            # The last one pushed is entered first, so this enters them in order.
            pending.extend(joined(directory, name) for name in reversed(below))


def _nothing_but(directory: str, kind: OddityKind, reason: str) -> ScanBatch:
    return ScanBatch(directory, (), (Oddity(directory, kind, reason),), opens_directory=True)


def _list_directory(descriptor: int, rules: SkipRules) -> tuple[list[str], list[str]]:
    """Sorted names of what is no directory, and of the directories to enter.

    Names only, because a directory may hold very many. Code points sort like their UTF-8 bytes.
    """
    names: list[str] = []
    below: list[str] = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if rules.skips(entry.name):
                continue
            (below if _is_directory(entry) else names).append(entry.name)
    names.sort()
    below.sort()
    return names, below


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        # Some file systems do not say what an entry is, and asking failed: the look tells why.
        return False


def _batches(tree: Tree, directory: str, names: list[str]) -> Iterator[ScanBatch]:
    for start in range(0, max(len(names), 1), MOST_IN_A_BATCH):
        files: list[LocalFile] = []
        oddities: list[Oddity] = []
        for seen in _looks(tree, directory, names[start : start + MOST_IN_A_BATCH]):
            if isinstance(seen, LocalFile):
                files.append(seen)
            elif isinstance(seen, Oddity):
                oddities.append(seen)
        yield ScanBatch(directory, tuple(files), tuple(oddities), opens_directory=start == 0)


def _looks(tree: Tree, directory: str, names: list[str]) -> Iterator[Look]:
    """`tree.look` at many names of one directory, which is opened once."""
    descriptor = tree.directory(directory)
    for name in names:
        path = joined(directory, name)
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            yield look_failed(path, error)
        else:
            yield classify(path, status)
