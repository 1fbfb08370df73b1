"""JSON Lines to and from storage: read piece by piece, written by way of a temporary file."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import anyio.to_thread
from pydantic import TypeAdapter, ValidationError

from pipelines.wildlife.layout import Kind
from pipelines.wildlife.storage.protocol import Storage
from shared.errors import PermanentError

Line = TypeVar("Line")

_LINE_BYTES_MAX = 4 * 1024 * 1024
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
        try:
            yield form.validate_json(line)
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
    with TemporaryDirectory(prefix="wildlife-") as folder:
        path = Path(folder, "lines")

        def write() -> int:
            count = 0
            with path.open("wb") as stream:
                for record in records:
                    stream.write(form.dump_json(record) + b"\n")
                    count += 1
            return count

        written = await anyio.to_thread.run_sync(write)
        await storage.write_file(uri, path, kind=kind)
    return written
