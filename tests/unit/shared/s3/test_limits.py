from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from shared.s3.limits import AdaptiveLimit, ByteBudget

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def bounded() -> AsyncIterator[None]:
    """Nothing here may hang."""
    with anyio.fail_after(10):
        yield


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await checkpoint()


async def test_requests_in_flight_stay_within_the_limit() -> None:
    """Connections and memory are bounded by it."""
    limit, inside, most = AdaptiveLimit(8), 0, 0

    async def request() -> None:
        nonlocal inside, most
        async with limit:
            inside += 1
            most = max(most, inside)
            await checkpoint()
            inside -= 1

    async with bounded(), anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(request)

    assert most == 8


async def test_failed_request_gives_its_place_back() -> None:
    """Else a storm would leave no places at all."""
    limit = AdaptiveLimit(1)
    for _ in range(3):
        with pytest.raises(OSError, match="lost"):
            async with bounded(), limit:
                raise OSError("lost")


async def test_slow_down_halves_to_a_floor_and_success_grows_back() -> None:
    """Half at once, one more for each round of successes, as TCP does."""
    limit = AdaptiveLimit(64)

    seen = []
    for second in range(6):
        limit.throttled(float(second))
        seen.append(limit.allowed)

    assert seen == [32, 16, 8, 4, 4, 4]
    for _ in range(5):
        limit.succeeded()
    assert limit.allowed == 5
    for _ in range(5000):
        limit.succeeded()
    assert limit.allowed == 64


async def test_refusals_of_one_burst_count_once() -> None:
    """Two hundred answers to the same burst must not end at the floor."""
    limit = AdaptiveLimit(64)

    for number in range(200):
        limit.throttled(number / 1000)

    assert limit.allowed == 32


@pytest.mark.parametrize("most", [1, 3, 4])
async def test_small_limit_never_falls_to_nothing(most: int) -> None:
    """A setting of one request at a time still makes progress in a storm."""
    limit = AdaptiveLimit(most)

    for second in range(10):
        limit.throttled(float(second))

    assert limit.allowed == most


@given(st.lists(st.booleans(), max_size=300), st.integers(min_value=1, max_value=300))
async def test_limit_stays_within_its_bounds(answers: list[bool], most: int) -> None:
    """Whatever the service answers."""
    limit = AdaptiveLimit(most)
    for now, good in enumerate(answers):
        if good:
            limit.succeeded()
        else:
            limit.throttled(float(now))
        assert min(4, most) <= limit.allowed <= most


async def test_bytes_held_stay_within_the_budget() -> None:
    """The memory of the daemon is this and a constant."""
    budget, most = ByteBudget(100), 0

    async def hold(size: int) -> None:
        nonlocal most
        async with budget.reserve(size):
            most = max(most, budget.used)
            await checkpoint()

    async with bounded(), anyio.create_task_group() as tasks:
        for size in [30, 50, 60, 10, 100, 1, 99] * 20:
            tasks.start_soon(hold, size)

    assert most == 100
    assert budget.used == 0


async def test_piece_larger_than_the_budget_goes_alone() -> None:
    """It must not wait for ever, and nothing goes beside it."""
    budget = ByteBudget(10)
    order: list[str] = []

    async def hold(name: str, size: int) -> None:
        async with budget.reserve(size):
            order.append(name)
            await settle()
            assert name != "large" or budget.used == size

    async with bounded(), anyio.create_task_group() as tasks:
        for name, size in [("first", 4), ("large", 50), ("last", 1)]:
            tasks.start_soon(hold, name, size)

    assert order == ["first", "large", "last"]


async def test_small_piece_does_not_overtake() -> None:
    """First come, first served: a stream of small files must not starve a large one."""
    budget = ByteBudget(10)
    order: list[int] = []

    async def hold(size: int) -> None:
        async with budget.reserve(size):
            order.append(size)

    async with bounded(), anyio.create_task_group() as tasks, budget.reserve(6):
        for size in (9, 1, 2):
            tasks.start_soon(hold, size)
            await settle()
        assert order == []

    assert order == [9, 1, 2]


async def test_cancelled_waiter_leaves_no_trace() -> None:
    """Shutting down while files wait for room must free what they waited for."""
    budget = ByteBudget(10)
    got = anyio.Event()

    async def wait_for(size: int, scope: anyio.CancelScope) -> None:
        with scope:
            async with budget.reserve(size):
                got.set()

    async with bounded(), anyio.create_task_group() as tasks, AsyncExitStack() as held:
        await held.enter_async_context(budget.reserve(6))
        impatient = anyio.CancelScope()
        tasks.start_soon(wait_for, 9, impatient)
        tasks.start_soon(wait_for, 3, anyio.CancelScope())
        await settle()
        impatient.cancel()
        await got.wait()

    assert budget.used == 0


async def test_waiter_cancelled_just_after_its_turn_came_gives_it_back() -> None:
    """The moment between being granted and going on is the one that leaks."""
    budget = ByteBudget(10)
    scope = anyio.CancelScope()

    async def wait_for() -> None:
        with scope:
            async with budget.reserve(10):
                await anyio.sleep_forever()

    async with bounded(), anyio.create_task_group() as tasks:
        async with budget.reserve(10):
            tasks.start_soon(wait_for)
            await settle()
        scope.cancel()

    assert budget.used == 0
    async with bounded(), budget.reserve(10):
        assert budget.used == 10
