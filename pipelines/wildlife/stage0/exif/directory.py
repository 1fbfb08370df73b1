"""A directory of an EXIF block, which is one of TIFF. Pure.

Only the fields that are asked for are looked at, and of each only its first bytes; no pointer is
followed here. So loops, counts of billions and offsets to anywhere cost nothing.
"""

import struct
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pipelines.wildlife.stage0.loaded import Loaded

_ENTRY_BYTES = 12
_ENTRIES_MAX = 512
_VALUE_BYTES_MAX = 256
_INLINE_BYTES = 4
_UNIT_BYTES: Mapping[int, int] = MappingProxyType(
    {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
)
"""Bytes of one value of each kind."""


class Damage(ValueError):
    """Something is not where the block says, or not what it must be."""

    def __init__(self, message: str, *, behind_end: bool = False) -> None:
        super().__init__(message)
        self.behind_end = behind_end
        """Whether it would lie behind the block's end."""


@dataclass(frozen=True, slots=True)
class Block:
    """A range of a file with an EXIF block; offsets count from its start."""

    source: Loaded
    start: int
    end: int
    order: str = "<"
    """Of bytes, as `struct` has it."""

    def take(self, offset: int, length: int) -> bytes:
        """Return a range of it; Damage where it ends before."""
        if self.start + offset + length > self.end:
            raise Damage(f"{length} bytes at {offset} are not within it", behind_end=True)
        return self.source.take(self.start + offset, length)


@dataclass(frozen=True, slots=True)
class Field:
    """The value of one tag, as it lies in the block."""

    kind: int
    count: int
    raw: bytes
    """At most its first 256 bytes."""
    order: str


@dataclass(slots=True)
class Directory:
    """What was found of what was asked for."""

    fields: dict[int, Field] = field(default_factory=dict)
    damaged: bool = False


def open_block(source: Loaded, start: int, end: int) -> tuple[Block, int]:
    """Return the block, and where its main directory is; Damage."""
    head = Block(source, start, end).take(0, 8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        raise Damage(f"it begins with {head[:4]!r}")
    return Block(source, start, end, order), int(struct.unpack(f"{order}I", head[4:])[0])


def read_directory(block: Block, offset: int, tags: Container[int]) -> Directory:
    """Read the fields of these tags; Damage where there is no directory.

    A field whose value lies outside of the block is left out, and the directory called damaged.
    """
    (count,) = struct.unpack(f"{block.order}H", block.take(offset, 2))
    table = block.take(offset + 2, min(count, _ENTRIES_MAX) * _ENTRY_BYTES)
    found = Directory(damaged=count > _ENTRIES_MAX)
    for tag, kind, values, inline in struct.iter_unpack(f"{block.order}HHI4s", table):
        if tag in tags and tag not in found.fields:
            try:
                found.fields[tag] = _field(block, kind, values, inline)
            except Damage:
                found.damaged = True
    return found


def _field(block: Block, kind: int, count: int, inline: bytes) -> Field:
    unit = _UNIT_BYTES.get(kind)
    if unit is None or not count:
        raise Damage(f"{count} values of kind {kind}")
    size = unit * count
    if size <= _INLINE_BYTES:
        return Field(kind, count, inline[:size], block.order)
    (offset,) = struct.unpack(f"{block.order}I", inline)
    return Field(kind, count, block.take(offset, min(size, _VALUE_BYTES_MAX)), block.order)
