"""The time of one run as scopes that end its parts, and a way to end them sooner."""

import anyio

from pipelines.glacier.run.deadline import (
    STOP_ANSWER_SECONDS,
    STOP_SECONDS,
    plan_budget,
)


class Limits:
    """How long the step, and all work, of one run may take; made within the event loop."""

    def __init__(self, remaining_seconds: float) -> None:
        self._ends_at = anyio.current_time() + remaining_seconds
        self.step = anyio.CancelScope()
        """Ends the step."""
        self.work = anyio.CancelScope()
        """Ends everything but the record and the answer."""
        self.stopped = False
        """Whether somebody asked for the end, and not the clock."""

    @property
    def remaining_seconds(self) -> float:
        """What is left until the platform ends everything."""
        return self._ends_at - anyio.current_time()

    @property
    def is_over(self) -> bool:
        """Tell whether the step has no time left."""
        return self.step.deadline <= anyio.current_time()

    def arm(self, *, keeps_raw_tiles: bool, reserve_seconds: float | None) -> None:
        """Set both ends, now that it is known what the job needs behind its step."""
        budget = plan_budget(
            self.remaining_seconds,
            keeps_raw_tiles=keeps_raw_tiles,
            reserve_seconds=reserve_seconds,
        )
        self._shorten(budget.step_seconds, budget.work_seconds)

    def stop(self) -> None:
        """End the step at once, and all work soon: a signal says that a kill will follow."""
        self.stopped = True
        self._ends_at = min(self._ends_at, anyio.current_time() + STOP_SECONDS)
        self._shorten(0.0, STOP_SECONDS - STOP_ANSWER_SECONDS)

    def _shorten(self, step_seconds: float, work_seconds: float) -> None:
        now = anyio.current_time()
        self.step.deadline = min(self.step.deadline, now + step_seconds)
        self.work.deadline = min(self.work.deadline, now + work_seconds)
