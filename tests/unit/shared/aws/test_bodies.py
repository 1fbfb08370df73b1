from collections.abc import Callable

import anyio
import pytest
from aiohttp.abc import AbstractStreamWriter

from shared.aws import body
from shared.aws.body import STREAMED_PIECE, StreamedBody, StreamedPayload

SIZE = 3 * STREAMED_PIECE + 17
CONTENT = bytes(range(256)) * (SIZE // 256 + 1)


class Taking(AbstractStreamWriter):
    """A connection that takes a piece once it is told to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.offered = anyio.Event()
        self.takes = anyio.Event()

    async def write(self, chunk: object) -> None:
        """Be offered a piece, and take it later."""
        self.offered.set()
        await self.takes.wait()
        assert isinstance(chunk, bytearray)
        self.pieces.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Not called by a body."""

    async def drain(self) -> None:
        """Not called by a body."""

    def enable_compression(self, *named: object, **others: object) -> None:
        """Not called by a body."""

    def enable_chunking(self) -> None:
        """Not called by a body."""

    async def write_headers(self, *named: object) -> None:
        """Not called by a body."""


def streamed(reads: list[int], progress: Callable[[], None] = lambda: None) -> StreamedBody:
    """Make a body that notes what is read of it."""

    def begin() -> Callable[[int, int], bytearray]:
        def read(offset: int, count: int) -> bytearray:
            reads.append(offset)
            return bytearray(CONTENT[offset : offset + count])

        return read

    return StreamedBody(SIZE, begin, progress)


@pytest.mark.asyncio
async def test_next_piece_is_read_when_the_last_one_was_taken() -> None:
    """A slow connection must not fill the memory with what it has not taken."""
    reads: list[int] = []
    taking = Taking()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(StreamedPayload(streamed(reads)).write, taking)
            await taking.offered.wait()
            read_ahead = list(reads)
            taking.takes.set()

    assert read_ahead == [0]
    assert b"".join(taking.pieces) == CONTENT[:SIZE]


@pytest.mark.asyncio
async def test_connection_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that drops what it is sent would hold an upload for hours."""
    monkeypatch.setattr(body, "_STALL_SECONDS", 0.01)

    with pytest.raises(TimeoutError):
        await StreamedPayload(streamed([])).write(Taking())


@pytest.mark.asyncio
async def test_each_piece_is_a_sign_of_progress() -> None:
    """A watchdog must not end a daemon that sends five gigabytes."""
    told: list[int] = []
    taking = Taking()
    taking.takes.set()

    await StreamedPayload(streamed([], lambda: told.append(1))).write(taking)

    assert len(told) == 4


@pytest.mark.asyncio
async def test_no_more_is_sent_than_was_promised() -> None:
    """The head of the request says a length, and another request may follow."""
    taking = Taking()
    taking.takes.set()

    await StreamedPayload(streamed([])).write_with_length(taking, STREAMED_PIECE + 1)

    assert b"".join(taking.pieces) == CONTENT[: STREAMED_PIECE + 1]


def test_whoever_signs_reads_it_as_a_file() -> None:
    """The SDK hashes what it signs, and leaves the position where it was."""
    source = streamed([])

    first, again = source.read(5), source.seek(0)
    rest = source.read()

    assert (len(source), bytes(first), again) == (SIZE, CONTENT[:5], 0)
    assert rest == CONTENT[:SIZE]
    assert source.read(5) == b""
    assert source.seek(0, 2) == source.tell() == SIZE
