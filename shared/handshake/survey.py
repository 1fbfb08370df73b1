"""Look at a hand-shake with nothing but read access: no write, no lock, and few requests.

| what                      | requests for n CIDs                                              |
|---------------------------|------------------------------------------------------------------|
| `status/`                 | one listing, one GET a summary                                   |
| `from-prod/`, `from-ec2/` | one listing each, a thousand objects a request                   |
| `failed/`                 | one listing                                                      |
| `leases/`                 | listed between the first and the last CID that may need it       |
| a lease                   | GET, if the CID has no whole result of ours, or a failure report |

Order matters: what people say (ledgers, summaries) is read before what the bucket shows, and the
leases last, so that whatever happens meanwhile makes a CID look further and never lost. A prefix
that may not be read is one line in `Facts.unseen`; an object that makes no sense one in `faults`.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from anyio import to_thread

from shared.handshake.facts import Facts, SeenClaim, SeenJob, SeenResult, SeenSummary, Story
from shared.handshake.failure import parse_failure
from shared.handshake.fields import RECORD_BYTES_MAX, one_line
from shared.handshake.layout import CID, Layout, closest_name, quality_name
from shared.handshake.lease import parse_lease
from shared.handshake.listing import Job, Result, list_jobs, list_results
from shared.handshake.summary import parse_summary
from shared.handshake.transfer import read_small
from shared.ledger import Ledger, LedgerUnreadable
from shared.s3.errors import AccessDenied, NotFound, ObjectError, TooLarge
from shared.s3.store import ObjectInfo, ObjectStore
from shared.s3.uri import S3Uri

LEDGERS: Mapping[str, str] = {
    ".sent_cids": "sent",
    ".completed_cids": "collected",
    ".processed_cids": "processed",
}
"""Name of a ledger in a project's root to the state that it records."""

_SUMMARY = re.compile(r"(?P<service>[a-z][a-z0-9-]{0,39})\.json")
_SUMMARIES_MAX = 32
_FAULTS_MAX = 100
_LEASES_MAX = 20_000
_REQUEST_SECONDS = 60.0
_SETTLED = timedelta(seconds=60)


