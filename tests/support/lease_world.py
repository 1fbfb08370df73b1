"""Any number of small watchers on one bucket in memory, one request at a time, in an order of dice.

Every request is held until the world lets it go. In between, processes crash and are born again,
sleep beyond the time to live, lose answers, and have requests on the way that arrive long after
everybody has given them up. The same seed gives the same world.
"""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from shared.handshake.claims import Claim, LeaseBook, LeaseLost
from shared.handshake.layout import JobFolder, Runout
from shared.handshake.lease import LeaseState, LeaseWatch, Owner, parse_lease
from shared.handshake.listing import list_results
from shared.s3.errors import ObjectError, OutcomeUnknown, PreconditionFailed, Unreachable
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.store import ABSENT, ALWAYS, Download, Evidence, ObjectInfo, Stored, When
from shared.s3.uri import S3Uri
from tests.support.lease_model import LeaseModel
from tests.support.leasing import BUCKET, LAYOUT, report

TIME_TO_LIVE = 60.0
ATTEMPTS_MAX = 2
_YIELDS = 10
"""Turns of the loop after which everybody is held again: a request passes a few checkpoints."""
_NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Dice:
    """How often what goes wrong, per request or step of the world."""

    lost_before: float = 0.03
    lost_after: float = 0.03
    late: float = 0.02
    crash: float = 0.01
    sleep: float = 0.02


CALM = Dice(0, 0, 0, 0, 0)


@dataclass(slots=True, eq=False)
class Held:
    """A request, or a pause, that waits for its turn."""

    host: str
    go: anyio.Event = field(default_factory=anyio.Event)


@dataclass(frozen=True, slots=True)
class Write:
    """A write on its way."""

    process: str
    uri: S3Uri
    body: bytes
    when: When


