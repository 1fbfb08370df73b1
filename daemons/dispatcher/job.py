"""One CID's way: looked at, chosen, built, sent, marked, recorded, and off this disk.

The marker goes last, so whoever sees it can rely on the seeds; the ledger comes after the marker
was acknowledged, so what it says is true. Every step may be repeated: killed between any two, the
next life finds in the bucket what was done. `step` is called at each and may end the process.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.dispatcher.backlog import Survey
from daemons.dispatcher.halts import Overtaken, disk_errors, on_disk, step_halt
from daemons.dispatcher.intent import Intent
from daemons.dispatcher.plan import Blamed, Halted, StepEnd, judge_step
from daemons.dispatcher.staging import Chunk, Look, Staging
from shared.commands import CommandOutcome
from shared.handshake.fields import one_line
from shared.handshake.layout import JobFolder, Layout
from shared.handshake.transfer import read_small
from shared.ledger import Ledger
from shared.s3.errors import NotFound, PreconditionFailed, SourceChanged, TooLarge
from shared.s3.pinned import PinBroken, checksum_of, open_pinned
from shared.s3.store import (
    ABSENT,
    Checksums,
    Evidence,
    Matches,
    ObjectInfo,
    ObjectStore,
    PinnedFile,
    PutOptions,
    require_evidence,
)
from shared.s3.uri import S3Uri
from shared.s3.wire import weigh
from shared.templates import fill_template

log: FilteringBoundLogger = structlog.get_logger()

STEPS = ("looked", "chosen", "built", "seed sent", "marked", "recorded", "cleared")
"""The failpoints of one CID's way, in order."""

_MARKER_BYTES_MAX = 1024
_CLEAN_UP_SECONDS = 10.0
_SEED = PutOptions(content_type="application/vnd.apache.parquet")
_MARKER = PutOptions(content_type="text/plain")

RunStep = Callable[[Sequence[str]], Awaitable[CommandOutcome]]
"""Runs the filled-in seed command within its limits."""


@dataclass(frozen=True, slots=True)
class SeedStep:
    """What builds a CID's seeds."""

    command: Sequence[str]
    run: RunStep
    built_in: bool
    """It is our own, and no command of somebody else's."""


class Ending(StrEnum):
    """How one CID's way ended."""

    SENT = "sent"
    ALREADY_THERE = "already_there"
    """Somebody else has completed the very job."""
    ANSWERED = "answered"
    CHANGED = "changed"
    FAILED = "failed"
    """The chunk is at fault."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one CID."""

    ending: Ending
    size_bytes: int = 0
    reason: str = ""
    final: bool = False
    """The same chunk will fail again."""
    exit_status: int | None = None
    tail: str = ""
    asked: bool = False
    """The bucket was asked to take something of it."""

    @property
    def complete(self) -> bool:
        """Whether the bucket now holds the whole job."""
        return self.ending in {Ending.SENT, Ending.ALREADY_THERE}


