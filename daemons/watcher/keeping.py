"""Keeps a claim while its CID is worked on, and writes its end against the odds.

Rule: a lease that cannot be written now is tried again within bounds; then it is left to end by
itself, which costs others only time.
"""

import socket
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import count

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from daemons.watcher.outcome import Ending, Outcome, Target
from daemons.watcher.plan import Blamed, Halted
from shared.handshake.claims import Claim, LeaseLost
from shared.handshake.failure import FailureReport
from shared.handshake.layout import Runout
from shared.s3.errors import ObjectError
from shared.schedule import Pace, back_off_seconds

log: FilteringBoundLogger = structlog.get_logger()

_BEATS_PER_LEASE = 4
_GIVE_BACK_SECONDS = 8.0
_GIVE_BACK_TRIES = 3
_COMMIT_TRIES = 6
_PATIENCE = Pace(interval_seconds=0, first_back_off_seconds=0.5, longest_back_off_seconds=120)


class LeaseKeeper:
    """Looks after one claim."""

    def __init__(
        self, claim: Claim, target: Target, *, lease_seconds: float, clock: Callable[[], datetime]
    ) -> None:
        self.claim = claim
        self.lost = False
        self._target = target
        self._lease_seconds = lease_seconds
        self._clock = clock

    async def beat(self, at_beat: Callable[[], Awaitable[None]], over: anyio.CancelScope) -> None:
        """Renew until cancelled; a claim that was lost cancels everything that is done for it."""
        while True:
            await anyio.sleep(self._lease_seconds / _BEATS_PER_LEASE)
            try:
                await self.claim.renew()
            except LeaseLost:
                self.lost = True
                over.cancel()
                return
            except ObjectError as error:
                # The work goes on: whether the claim still stands, its next write will tell.
                log.warning("heartbeat_failed", code=error.code, reason=str(error))
            await at_beat()

    async def commit(self, runout: Runout, leave: anyio.Event) -> None:
        """Make the runout the one that counts; LeaseLost. Left in doubt, the last error is raised.

        Raises:
            shared.s3.errors: it may have been committed; the lease tells, sooner or later.
        """
        for failures in count(1):
            try:
                await self.claim.commit(runout)
            except ObjectError as error:
                log.warning("commit_failed", runout=str(runout), code=error.code, reason=str(error))
                if failures >= _COMMIT_TRIES:
                    raise
                await rest(back_off(failures), leave)
            else:
                return

    async def end(self, why: Blamed | Halted, attempts_max: int) -> Outcome:
        """Give the CID back, or park it, as its failure deserves."""
        target, lease = self._target, self.claim.lease
        if isinstance(why, Halted):
            kept = await self._finally(lambda: self.claim.release(why.reason))
            return self._ended(kept, Ending.HALTED, why, lease.attempts)
        attempts = lease.attempts + 1
        if attempts < attempts_max:
            kept = await self._finally(lambda: self.claim.fail(why.reason))
            return self._ended(kept, Ending.FAILED, why, attempts)
        report = FailureReport(
            cid=target.cid,
            job=lease.job,
            step=why.step,
            reason=why.reason,
            exit_status=why.exit_status,
            attempts=attempts,
            host=socket.gethostname(),
            failed_at=self._clock().isoformat(timespec="seconds"),
            log_tail=why.tail,
        )
        kept = await self._finally(lambda: self.claim.park(report))
        return self._ended(kept, Ending.PARKED, why, attempts)

    async def release(self, reason: str) -> Outcome:
        """Give the CID back unharmed, also while everything is being cancelled."""
        kept = await self._finally(lambda: self.claim.release(reason))
        return Outcome(self._target, Ending.RELEASED if kept else Ending.LOST, reason)

    def _ended(self, kept: bool, ending: Ending, why: Blamed | Halted, attempts: int) -> Outcome:  # noqa: FBT001 - private
        chosen = ending if kept else Ending.LOST
        return Outcome(self._target, chosen, why.reason, why, attempts)

    async def _finally(self, write: Callable[[], Awaitable[None]]) -> bool:
        """Write the end of the claim within bounds; False when it was lost before."""
        with anyio.move_on_after(_GIVE_BACK_SECONDS, shield=True) as bound:
            for tries in range(1, _GIVE_BACK_TRIES + 1):
                try:
                    await write()
                except LeaseLost:
                    return False
                except ObjectError as error:
                    log.warning("lease_not_written", code=error.code, reason=str(error))
                    if tries < _GIVE_BACK_TRIES:
                        await anyio.sleep(back_off(tries))
                else:
                    break
        if bound.cancelled_caught:
            log.warning("lease_not_written", reason="S3 does not answer; the lease ends by itself")
        return True


def back_off(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    return back_off_seconds(failures, _PATIENCE, chance=0.5)


async def rest(seconds: float, leave: anyio.Event) -> bool:
    """Wait, at most until it is time to leave; tell whether it is."""
    with anyio.move_on_after(seconds):
        await leave.wait()
    return leave.is_set()
