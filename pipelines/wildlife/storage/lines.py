"""JSON Lines to and from storage: read piece by piece, written by way of a temporary file."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

import anyio.to_thread
from pydantic import TypeAdapter, ValidationError

from pipelines.wildlife.layout import Kind
from pipelines.wildlife.storage.protocol import Storage
from shared.errors import PermanentError

Line = TypeVar("Line")

_LINE_BYTES_MAX = 4 * 1024 * 1024
_BATCH_BYTES = 512 * 1024
_SHOWN = 200


class BadLine(PermanentError):
    """A line of a manifest is not what it should be."""


async def read_lines(storage: Storage, uri: str) -> AsyncIterator[bytes]:
    """Yield the lines of an object without their ends, empty ones left out; BadLine if too long."""
    rest = b""
    async for piece in storage.stream(uri):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line:
                yield line
        if len(rest) > _LINE_BYTES_MAX:
            raise BadLine(f"{uri!r} has a line of more than {_LINE_BYTES_MAX} bytes")
    if rest:
        yield rest


async def read_records(
    storage: Storage, uri: str, form: "TypeAdapter[Line]"
) -> AsyncIterator[Line]:
    """Yield each line as what it stands for; BadLine names the first that is no such thing."""
    number = 0
    async for line in read_lines(storage, uri):
        number += 1
        yield _parse_line(uri, number, line, form)


@dataclass(frozen=True, slots=True)
class Block:
    """Some hundred whole lines of an object; there may be empty ones, which do not count."""

    uri: str
    before: int
    """Lines in front of these."""
    text: bytes


class BlockForm(Generic[Line]):
    """What the lines of a block stand for; fields that `kind` does not have are left aside."""

    def __init__(self, kind: type[Line]) -> None:
        self._one: TypeAdapter[Line] = TypeAdapter(kind)
        self._many: TypeAdapter[list[Line]] = TypeAdapter(list[kind])  # type: ignore[valid-type]  # kind varies

    def parse(self, block: Block) -> list[Line]:
        """Parse lines as one list, which is quick; one by one to find the bad one if that fails."""
        whole = block.text.rstrip(b"\n")
        try:
            records = self._many.validate_json(b"[" + whole.replace(b"\n", b",") + b"]")
        except ValidationError:
            records = []
        if len(records) == whole.count(b"\n") + 1:
            return records
        lines = enumerate(filter(None, whole.split(b"\n")), block.before + 1)
        return [_parse_line(block.uri, number, line, self._one) for number, line in lines]


async def read_batches(
    storage: Storage, uri: str, kind: type[Line]
) -> AsyncGenerator[list[Line], None]:
    """Yield what `read_records` does, some hundred at a time, at half its cost, made in a thread.

    Fields of a line that `kind` does not have are left aside.
    """
    async with aclosing(read_blocks(storage, uri, BlockForm(kind).parse)) as batches:
        async for batch in batches:
            yield batch


async def read_blocks(
    storage: Storage, uri: str, parse: Callable[[Block], list[Line]]
) -> AsyncGenerator[list[Line], None]:
    """Yield what `parse`, in a thread, makes of some hundred lines: a value for each not empty."""
    number, rest = 0, b""
    async for piece in storage.stream(uri):
        rest += piece
        end = rest.rfind(b"\n")
        if end < 0 and len(rest) > _LINE_BYTES_MAX:
            raise BadLine(f"{uri!r} has a line of more than {_LINE_BYTES_MAX} bytes")
        if end >= 0 and len(rest) >= _BATCH_BYTES:
            block, rest = Block(uri, number, rest[:end]), rest[end + 1 :]
            values = await anyio.to_thread.run_sync(parse, block)
            number += len(values)
            yield values
    if rest:
        yield await anyio.to_thread.run_sync(parse, Block(uri, number, rest))


def _parse_line(uri: str, number: int, line: bytes, form: "TypeAdapter[Line]") -> Line:
    try:
        return form.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:_SHOWN]
        raise BadLine(f"{uri!r} line {number}: {where}: {first['msg'][:_SHOWN]}") from error


async def write_records(
    storage: Storage,
    uri: str,
    form: "TypeAdapter[Line]",
    records: Iterable[Line],
    *,
    kind: Kind = Kind.MANIFEST,
) -> int:
    """Write records one a line, whole or not at all, and return how many; a generator is fine.

    The records are made and written in a thread.
    """
    lines = (form.dump_json(record) + b"\n" for record in records)
    return await write_pieces(storage, uri, lines, kind=kind)


async def write_pieces(storage: Storage, uri: str, pieces: Iterable[bytes], *, kind: Kind) -> int:
    """Write pieces one behind the other, made in a thread, and return how many there were."""
    with TemporaryDirectory(prefix="wildlife-") as folder:
        path = Path(folder, "pieces")

        def write() -> int:
            count = 0
            with path.open("wb") as stream:
                for piece in pieces:
                    stream.write(piece)
                    count += 1
            return count

        written = await anyio.to_thread.run_sync(write)
        await storage.write_file(uri, path, kind=kind)
    return written
