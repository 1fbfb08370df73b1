"""Results of the bash scripts, which write no manifest and no lease: are they whole?"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from functools import partial

from anyio import to_thread

from daemons.watcher.outputs import BadOutput, count_rows, read_rows
from daemons.watcher.workspace import JobPlace, Workspace
from shared.handshake.layout import Layout, closest_name, quality_name
from shared.handshake.listing import Result
from shared.handshake.manifest import GENERATION
from shared.handshake.transfer import fetch_file
from shared.s3.errors import ChecksumMismatch, NotFound, TooLarge
from shared.s3.pinned import PinBroken, pinned
from shared.s3.store import ObjectStore

QUIET_SECONDS = 60.0
"""How long a table without its qc.txt must not have changed."""


class Verdict(Enum):
    """What a result without a manifest is."""

    OURS = "ours"
    """Begun by a watcher: its lease tells."""
    WHOLE = "whole"
    BROKEN = "broken"
    """It will not do: the CID is computed anew."""
    WAIT = "wait"
    """It may still be on its way."""


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A table without its qc.txt, as it was first seen."""

    etag: str
    since: float


class ScriptResults:
    """Judges results of the scripts, one at a time."""

    def __init__(
        self,
        store: ObjectStore,
        layout: Layout,
        workspace: Workspace,
        *,
        file_bytes_max: int,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._layout = layout
        self._workspace = workspace
        self._file_bytes_max = file_bytes_max
        self._clock = clock
        self._quiet: dict[str, _Quiet] = {}

    async def judge(self, result: Result) -> Verdict:
        """Say what it is.

        | table's metadata names a watcher | qc.txt | then                                         |
        |----------------------------------|--------|----------------------------------------------|
        | yes                              |        | OURS                                         |
        | no                               | yes    | WHOLE when it says how many rows there are   |
        | no                               | no     | WHOLE when unchanged for `QUIET_SECONDS`     |

        What is not there any more since it was listed is BROKEN: nobody may wait for it.
        """
        cid = result.runout.cid
        try:
            table = await self._store.head(self._layout.result(result.runout, closest_name(cid)))
            if GENERATION in table.metadata:
                return Verdict.OURS
            if quality_name(cid) not in result.files:
                return self._wait_for_quiet(str(result.runout), table.etag)
            self._quiet.pop(str(result.runout), None)
            return await self._compare(result)
        except ChecksumMismatch:
            return Verdict.WAIT
        except (NotFound, TooLarge):
            return Verdict.BROKEN

    def _wait_for_quiet(self, runout: str, etag: str) -> Verdict:
        now = self._clock()
        known = self._quiet.get(runout)
        if known is None or known.etag != etag:
            known = self._quiet[runout] = _Quiet(etag, now)
        if now - known.since < QUIET_SECONDS:
            return Verdict.WAIT
        del self._quiet[runout]
        return Verdict.WHOLE

    async def _compare(self, result: Result) -> Verdict:
        place = await to_thread.run_sync(self._workspace.begin, result.runout.cid)
        try:
            for name in (quality_name(result.runout.cid), closest_name(result.runout.cid)):
                await fetch_file(
                    self._store,
                    self._layout.result(result.runout, name),
                    place.out_dir / name,
                    limit=self._file_bytes_max,
                )
            whole = await to_thread.run_sync(partial(_agree, place))
        finally:
            await to_thread.run_sync(place.clear)
        return Verdict.WHOLE if whole else Verdict.BROKEN


def _agree(place: JobPlace) -> bool:
    """Tell whether qc.txt says how many rows the table has."""
    table, quality = closest_name(place.cid), quality_name(place.cid)
    with ExitStack() as stack:
        try:
            opened = {
                name: stack.enter_context(pinned(str(place.out_dir / name)))
                for name in (table, quality)
            }
            return read_rows(opened[quality], quality) == count_rows(opened[table], table)
        except (BadOutput, PinBroken):
            return False