class ChunkJobs:
    """Carries CIDs through, one at a time.

    Placeholders of the command: `python` is this interpreter, `cid` the CID, `chunk` its positions,
    `out_dir` the folder that the step writes into, `seed` the file that it has to write there.
    """

    def __init__(
        self,
        store: ObjectStore,
        layout: Layout,
        staging: Staging,
        ledger: Ledger,
        intent: Intent,
        seed_step: SeedStep,
        *,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._layout = layout
        self._staging = staging
        self._ledger = ledger
        self._intent = intent
        self._seed_step = seed_step
        self._step = step

    async def survey(self) -> Survey:
        """Look at the names in the folder of positions."""
        return await on_disk(self._staging.survey)

    async def send(self, chunk: Chunk, folder: JobFolder) -> Result:
        """Bring one chunk's job into the bucket.

        Raises:
            DispatchHalted: what is wrong would stop every other CID as well.
            shared.s3.errors: the same, said by S3.
        """
        if (gone := await self._gone(chunk)) is not None:
            return gone
        self._step("looked")
        await on_disk(self._intent.choose, folder)
        self._step("chosen")
        failed = await self._build(chunk.cid)
        self._step("built")
        # A chunk that changed under the step is not to be blamed for what the step made of it.
        if (gone := await self._gone(chunk)) is not None:
            return gone
        if failed is not None:
            return failed
        return replace(await self._put(chunk, folder), asked=True)

    async def _put(self, chunk: Chunk, folder: JobFolder) -> Result:
        """Send what was built: seeds first, then the marker."""
        result = await self._put_seed(folder)
        self._step("seed sent")
        if result.ending is not Ending.SENT:
            return result
        # The last moment at which an answer still spares everybody the work.
        if await on_disk(self._staging.look, chunk) is Look.ANSWERED:
            return Result(Ending.ANSWERED)
        result = await self._put_marker(folder, result)
        self._step("marked")
        return result

    async def record(self, cid: str) -> None:
        """Write down that a CID's job is complete; LedgerNotWritten when that is not durable."""
        await to_thread.run_sync(self._ledger.append, cid)
        self._step("recorded")

    async def tidy(self, cid: str) -> None:
        """Leave nothing of a CID on this disk; also when the process is about to stop."""
        with anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True):
            await on_disk(self._staging.clear, cid)
            self._step("cleared")

    async def done(self) -> None:
        """Nothing is under way any more, in the bucket either."""
        await on_disk(self._intent.done)

    async def _gone(self, chunk: Chunk) -> Result | None:
        """Say why a chunk is not to be sent any more, None while it is."""
        look = await on_disk(self._staging.look, chunk)
        return None if look is Look.UNCHANGED else Result(Ending(look.value))

    async def _build(self, cid: str) -> Result | None:
        out_dir = await on_disk(self._staging.begin, cid)
        values = {
            "python": sys.executable,
            "cid": cid,
            "chunk": str(self._staging.chunk(cid)),
            "out_dir": str(out_dir),
            "seed": str(self._staging.seed(cid)),
        }
        outcome = await self._seed_step.run(fill_template(self._seed_step.command, values))
        end = StepEnd(
            ok=outcome.ok,
            exit_status=outcome.exit_status,
            fault=bool(outcome.fault),
            reason=outcome.reason(),
            tail=outcome.tail,
            built_in=self._seed_step.built_in,
        )
        verdict = judge_step(end)
        if isinstance(verdict, Halted):
            raise step_halt(verdict.exit_status, verdict.reason)
        if isinstance(verdict, Blamed):
            return _failed(verdict.reason, outcome, final=verdict.final)
        if await on_disk(self._staging.built, cid):
            return None
        name = self._staging.seed(cid).name
        reason = f"the seed step ended well and left no {name!r}, or nothing in it"
        return _failed(reason, outcome, final=False)

    async def _put_seed(self, folder: JobFolder) -> Result:
        path = self._staging.seed(folder.cid)
        try:
            source = await on_disk(open_pinned, str(path))
        except PinBroken as error:
            return Result(Ending.FAILED, reason=f"{str(path)!r}: {error}")
        uri = self._layout.seed(folder)
        try:
            with disk_errors():
                stored = await self._store.put_file(
                    uri, source, when=ABSENT, options=_SEED, emulate=True
                )
        except PreconditionFailed:
            return await self._over_what_is_there(folder, source)
        except SourceChanged as error:
            return Result(Ending.FAILED, reason=f"the seeds changed while they were sent: {error}")
        finally:
            os.close(source.descriptor)
        require_evidence(stored)
        return Result(Ending.SENT, size_bytes=stored.size)

    async def _over_what_is_there(self, folder: JobFolder, source: PinnedFile) -> Result:
        """Leave equal seeds, replace others; but never those of a job that is complete."""
        uri = self._layout.seed(folder)
        if await self._look_up(self._layout.marker(folder)) is not None:
            return Result(Ending.ALREADY_THERE)
        held = await self._look_up(uri)
        if held is None:
            raise Overtaken(f"{uri} was there and is gone; stop whoever else works on it")
        if not await on_disk(_is_same, source, held):
            await self._replace(uri, source, held)
        return Result(Ending.SENT, size_bytes=source.identity.size)

    async def _replace(self, uri: S3Uri, source: PinnedFile, held: ObjectInfo) -> None:
        when = Matches(held.etag)
        try:
            with disk_errors():
                stored = await self._store.put_file(
                    uri, source, when=when, options=_SEED, emulate=True
                )
        except (PreconditionFailed, NotFound) as error:
            raise Overtaken(f"{uri} is being changed; stop whoever else works on it") from error
        require_evidence(stored)
        facts = {"replaced_etag": held.etag, "replaced_size_bytes": held.size}
        log.warning("seed_replaced", key=uri.key, **facts, replaced_version=held.version)

    async def _look_up(self, uri: S3Uri) -> ObjectInfo | None:
        try:
            return await self._store.head(uri)
        except NotFound:
            return None

    async def _put_marker(self, folder: JobFolder, sent: Result) -> Result:
        uri = self._layout.marker(folder)
        try:
            stored = await self._store.put(
                uri, f"{folder.cid}\n".encode(), when=ABSENT, options=_MARKER, emulate=True
            )
        except PreconditionFailed:
            return await self._look_at_marker(folder)
        require_evidence(stored)
        return sent

    async def _look_at_marker(self, folder: JobFolder) -> Result:
        uri = self._layout.marker(folder)
        try:
            body, _ = await read_small(self._store, uri, limit=_MARKER_BYTES_MAX)
        except TooLarge:
            body = b"(more than a CID)"
        except NotFound as error:
            raise Overtaken(f"{uri} was there and is gone; stop whoever removes it") from error
        said = body.decode("utf-8", "replace").strip()
        if said == folder.cid:
            return Result(Ending.ALREADY_THERE)
        reason = f"{uri} says {one_line(said, 40)!r}; remove it and retry this CID"
        return Result(Ending.FAILED, reason=reason, final=True)


def _failed(reason: str, outcome: CommandOutcome, *, final: bool) -> Result:
    return Result(
        Ending.FAILED,
        reason=reason,
        final=final,
        exit_status=outcome.exit_status,
        tail=outcome.tail,
    )


def _is_same(source: PinnedFile, held: ObjectInfo) -> bool:
    """Tell whether the object has the bytes of the file, by a checksum that S3 has of it."""
    ours = Checksums(
        crc64nvme=checksum_of(source, "crc64nvme"),
        md5=checksum_of(source, "md5"),
    )
    evidence = weigh(ours, source.identity.size, held)
    return evidence is not None and evidence >= Evidence.ETAG_MD5