@dataclass(slots=True)
class Survey:
    """One look at a hand-shake; call `look` once."""

    store: ObjectStore
    layout: Layout
    root: Path | None = None
    """A project's root, whose ledgers are fresher than the summaries."""
    focus: str = ""
    """A CID whose story is kept as well."""
    in_flight: int = 32
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    facts: Facts = field(default_factory=Facts)
    story: Story = field(default_factory=lambda: Story(""))
    _denied: list[ObjectError] = field(default_factory=list)
    _seen: int = 0

    async def look(self) -> Facts:
        """Look at everything.

        Raises:
            shared.s3.errors: the bucket cannot be reached, or nothing in it may be read.
        """
        self.story.cid = self.focus
        if self.root is not None:
            await to_thread.run_sync(self._read_ledgers, self.root)
        await self._read_summaries()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._list_jobs)
            tasks.start_soon(self._list_results)
            tasks.start_soon(self._list_reports)
        await self._read_claims()
        if self.focus in self.facts.reports:
            await self._read_report(self.focus)
        if self._denied and not self._seen:
            raise self._denied[0]
        return self.facts

    def _read_ledgers(self, root: Path) -> None:
        for name, state in LEDGERS.items():
            path = root / name
            if path.exists():
                try:
                    cids = Ledger(path, accepts=CID, name=name).load()
                except LedgerUnreadable as error:
                    self._fault(str(error))
                else:
                    self.facts.ledgers[name] = (state, cids)

    async def _read_summaries(self) -> None:
        found = [info async for info in self._list(self.layout.summaries)]
        known = [
            (info, match["service"])
            for info in found
            if (match := _SUMMARY.fullmatch(self._name(info, self.layout.summaries)))
        ]
        if len(known) > _SUMMARIES_MAX:
            self._fault(f"{self.layout.summaries} holds {len(known)} summaries; some are left out")
        for info, service in known[:_SUMMARIES_MAX]:
            await self._read_summary(info, service)

    async def _read_summary(self, info: ObjectInfo, service: str) -> None:
        body = await self._get(info.uri)
        if body is None:
            return
        try:
            summary = parse_summary(body[0], service)
        except ValueError as error:
            self._fault(f"{info.uri}: {error}")
        else:
            self.facts.summaries.append(SeenSummary(summary, info.modified_at))

    async def _list_jobs(self) -> None:
        try:
            async for job in list_jobs(self.store, self.layout):
                self._seen += 1
                cid = job.folder.cid
                known = self.facts.jobs.get(cid)
                if known is None or known.sent_at is None:
                    self.facts.jobs[cid] = _seen_job(job)
                if cid == self.focus:
                    self.story.jobs.append(job)
            self._seen += 1
        except AccessDenied as error:
            self.facts.jobs_seen = False
            self._unseen(self.layout.jobs, error)

    async def _list_results(self) -> None:
        try:
            async for result in list_results(self.store, self.layout):
                cid = result.runout.cid
                known = self.facts.results.get(cid)
                if known is None or known.finished_at is None:
                    self.facts.results[cid] = _seen_result(result, self.clock())
                if cid == self.focus:
                    self.story.results.append(result)
            self._seen += 1
        except AccessDenied as error:
            self._unseen(self.layout.runouts, error)

    async def _list_reports(self) -> None:
        async for info in self._list(self.layout.failures):
            cid = self.layout.cid_of(info.uri.key)
            if cid is not None:
                self.facts.reports.add(cid)

    async def _read_claims(self) -> None:
        wanted = self._undecided()
        if not wanted:
            return
        leases = self.layout.leases
        # Just before the first lease that may be wanted, and not beyond the last.
        after, last = f"{leases.key}CID-{min(wanted)}", self.layout.lease(max(wanted)).key
        found: list[tuple[str, ObjectInfo]] = []
        async for info in self._list(leases, after=after, last=last):
            cid = self.layout.cid_of(info.uri.key)
            if cid in wanted:
                found.append((cid, info))
        self.facts.claims_seen = all(error.uri != leases for error in self._denied)
        if len(found) > _LEASES_MAX:
            # The living ones have the newest heartbeats.
            found.sort(key=lambda one: one[1].modified_at, reverse=True)
            left_out = len(found) - _LEASES_MAX
            self.facts.unseen.append(f"{left_out} of {len(found)} leases: too many to read at once")
            del found[_LEASES_MAX:]
        await self._read_all(found)

    def _undecided(self) -> set[str]:
        """Return the CIDs that a lease may say something about."""
        facts = self.facts
        finished = facts.said("collected") | facts.said("processed") | facts.said("conflict")
        whole = {
            cid
            for cid, result in facts.results.items()
            if result.has_manifest and result.finished_at is not None
        }
        known = facts.said("sent").union(facts.jobs, facts.results)
        wanted = (known - finished - whole) | (facts.reports - finished)
        return set(wanted | {self.focus} if self.focus else wanted)

    async def _read_all(self, found: Iterable[tuple[str, ObjectInfo]]) -> None:
        """Read the leases, so many at once; the tasks share one iterator, so memory is bounded."""
        rest = iter(found)

        async def read() -> None:
            for cid, info in rest:
                await self._read_claim(cid, info)

        async with anyio.create_task_group() as tasks:
            for _ in range(self.in_flight):
                tasks.start_soon(read)

    async def _read_claim(self, cid: str, info: ObjectInfo) -> None:
        body = await self._get(info.uri)
        if body is None:
            return
        # Written again since the listing: its heartbeat is as fresh as can be.
        written_at = info.modified_at if body[1] == info.etag else self.clock()
        try:
            seen = SeenClaim(parse_lease(body[0], cid), written_at)
        except ValueError as error:
            seen = SeenClaim(None, written_at, one_line(str(error)))
        self.facts.claims[cid] = seen

    async def _read_report(self, cid: str) -> None:
        body = await self._get(self.layout.failure(cid))
        if body is None:
            return
        try:
            self.story.report = parse_failure(body[0], cid)
        except ValueError as error:
            self._fault(f"{self.layout.failure(cid)}: {error}")

    async def _get(self, uri: S3Uri) -> tuple[bytes, str] | None:
        """Return content and ETag, or None and why it cannot be had."""
        try:
            return await read_small(
                self.store, uri, limit=RECORD_BYTES_MAX, deadline=_REQUEST_SECONDS
            )
        except NotFound:
            return None
        except AccessDenied as error:
            self._unseen(S3Uri(uri.bucket, uri.key.rpartition("/")[0] + "/*"), error)
        except TooLarge as error:
            self._fault(str(error))
        except ObjectError as error:
            # One that does not answer is no reason to show nothing of all the others.
            self._fault(str(error))
        return None

    async def _list(
        self, prefix: S3Uri, *, after: str = "", last: str = ""
    ) -> AsyncIterator[ObjectInfo]:
        try:
            async for page in self.store.pages(prefix, after=after, deadline=_REQUEST_SECONDS):
                self._seen += 1
                for info in page.objects:
                    if last and info.uri.key > last:
                        return
                    yield info
        except AccessDenied as error:
            self._unseen(prefix, error)

    def _name(self, info: ObjectInfo, prefix: S3Uri) -> str:
        return info.uri.key.removeprefix(prefix.key)

    def _unseen(self, what: S3Uri, error: ObjectError) -> None:
        self._denied.append(error)
        line = f"{what}: {error.code}"
        if line not in self.facts.unseen:
            self.facts.unseen.append(one_line(line))

    def _fault(self, line: str) -> None:
        if len(self.facts.faults) < _FAULTS_MAX:
            self.facts.faults.append(one_line(line))


def _seen_job(job: Job) -> SeenJob:
    begun_at = max((info.modified_at for info in job.seeds.values()), default=None)
    return SeenJob(job.folder, begun_at, None if job.marker is None else job.marker.modified_at)


def _seen_result(result: Result, now: datetime) -> SeenResult:
    """Judge a result by its listing.

    | manifest | table | qc.txt | whole                                                  |
    |----------|-------|--------|--------------------------------------------------------|
    | yes      | any   | any    | yes, since the manifest                                |
    | no       | yes   | yes    | yes, if it is of the scripts: a lease says that it not |
    | no       | yes   | no     | the same, once nobody has changed it for a minute      |
    | no       | no    | any    | no                                                     |
    """
    if result.manifest is not None:
        since = result.manifest.modified_at
        return SeenResult(result.runout, has_manifest=True, finished_at=since)
    table = result.files.get(closest_name(result.runout.cid))
    quality = result.files.get(quality_name(result.runout.cid))
    finished_at = None
    if table is not None and quality is not None:
        finished_at = max(table.modified_at, quality.modified_at)
    elif table is not None and now - table.modified_at > _SETTLED:
        finished_at = table.modified_at
    return SeenResult(result.runout, has_manifest=False, finished_at=finished_at)
