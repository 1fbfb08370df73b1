"""The one retry policy, for S3, HTTP and AWS calls; what it gives up on waits for the next pass.

Three bounds hold at once. The policy bounds one call: attempts, waits, deadline. The budget bounds
all calls together: in a storm, when nothing is answered, it runs dry and each gets one attempt.
The slot bounds what is in flight: a retry that waits has given its slot back.

| the attempt ended in                        | what happens                                   |
|---------------------------------------------|------------------------------------------------|
| TransientError                              | wait and try again, as far as the bounds allow |
| TransientError asking for more than we wait | raised: coming back sooner would be impolite   |
| OutcomeUnknown                              | raised: only the caller can read back          |
| PermanentError, anything else, cancellation | raised                                         |
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import anyio

from shared.errors import PermanentError, SuiteError, TransientError

Result = TypeVar("Result")

_DOUBLINGS_MAX = 32
"""Enough to reach any ceiling; an exponent without a limit overflows a float."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Raise the error now; `reason` is for a log line."""

    reason: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon one call is tried again: full jitter under a doubling window.

    Full jitter, and not the decorrelated kind: as good against herds, and the wait depends on the
    number of the attempt alone, so that the decision needs no memory.
    """

    attempts: int = 5
    """Attempts in all, the first one included."""
    base_seconds: float = 0.1
    """The window of the first wait; each further window is twice as wide."""
    ceiling_seconds: float = 20.0
    """The widest window, and the longest wait a service may ask for before we leave it alone."""
    random: Callable[[], float] = random.random
    """Where in the window to land, from 0 up to but not including 1."""

    def decide(
        self, error: Exception, attempt: int, elapsed: float, deadline: float | None = None
    ) -> Wait | GiveUp:
        """Say what follows the `attempt`-th attempt (counted from 1) that ended in `error`.

        `elapsed` and `deadline` are seconds since the call began. A wait that a service asked for
        is never cut short; the jitter comes on top, or all who were asked would come back at once.
        """
        if not isinstance(error, TransientError):
            return GiveUp("not worth another try")
        if attempt >= self.attempts:
            return GiveUp(f"all {self.attempts} attempts failed")
        asked = error.retry_after
        if asked > self.ceiling_seconds:
            return GiveUp(f"asked to wait {asked:g} s, more than {self.ceiling_seconds:g} s")
        doubled = self.base_seconds * 2.0 ** min(attempt - 1, _DOUBLINGS_MAX)
        seconds = max(asked, 0.0) + self.random() * min(self.ceiling_seconds, doubled)
        if deadline is not None and elapsed + seconds >= deadline:
            return GiveUp(f"no time left before the deadline of {deadline:g} s")
        return Wait(seconds)


class RetryBudget:
    """A token bucket that every call of one service shares: retries cost, answers give back.

    However many calls fail, retries never exceed `capacity / cost` plus the number of answers.
    The figures are those of the AWS SDKs' standard mode: a hundred retries, then one attempt each.
    """

    def __init__(self, capacity: float = 500.0, cost: float = 5.0, gain: float = 1.0) -> None:
        self._capacity = capacity
        self._cost = cost
        self._gain = gain
        self._tokens = capacity
        self.retries = 0
        """Retries granted so far."""
        self.refusals = 0
        """Retries refused so far: not zero means that a storm was, or is, on."""

    @property
    def tokens(self) -> float:
        """What is left."""
        return self._tokens

    def take(self) -> bool:
        """Pay for one retry, or say that it must not happen."""
        if self._tokens < self._cost:
            self.refusals += 1
            return False
        self._tokens -= self._cost
        self.retries += 1
        return True

    def give_back(self, *, after_retry: bool) -> None:
        """Note an answer: one that needed a retry refunds it, any other adds a little.

        A refusal for good (404, 412) is an answer too: the service is well and says no.
        """
        gained = self._cost if after_retry else self._gain
        self._tokens = min(self._capacity, self._tokens + gained)


async def retrying(
    call: Callable[[int], Awaitable[Result]],
    *,
    policy: RetryPolicy,
    budget: RetryBudget,
    slot: AbstractAsyncContextManager[object] | None = None,
    deadline: float | None = None,
    clock: Callable[[], float] = anyio.current_time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Result:
    """Await `call(attempt)`, attempts counted from 1, until it succeeds or the bounds are reached.

    `slot` is entered for each attempt and left before each wait, so it must be reusable, as
    `anyio.CapacityLimiter` is. `deadline` decides whether there is another attempt; an attempt
    under way is not cut off, since only the call knows what its own end would leave behind.

    Raises:
        SuiteError: the last error; it was told how many attempts were made, and a note says why
            there were no more.
    """
    began = clock()
    attempt = 1
    while True:
        try:
            async with slot or nullcontext():
                result = await call(attempt)
        except SuiteError as error:
            verdict = policy.decide(error, attempt, clock() - began, deadline)
            if isinstance(verdict, Wait) and not budget.take():
                verdict = GiveUp("the retry budget is used up")
            if isinstance(verdict, GiveUp):
                if isinstance(error, PermanentError):
                    budget.give_back(after_retry=attempt > 1)
                _note(error, attempt, verdict.reason)
                raise
        else:
            budget.give_back(after_retry=attempt > 1)
            return result
        await sleep(verdict.seconds)
        attempt += 1


def _note(error: SuiteError, attempts: int, reason: str) -> None:
    """Write the number of attempts where log lines look for it."""
    error.note_attempts(attempts)
    if attempts > 1:
        error.add_note(f"gave up after {attempts} attempts: {reason}")
