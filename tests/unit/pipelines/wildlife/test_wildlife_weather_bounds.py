"""How often is asked, how much is taken, and how long somebody waits who was told to."""

from datetime import UTC, datetime

import anyio
import pytest

from pipelines.wildlife.weather.bodies import Lines, Whole
from pipelines.wildlife.weather.client import retry_after_seconds
from pipelines.wildlife.weather.pace import Pace
from tests.support.virtual_time import run_in_virtual_time

NOW = datetime(2025, 6, 11, 12, tzinfo=UTC)


def test_requests_begin_an_interval_apart() -> None:
    """At most one a second on average, however many want to ask."""
    began: list[float] = []

    async def main() -> None:
        pace = Pace(1.0)
        start = anyio.current_time()

        async def ask() -> None:
            await pace.turn()
            began.append(anyio.current_time() - start)

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(ask)
        await anyio.sleep(10)
        await ask()

    run_in_virtual_time(main)

    assert began == pytest.approx([0, 1, 2, 3, 13], abs=0.01)


def test_who_was_told_to_wait_makes_all_wait() -> None:
    """A provider that has too many requests has them from all of us, and none comes back early."""
    began: list[float] = []

    async def main() -> None:
        pace = Pace(1.0)
        start = anyio.current_time()

        async def ask() -> None:
            await pace.turn()
            began.append(anyio.current_time() - start)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
            await anyio.sleep(0.5)
            pace.hold(30)
            await ask()

    run_in_virtual_time(main)

    assert began == pytest.approx([0, 30.5, 31.5], abs=0.01)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("99999999999", 86_400),
        ("Wed, 11 Jun 2025 12:00:05 GMT", 5),
        ("Wed, 11 Jun 2025 11:00:00 GMT", 0),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
        ("٣", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    """Both are allowed; nonsense is as good as nothing."""
    assert retry_after_seconds(text, NOW) == seconds


def test_a_body_is_read_when_it_is_whole_and_not_too_large() -> None:
    """Memory does not grow with what somebody sends."""
    reader = Whole(bytes.upper, most=6)
    reader.feed(b"abc")
    reader.feed(b"def")

    assert reader.result() == b"ABCDEF"
    with pytest.raises(ValueError, match="more than 6 bytes"):
        reader.feed(b"g")


def test_lines_are_read_across_pieces_and_bounded() -> None:
    """Of an archive of decades a few lines are kept; a line without an end is not waited for."""
    reader = Lines(lambda line: line if line.startswith(b"a") else None, most=200_000)
    for piece in (b"a1\nb", b"1\na", b"2\n\na3"):
        reader.feed(piece)

    assert reader.result() == [b"a1", b"a2", b"a3"]
    with pytest.raises(ValueError, match="a line of more than"):
        reader.feed(b"x" * 70_000)
    with pytest.raises(ValueError, match="more than 200000 bytes"):
        reader.feed(b"\n" * 140_000)
