"""`python -m bench.ingest_client`: the ingester's sync as one process, for `bench.ingest_sync`.

`look` is the gap report, written down as JSON; `night` is phase 0 and phase 3. Over HTTP it is the
engine of a site; without an endpoint the listing is made in this process as it is asked for, and
what is left is walking, merging and comparing.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench.ingest_sites import MODIFIED, PAGE, Site
from bench.trees import BUCKET
from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.report import SyncReport, SyncStatus
from daemons.ingester.syncing.site import SiteSync
from daemons.ingester.syncing.transfer import SINGLE_PUT_BYTES_MAX, SYNC_POLICY
from shared.aws.clients import ClientSettings, open_clients
from shared.log import configure_logging
from shared.s3.client import EngineSettings, S3Client
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.store import Checksums, ObjectInfo, ObjectStore, Page
from shared.s3.uri import S3Uri

_ETAG = hashlib.md5(b"\0", usedforsecurity=False).hexdigest()


class SyntheticListing(MemoryStore):
    """Lists objects that are nowhere, a thousand a page."""

    def __init__(self, site: Site) -> None:
        super().__init__(MemoryBuckets(BUCKET))
        self._site = site

    async def pages(
        self, prefix: S3Uri, *, after: str = "", delimiter: str = "", deadline: float | None = None
    ) -> AsyncIterator[Page]:
        """Make the pages of a folder; nobody asks for a part of it."""
        if after or delimiter or deadline is not None:
            raise NotImplementedError("only whole folders are listed here")
        found: list[ObjectInfo] = []
        for key in self._site.paths(Folder(prefix.key.rstrip("/"))):
            if len(found) == PAGE:
                yield Page(found)
                found = []
            uri = S3Uri(prefix.bucket, key)
            found.append(ObjectInfo(uri, 1, _ETAG, MODIFIED, Checksums(md5=_ETAG)))
        yield Page(found)


def place_of(folder: Path) -> SitePlace:
    """Return the site whose tree is `folder`/BUCKET, its state beside it."""
    state = folder.parent / f"{folder.name}-state"
    return SitePlace(BUCKET, BUCKET, folder / BUCKET, state / "work", state / "sync")


def main(argv: Sequence[str] | None = None) -> int:
    """Do it, and print what came of it as one line of JSON; 1 where something was not in step."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest_client", description=__doc__)
    parser.add_argument("task", choices=("look", "night"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--endpoint", help="the stub")
    parser.add_argument("--episodes", type=int, default=0, help="of the listing made here")
    options = parser.parse_args(argv)
    configure_logging("ingester")
    began, cpu = time.monotonic(), time.process_time()
    reports = uvloop.run(_run(options))
    answer = {
        "in_step": reports[-1].gap.summary()["totalConsistentFiles"],
        "moved": sum(report.moved for report in reports),
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_rss_mib": _peak_kib() // 1024,
    }
    print(json.dumps(answer))
    return int(any(report.status is not SyncStatus.OK for report in reports))


def _peak_kib() -> int:
    """Return this program's own peak; the one of `getrusage` has that of the parent in it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


async def _run(options: argparse.Namespace) -> Sequence[SyncReport]:
    place = place_of(options.folder)
    async with _store(options) as store:
        sync = SiteSync(store, place)
        if options.task == "night":
            return await sync.pull(), await sync.push()
        report = await sync.look()
    with (place.state / "gap.json").open("w") as file:
        file.writelines(report.gap.to_json(datetime.now(UTC)))
    return (report,)


@asynccontextmanager
async def _store(options: argparse.Namespace) -> AsyncIterator[ObjectStore]:
    """Open the engine as the ingester does."""
    if options.endpoint is None:
        yield SyntheticListing(Site("made here", options.episodes))
        return
    settings = EngineSettings(multipart_threshold=SINGLE_PUT_BYTES_MAX + 1, policy=SYNC_POLICY)
    async with open_clients(ClientSettings("eu-west-1", endpoint_url=options.endpoint)) as clients:
        yield S3Client(clients, settings, None)


if __name__ == "__main__":
    sys.exit(main())
