from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from daemons.ingester.account.sessions import RoleKeys, RoleRefused, RoleUnavailable
from shared.aws.credentials import Keys

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Sts:
    """Gives keys for an hour, at a time that the test sets, or fails."""

    now: datetime = NOON
    failure: Exception | None = None
    asked: int = 0
    given: list[str] = field(default_factory=list)

    async def assume(self) -> Keys:
        """Give keys, after others had their turn."""
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        self.given.append(f"ASIA{self.asked}")
        return Keys(self.given[-1], "secret", "token", self.now + HOUR)

    def keys(self, clock: Callable[[], float] = lambda: 0.0) -> RoleKeys:
        """Make the source that asks here."""
        return RoleKeys(self.assume, now=lambda: self.now, clock=clock)


async def fetched(source: RoleKeys, refused: str = "") -> str:
    """Return the id of the keys that the source has."""
    return (await source.fetch(refused=refused)).access_key_id


@pytest.mark.asyncio
async def test_whoever_asks_at_once_gets_the_same_keys() -> None:
    """Eight uploads begin together, and one AssumeRole is enough."""
    sts = Sts()
    source = sts.keys()

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(fetched, source)

    assert sts.asked == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("left", "asked"), [(301, 1), (300, 1), (299, 2)])
async def test_keys_are_renewed_when_five_minutes_are_left(left: int, asked: int) -> None:
    """Later, a request could be signed in time and arrive too late."""
    sts = Sts()
    source = sts.keys()
    await fetched(source)
    sts.now += HOUR - timedelta(seconds=left)

    await fetched(source)

    assert sts.asked == asked


@pytest.mark.asyncio
async def test_refused_keys_are_replaced_once() -> None:
    """Two sessions that are refused the same keys share what replaces them."""
    sts = Sts()
    source = sts.keys()
    first = await fetched(source)

    second = await fetched(source, refused=first)
    third = await fetched(source, refused=first)

    assert first != second == third
    assert sts.asked == 2


@pytest.mark.asyncio
async def test_refused_keys_do_not_serve_while_sts_is_away() -> None:
    """They are good by our clock, and by nobody else's."""
    sts = Sts()
    source = sts.keys()
    first = await fetched(source)
    sts.failure = RoleUnavailable("503")

    with pytest.raises(RoleUnavailable):
        await fetched(source, refused=first)


@pytest.mark.asyncio
async def test_keys_about_to_expire_do_not_serve_either() -> None:
    """A minute is too short for a file."""
    sts = Sts()
    source = sts.keys()
    await fetched(source)
    sts.now += HOUR - timedelta(seconds=59)
    sts.failure = RoleUnavailable("503")

    with pytest.raises(RoleUnavailable):
        await fetched(source)


@pytest.mark.asyncio
async def test_failure_is_remembered_for_a_while_and_not_for_ever() -> None:
    """Thousands of files that need keys must not become thousands of questions."""
    at = 0.0
    sts = Sts(failure=RoleRefused("denied"))
    source = sts.keys(lambda: at)
    for _ in range(3):
        with pytest.raises(RoleRefused, match="denied"):
            await fetched(source)
    asked_at_first = sts.asked
    at, sts.failure = 30.0, None

    await fetched(source)

    assert (asked_at_first, sts.asked) == (1, 2)