class World:
    """The bucket, the processes, and what has happened."""

    def __init__(self, seed: int, *, hosts: int, cids: Sequence[str], poison: set[str]) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - dice that fall the same way again
        self.odds = Dice()
        self.buckets = MemoryBuckets(BUCKET)
        self.now = 0.0
        self.cids = cids
        self.poison = poison
        self.hosts = [f"host-{number}" for number in range(hosts)]
        self.skew = {host: self.dice.uniform(-1e6, 1e6) for host in [*self.hosts, "person"]}
        self.recorded: dict[str, Runout] = {}
        self.births = 0
        self.crashes = 0
        self.sleeps = 0
        self.model = LeaseModel(self._is_complete)
        self._held: list[Held] = []
        self._asleep: dict[str, float] = {}
        self._late: list[Write] = []
        self._lives: dict[str, anyio.CancelScope] = {}
        self._disks = {host: host for host in self.hosts}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Run the processes for the length of a block."""
        async with anyio.create_task_group() as tasks:
            self._tasks: TaskGroup = tasks
            for host in self.hosts:
                self._bear(host)
            yield self
            tasks.cancel_scope.cancel()

    async def run(self, steps: int) -> None:
        """Let so many things happen."""
        for _ in range(steps):
            await self._step()

    @property
    def is_done(self) -> bool:
        """Whether every CID that can be is committed."""
        return len(self.model.committed) + len(self.poison) == len(self.cids)

    async def come_to_rest(self, steps: int) -> None:
        """Let nothing go wrong any more until every CID has ended; AssertionError if one never."""
        self.odds = CALM
        self._asleep.clear()
        for _ in range(steps):
            if all(self._has_ended(cid) for cid in self.cids):
                return
            await self._step()
        left = {
            cid: str(self.model.leases.get(cid)) for cid in self.cids if not self._has_ended(cid)
        }
        raise AssertionError(f"never ended: {left}")

    async def put_back(self, cid: str) -> bool:
        """Be the person who says `--retry`; its requests are not held."""
        owner = Owner(f"person-{self.now}", "person", "person")
        done = await LeaseBook(MemoryStore(self.buckets), LAYOUT, owner).put_back(cid)
        if done:
            self.note(LAYOUT.lease(cid), owner.process)
        return done

    async def turn(self, host: str) -> None:
        """Wait until the world lets this go on."""
        held = Held(host)
        self._held.append(held)
        try:
            await held.go.wait()
        finally:
            if held in self._held:
                self._held.remove(held)

    def strikes(self, odds: float) -> bool:
        """Throw the dice."""
        return self.dice.random() < odds

    def apply(self, write: Write) -> ObjectInfo:
        """Carry a write out and hold it against the model."""
        info = self.buckets.put(write.uri, write.body, write.when)
        self.note(write.uri, write.process)
        return info

    def delay(self, write: Write) -> None:
        """Keep a write on the way that its sender has given up."""
        self._late.append(write)

    def note(self, uri: S3Uri, process: str) -> None:
        """Hold what a process has put under a key against the model."""
        cid = LAYOUT.cid_of(uri.key)
        held = self.buckets.look(uri)
        if cid is None or held is None or not uri.key.startswith(LAYOUT.leases.key):
            return
        lease = parse_lease(held.body, cid)
        assert lease.owner.process == process, f"{process} wrote in the name of {lease.owner}"
        self.model.write(lease)

    def clock(self, host: str) -> float:
        """Return the host's own monotonic clock."""
        return self.now + self.skew[host]

    async def _step(self) -> None:
        self.now += self.dice.expovariate(1.0)
        if self.strikes(self.odds.crash):
            self._crash(self.dice.choice(self.hosts))
        if self.strikes(self.odds.sleep):
            self.sleeps += 1
            until = self.now + self.dice.uniform(0.5, 3) * TIME_TO_LIVE
            self._asleep[self.dice.choice(self.hosts)] = until
        if self._late and self.strikes(0.02):
            with suppress(ObjectError):
                self.apply(self._late.pop(self.dice.randrange(len(self._late))))
        awake = [held for held in self._held if self._asleep.get(held.host, 0) <= self.now]
        if awake:
            chosen = self.dice.choice(awake)
            self._held.remove(chosen)
            chosen.go.set()
        for _ in range(_YIELDS):
            await anyio.lowlevel.checkpoint()

    def _bear(self, host: str) -> None:
        self.births += 1
        owner = Owner(f"process-{self.births}", self._disks[host], host)
        scope = self._lives[host] = anyio.CancelScope()
        self._tasks.start_soon(partial(Watcher(self, owner).live, scope))

    def _crash(self, host: str) -> None:
        """Kill the process on a host: nothing of it is carried out from now on; start another."""
        self.crashes += 1
        self._lives[host].cancel()
        self._asleep.pop(host, None)
        if self.strikes(0.3):
            # The disk is gone with the machine: nobody knows that the owner has ended.
            self._disks[host] = f"disk-{self.crashes}"
        self._bear(host)

    def _has_ended(self, cid: str) -> bool:
        found = self.model.leases.get(cid)
        end = LeaseState.PARKED if cid in self.poison else LeaseState.COMMITTED
        return found is not None and found.state is end

    def _is_complete(self, runout: Runout) -> bool:
        parts = (LAYOUT.result(runout, "table.csv"), LAYOUT.manifest(runout))
        return all(self.buckets.look(part) is not None for part in parts)


class HeldStore(MemoryStore):
    """The bucket as one process sees it: every request waits for its turn, and may go wrong."""

    def __init__(self, world: World, owner: Owner) -> None:
        super().__init__(world.buckets)
        self._world = world
        self._host = owner.host
        self._process = owner.process

    async def put(self, uri: S3Uri, body: bytes, *, when: When = ALWAYS, **_more: Any) -> Stored:
        """Write, or lose the request or its answer, or have it arrive much later."""
        await self._enter(uri)
        world = self._world
        write = Write(self._process, uri, body, when)
        if world.strikes(world.odds.late):
            world.delay(write)
            raise OutcomeUnknown(uri)
        info = world.apply(write)
        # Cancelled while it is held here, it was carried out, and its sender does not know.
        await world.turn(self._host)
        if world.strikes(world.odds.lost_after):
            raise OutcomeUnknown(uri)
        return Stored(uri, info.size, info.etag, Evidence.ANSWERED, info.checksums)

    @asynccontextmanager
    async def get(self, uri: S3Uri, **more: Any) -> AsyncIterator[Download]:
        """Read, or lose the request."""
        await self._enter(uri)
        async with super().get(uri, **more) as download:
            yield download

    async def head(self, uri: S3Uri, **more: Any) -> ObjectInfo:
        """Describe, or lose the request."""
        await self._enter(uri)
        return await super().head(uri, **more)

    async def _enter(self, uri: S3Uri) -> None:
        await self._world.turn(self._host)
        if self._world.strikes(self._world.odds.lost_before):
            raise Unreachable(uri)


