"""`python -m bench.ingest_client`: the ingester's sync as one process, for `bench.ingest_sync`.

`look` is the gap report, written down as JSON; `night` is phase 0 and phase 3. Over HTTP it is the
engine of a site; without an endpoint the listing is made in this process as it is asked for, and
what is left is walking, merging and comparing. What loads is what a site's sync loads.
"""

import argparse
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench.trees import BUCKET
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.report import SyncReport, SyncStatus
from daemons.ingester.syncing.site import SiteSync
from daemons.ingester.syncing.transfer import SYNC_POLICY
from shared.aws.clients import ClientSettings, open_clients
from shared.log import configure_logging
from shared.s3.client import EngineSettings, S3Client
from shared.s3.store import ObjectStore

_IN_FLIGHT = 32
"""As the sessions of sites have it."""


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
    """Open the engine as `daemons.ingester.account.sessions` does."""
    if options.endpoint is None:
        from bench.ingest_listing import SyntheticListing  # noqa: PLC0415 - no site loads it

        yield SyntheticListing(options.episodes)
        return
    chosen = ClientSettings("eu-west-1", endpoint_url=options.endpoint, connections=_IN_FLIGHT)
    settings = EngineSettings(
        in_flight=_IN_FLIGHT, parts=False, find_regions=False, policy=SYNC_POLICY
    )
    async with open_clients(chosen) as clients:
        yield S3Client(clients, settings, None)


if __name__ == "__main__":
    sys.exit(main())
