"""What the steps have left to be pushed: looked at once, through descriptors that stay open.

A step that says it went well is not believed: a result is pushed when its table is whole and its
qc.txt says the same of it. What is pushed is what was looked at, whatever becomes of the path.
These calls block: use them through `anyio.to_thread`.

| found in the folder                                          | then                            |
|--------------------------------------------------------------|---------------------------------|
| no table, no qc.txt, or either is no plain file              | BadOutput                       |
| a table without `row_id`, ragged, not UTF-8, or endless        | BadOutput                       |
| qc.txt says nothing of rows, or another number than there are| BadOutput                       |
| other plain files with plain names                           | pushed too                      |
| anything else                                                | left, and named in the log      |
"""

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shared.handshake import tables
from shared.handshake.layout import closest_name, quality_name
from shared.handshake.manifest import FILES_MAX, ResultFile
from shared.handshake.tables import QUALITY_BYTES_MAX, NotATable, parse_quality
from shared.s3.pinned import PinBroken, checksum_of, pinned
from shared.s3.store import PinnedFile

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class BadOutput(Exception):
    """The steps left no result that could be pushed; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Output:
    """One file to push, open and pinned."""

    file: ResultFile
    pinned: PinnedFile


@dataclass(frozen=True, slots=True)
class Outputs:
    """All that is pushed, in the order in which it is: qc.txt first, the table last."""

    files: tuple[Output, ...]
    rows: int
    left: tuple[str, ...]
    """Names of what is not pushed."""


def open_outputs(folder: Path, cid: str, *, limit: int, stack: ExitStack) -> Outputs:
    """Open, check and sum up what is to be pushed; the files stay open as long as the stack.

    Raises:
        BadOutput: it is no result.
        OSError: the disk failed.
    """
    table, quality = closest_name(cid), quality_name(cid)
    others, left = _others(folder, {table, quality})
    opened = {name: _open(folder / name, limit, stack) for name in (quality, *others, table)}
    rows = count_rows(opened[table], table)
    said = read_rows(opened[quality], quality)
    if said != rows:
        raise BadOutput(f"{quality!r} says rows={said}, and {table!r} has {rows}")
    try:
        files = tuple(
            Output(ResultFile(name, file.identity.size, checksum_of(file, "crc64nvme")), file)
            for name, file in opened.items()
        )
    except PinBroken as error:
        raise BadOutput(f"a file changes although its step has ended: {error}") from None
    return Outputs(files, rows, left)


def _others(folder: Path, expected: set[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """Return what else there is: what can be pushed, and what cannot."""
    others: list[str] = []
    left: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in expected:
                continue
            plain = entry.is_file(follow_symlinks=False) and _NAME.fullmatch(entry.name)
            (others if plain else left).append(entry.name)
            if len(others) + len(left) > FILES_MAX - len(expected):
                raise BadOutput(f"more than {FILES_MAX} files were left to be pushed")
    return sorted(others), tuple(sorted(left))


def _open(path: Path, limit: int, stack: ExitStack) -> PinnedFile:
    try:
        file = stack.enter_context(pinned(str(path)))
    except FileNotFoundError:
        raise BadOutput(f"{path.name!r} was not written") from None
    except PinBroken as error:
        raise BadOutput(f"{path.name!r}: {error}") from None
    except OSError as error:
        raise BadOutput(f"{path.name!r} cannot be read: {error.strerror}") from error
    if file.identity.size > limit:
        raise BadOutput(f"{path.name!r} has {file.identity.size} bytes; allowed are {limit}")
    return file


def count_rows(file: PinnedFile, name: str) -> int:
    """Return how many rows a table has below its header; BadOutput when it is none."""
    with os.fdopen(os.dup(file.descriptor), "rb") as stream:
        stream.seek(0)
        try:
            return tables.count_rows(stream)
        except NotATable as error:
            raise BadOutput(f"{name!r} is no table: {error}") from None


def read_rows(file: PinnedFile, name: str) -> int:
    """Return how many rows a qc.txt speaks of; BadOutput when it does not say."""
    text = os.pread(file.descriptor, QUALITY_BYTES_MAX + 1, 0)
    try:
        return parse_quality(text).rows
    except ValueError as error:
        raise BadOutput(f"{name!r}: {error}") from None