class Watcher:
    """The least that a watcher does with its leases."""

    def __init__(self, world: World, owner: Owner) -> None:
        self._world = world
        self._owner = owner
        self._host = owner.host
        self._store = HeldStore(world, owner)
        moment = _NOON + timedelta(seconds=world.skew[owner.host])
        self._book = LeaseBook(self._store, LAYOUT, owner, clock=lambda: moment)
        self._watch = LeaseWatch(TIME_TO_LIVE, first_delay=5, longest_delay=20)

    async def live(self, scope: anyio.CancelScope) -> None:
        """Look at one CID after another for ever."""
        with scope:
            while True:
                await self._world.turn(self._host)
                with suppress(ObjectError, LeaseLost):
                    await self._try(self._world.dice.choice(self._world.cids))

    async def _try(self, cid: str) -> None:
        seen = await self._book.read(cid)
        if seen is not None and not self._book.has_ended(seen.lease):
            clock = self._world.clock(self._host)
            at = self._watch.claimable_at(seen.lease, seen.etag, clock)
            if at is None or at > clock:
                return
        claim = await self._book.claim(cid, JobFolder("2026-03-01", cid), seen)
        if claim is None:
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep, claim)
            with suppress(ObjectError, LeaseLost):
                await self._work(claim)
            tasks.cancel_scope.cancel()

    async def _keep(self, claim: Claim) -> None:
        with suppress(LeaseLost):
            while True:
                await self._world.turn(self._host)
                with suppress(ObjectError):
                    await claim.renew()

    async def _work(self, claim: Claim) -> None:
        cid = claim.lease.cid
        for _ in range(self._world.dice.randrange(6)):
            await self._world.turn(self._host)
        if self._world.strikes(0.1):
            await claim.release("stopping")
        elif cid in self._world.poison:
            await self._give_up(claim)
        else:
            await self._publish(claim)

    async def _give_up(self, claim: Claim) -> None:
        if claim.lease.attempts + 1 < ATTEMPTS_MAX:
            await claim.fail("no luck")
        else:
            await claim.park(report(cid=claim.lease.cid, job=claim.lease.job))

    async def _publish(self, claim: Claim) -> None:
        runout = await self._find_finished(claim) or await self._push(claim)
        await claim.commit(runout)
        self._world.recorded[claim.lease.cid] = runout

    async def _find_finished(self, claim: Claim) -> Runout | None:
        if claim.lease.generation == 1:
            return None
        found = [result async for result in list_results(MemoryStore(self._world.buckets), LAYOUT)]
        await self._world.turn(self._host)
        mine = (result for result in found if result.runout.cid == claim.lease.cid)
        return next((result.runout for result in mine if result.manifest is not None), None)

    async def _push(self, claim: Claim) -> Runout:
        cid, stamp = claim.lease.cid, f"{claim.lease.generation} {self._owner.process}".encode()
        for minute in range(1000):
            runout = Runout(f"2026-03-01-{minute:04d}", cid)
            with suppress(PreconditionFailed):
                await self._store.put(LAYOUT.result(runout, "table.csv"), stamp, when=ABSENT)
                await self._store.put(LAYOUT.manifest(runout), stamp, when=ABSENT)
                return runout
        raise AssertionError("no minute is free")
