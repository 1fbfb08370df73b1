from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError, SuiteError, TransientError
from shared.retry import GiveUp, RetryBudget, RetryPolicy, Wait, retrying
from shared.s3.errors import (
    Answer,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    ServerError,
    Throttled,
)
from shared.s3.uri import S3Uri

URI = S3Uri("colony-shots", "a.png")


def policy(**fields: float) -> RetryPolicy:
    """Land in the middle of every window."""
    attempts = int(fields.pop("attempts", 5))
    return RetryPolicy(attempts=attempts, random=lambda: 0.5, **fields)


@dataclass
class VirtualClock:
    """A clock that only sleeping moves."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        """Say what time it is."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Move the clock on instead of waiting."""
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Slot:
    """A concurrency slot that notes whether it is held."""

    held: bool = False
    entered: int = 0

    async def __aenter__(self) -> Self:
        self.held = True
        self.entered += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.held = False


@dataclass
class Script:
    """A call whose attempts end as listed; an exception is raised, anything else returned."""

    outcomes: list[Exception | str]
    seen: list[int] = field(default_factory=list)

    async def __call__(self, attempt: int) -> str:
        """End as the script says."""
        self.seen.append(attempt)
        outcome = self.outcomes[len(self.seen) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def run(
    call: Callable[[int], Awaitable[str]],
    clock: VirtualClock,
    *,
    budget: RetryBudget | None = None,
    slot: Slot | None = None,
    deadline: float | None = None,
) -> str:
    """Retry `call` on the virtual clock."""
    return await retrying(
        call,
        policy=policy(),
        budget=budget or RetryBudget(),
        slot=slot,
        deadline=deadline,
        clock=clock.read,
        sleep=clock.sleep,
    )


def test_window_doubles_up_to_the_ceiling() -> None:
    """Waits that do not grow keep an overloaded service down."""
    patient = policy(attempts=99, base_seconds=1.0, ceiling_seconds=10.0)

    waits = [patient.decide(ServerError(URI), attempt, 0.0) for attempt in (1, 2, 3, 4, 5, 60)]

    assert waits == [Wait(0.5), Wait(1.0), Wait(2.0), Wait(4.0), Wait(5.0), Wait(5.0)]


@pytest.mark.parametrize(
    "error",
    [NotFound(URI), OutcomeUnknown(URI), PermanentError("no"), ValueError("bug"), TimeoutError()],
)
def test_only_transient_errors_are_tried_again(error: Exception) -> None:
    """Repeating an unknown outcome could do a thing twice; repeating a refusal is noise."""
    assert isinstance(policy().decide(error, 1, 0.0), GiveUp)


def test_last_attempt_is_not_followed_by_another() -> None:
    """The number of attempts is a promise about traffic."""
    verdict = policy(attempts=3).decide(ServerError(URI), 3, 0.0)

    assert verdict == GiveUp("all 3 attempts failed")


def test_asked_wait_is_kept_with_jitter_on_top() -> None:
    """Coming back sooner than asked prolongs the throttling; all at once restarts it."""
    error = Throttled(URI, Answer("SlowDown", status=503, retry_after=7.0))

    assert policy(base_seconds=1.0).decide(error, 1, 0.0) == Wait(7.5)


def test_asked_wait_longer_than_the_ceiling_gives_up() -> None:
    """An hour's wait belongs to the next pass, not to a call that holds memory."""
    error = Throttled(URI, Answer("SlowDown", status=503, retry_after=3600.0))

    verdict = policy(ceiling_seconds=20.0).decide(error, 1, 0.0)

    assert verdict == GiveUp("asked to wait 3600 s, more than 20 s")


def test_wait_that_would_pass_the_deadline_gives_up_at_once() -> None:
    """Sleeping only to give up afterwards helps nobody."""
    verdict = policy(base_seconds=4.0).decide(ServerError(URI), 1, 9.0, deadline=10.0)

    assert verdict == GiveUp("no time left before the deadline of 10 s")


@given(
    attempt=st.integers(1, 10_000),
    fraction=st.floats(0.0, 1.0, exclude_max=True),
    base=st.floats(0.001, 10.0),
    ceiling=st.floats(0.001, 100.0),
    asked=st.floats(0.0, 200.0),
    elapsed=st.floats(0.0, 1000.0),
    deadline=st.none() | st.floats(0.0, 1000.0),
)
def test_wait_keeps_every_bound(
    *,
    attempt: int,
    fraction: float,
    base: float,
    ceiling: float,
    asked: float,
    elapsed: float,
    deadline: float | None,
) -> None:
    """No combination of numbers may sleep forever, beyond the deadline or shorter than asked."""
    rule = RetryPolicy(20_000, base, ceiling, lambda: fraction)

    verdict = rule.decide(
        Throttled(URI, Answer(retry_after=asked)), attempt, elapsed, deadline=deadline
    )

    if isinstance(verdict, Wait):
        assert asked <= verdict.seconds <= asked + ceiling
        assert asked <= ceiling
        assert deadline is None or elapsed + verdict.seconds < deadline


@given(
    capacity=st.floats(1.0, 1000.0),
    cost=st.floats(1.0, 50.0),
    events=st.lists(st.sampled_from(["fail", "success", "late success"]), max_size=300),
)
def test_budget_bounds_retries_in_any_order(
    capacity: float, cost: float, events: list[str]
) -> None:
    """The bound over all calls is what keeps a storm of failures from becoming one of retries."""
    budget = RetryBudget(capacity, cost, min(1.0, cost))
    successes = 0

    for event in events:
        if event == "fail":
            budget.take()
        else:
            successes += 1
            budget.give_back(after_retry=event == "late success")

        assert 0.0 <= budget.tokens <= capacity
        assert budget.retries <= capacity / cost + successes + 1e-6
    assert budget.retries + budget.refusals == events.count("fail")


@pytest.mark.asyncio
async def test_success_after_failures_is_returned() -> None:
    """The ordinary case: the second or third try works and nobody hears of it."""
    clock, script = VirtualClock(), Script([ServerError(URI), Throttled(URI), "stored"])

    assert await run(script, clock) == "stored"

    assert script.seen == [1, 2, 3]
    assert clock.slept == [0.05, 0.1]


@pytest.mark.asyncio
async def test_last_error_is_raised_with_the_number_of_attempts() -> None:
    """A log line that hides five attempts misleads whoever reads it."""
    errors: list[Exception | str] = [ServerError(URI, Answer("A")) for _ in range(4)]
    last = Throttled(URI, Answer("SlowDown", status=503))

    with pytest.raises(Throttled) as raised:
        await run(Script([*errors, last]), VirtualClock())

    assert raised.value is last
    assert raised.value.answer == Answer("SlowDown", status=503, attempts=5)
    assert raised.value.__notes__ == ["gave up after 5 attempts: all 5 attempts failed"]


@pytest.mark.asyncio
async def test_refusal_after_a_retry_tells_the_attempts() -> None:
    """A 412 on the second attempt may be the first one's own success: the caller must know."""
    script = Script([ServerError(URI), PreconditionFailed(URI, Answer(status=412))])

    with pytest.raises(PreconditionFailed) as raised:
        await run(script, VirtualClock())

    assert raised.value.answer.attempts == 2


@pytest.mark.asyncio
async def test_unknown_outcome_is_raised_at_once() -> None:
    """Only the caller can read back what became of it."""
    script = Script([OutcomeUnknown(URI), "never reached"])

    with pytest.raises(OutcomeUnknown):
        await run(script, VirtualClock())

    assert script.seen == [1]


@pytest.mark.asyncio
async def test_plain_transient_error_carries_a_note() -> None:
    """HTTP and AWS errors have no answer of S3 to write the attempts into."""
    script = Script([TransientError("reset") for _ in range(5)])

    with pytest.raises(SuiteError) as raised:
        await run(script, VirtualClock())

    assert raised.value.__notes__ == ["gave up after 5 attempts: all 5 attempts failed"]


@pytest.mark.asyncio
async def test_waiting_retry_holds_no_slot() -> None:
    """A slot held while sleeping would let a few failing calls stop all the others."""
    slot, clock = Slot(), VirtualClock()
    held_while_sleeping: list[bool] = []
    held_while_calling: list[bool] = []
    script = Script([ServerError(URI), ServerError(URI), "stored"])

    async def call(attempt: int) -> str:
        held_while_calling.append(slot.held)
        return await script(attempt)

    async def sleep(seconds: float) -> None:
        held_while_sleeping.append(slot.held)

    await retrying(
        call, policy=policy(), budget=RetryBudget(), slot=slot, clock=clock.read, sleep=sleep
    )

    assert held_while_calling == [True, True, True]
    assert held_while_sleeping == [False, False]
    assert (slot.entered, slot.held) == (3, False)


@pytest.mark.asyncio
async def test_capacity_limiter_serves_as_slot() -> None:
    """The limiter that the engines use must survive being entered once an attempt."""
    limiter = anyio.CapacityLimiter(1)

    got = await retrying(
        Script([ServerError(URI), "stored"]),
        policy=policy(base_seconds=0.0),
        budget=RetryBudget(),
        slot=limiter,
    )

    assert got == "stored"
    assert limiter.borrowed_tokens == 0


@pytest.mark.asyncio
async def test_storm_is_bounded_over_all_calls() -> None:
    """A thousand failing calls must not send five thousand requests."""
    budget, clock = RetryBudget(capacity=500.0, cost=5.0), VirtualClock()
    requests = 0

    async def fail(attempt: int) -> str:
        nonlocal requests
        requests += 1
        raise Throttled(URI)

    for _ in range(1000):
        with pytest.raises(Throttled):
            await run(fail, clock, budget=budget)

    assert requests == 1000 + 100
    assert budget.retries == 100


@pytest.mark.asyncio
async def test_answers_refill_a_dry_budget() -> None:
    """After the storm retries must come back by themselves, also where every answer is a 404."""
    budget, clock = RetryBudget(capacity=5.0, cost=5.0), VirtualClock()
    budget.take()

    for _ in range(5):
        with pytest.raises(NotFound):
            await run(Script([NotFound(URI)]), clock, budget=budget)

    assert await run(Script([ServerError(URI), "stored"]), clock, budget=budget) == "stored"
    assert budget.tokens == 5.0


@pytest.mark.asyncio
async def test_deadline_counts_what_the_attempts_took() -> None:
    """A slow failure uses up the deadline as surely as a wait does."""
    clock = VirtualClock()

    async def slow(attempt: int) -> str:
        clock.now += 6.0
        raise ServerError(URI)

    with pytest.raises(ServerError) as raised:
        await run(slow, clock, deadline=10.0)

    assert raised.value.answer.attempts == 2


@pytest.mark.asyncio
async def test_cancelled_wait_ends_the_call() -> None:
    """A stopping daemon must not be held up by a retry."""
    with anyio.CancelScope() as scope:

        async def sleep(seconds: float) -> None:
            scope.cancel()
            await anyio.sleep_forever()

        await retrying(
            Script([ServerError(URI), "never reached"]),
            policy=policy(),
            budget=RetryBudget(),
            sleep=sleep,
        )

    assert scope.cancelled_caught
