"""`python -m bench.ingest_sync`: what a night costs in which nothing happened.

A real tree, and a listing that is made as it is asked for, so that what is measured is the sync:
walking, merging, comparing, the gap report. Each run is a process of its own; the first has nothing
remembered and reads every file, the others are what every night is. Without HTTP: requests are
counted, and cost nothing.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.place import SitePlace, site_place
from daemons.ingester.syncing.report import SyncReport
from daemons.ingester.syncing.site import SiteSync
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.store import Checksums, ObjectInfo, Page
from shared.s3.uri import S3Uri

BUCKET = "hardfork-browse-dot-show"
PAGE = 1000
BODY = b"x"
ETAG = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)
FOLDERS = {Folder.AUDIO: ".mp3", Folder.TRANSCRIPTS: ".srt", Folder.SEARCH_ENTRIES: ".json"}
PODCASTS = 10


def keys_of(folder: Folder, objects: int) -> Iterator[str]:
    """Yield the keys of a folder in their order."""
    each = objects // len(FOLDERS) // PODCASTS
    for podcast in range(PODCASTS):
        for number in range(each):
            name = f"2022-09-27_Episode_{number:07}_with_a_title--1749472638931"
            yield f"{folder.value}/podcast-{podcast}/{name}{FOLDERS[folder]}"


class SyntheticListing(MemoryStore):
    """Lists objects that are nowhere, a thousand a page."""

    def __init__(self, objects: int) -> None:
        super().__init__(MemoryBuckets(BUCKET))
        self.requests = 0
        self._objects = objects

    async def pages(
        self, prefix: S3Uri, *, after: str = "", delimiter: str = "", deadline: float | None = None
    ) -> AsyncIterator[Page]:
        """Make the pages of a folder; nobody asks for a part of it."""
        if after or delimiter or deadline is not None:
            raise NotImplementedError("only whole folders are listed here")
        folder = Folder(prefix.key.rstrip("/"))
        found: list[ObjectInfo] = []
        for key in keys_of(folder, self._objects) if folder in FOLDERS else ():
            if len(found) == PAGE:
                self.requests += 1
                yield Page(found)
                found = []
            uri = S3Uri(prefix.bucket, key)
            found.append(ObjectInfo(uri, len(BODY), ETAG, MODIFIED, Checksums(md5=ETAG)))
        self.requests += 1
        yield Page(found)


def main(argv: Sequence[str] | None = None) -> int:
    """Lay the tree, run, print a line for each run; 1 where a run moved something."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest_sync", description=__doc__)
    parser.add_argument("--objects", type=int, default=50_000, help="of the site (default 50000)")
    parser.add_argument("--runs", type=int, default=3, help="the first one reads every file")
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.base is not None:
        return _run_once(options.base, options.objects)
    with tempfile.TemporaryDirectory(prefix="ingest-sync-") as folder:
        _lay(_place(Path(folder)), options.objects)
        command = [sys.executable, "-m", "bench.ingest_sync", "--objects", str(options.objects)]
        ends = [
            subprocess.run([*command, "--base", folder], check=False).returncode
            for _ in range(options.runs)
        ]
    return max(ends)


def _run_once(base: Path, objects: int) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    store = SyntheticListing(objects)
    began, cpu = time.monotonic(), time.process_time()
    report = uvloop.run(SiteSync(store, _place(base)).pull())
    seconds = time.monotonic() - began
    print(json.dumps(_line(report, store, seconds, time.process_time() - cpu)))
    return 1 if report.moved or report.gap.summary()["hasS3OnlyFiles"] else 0


def _line(
    report: SyncReport, store: SyntheticListing, seconds: float, cpu: float
) -> dict[str, object]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.monotonic()
    size = sum(map(len, report.gap.to_json(MODIFIED)))
    return {
        "in_step": report.gap.summary()["totalConsistentFiles"],
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "requests": store.requests,
        "peak_rss_mib": round(peak, 1),
        "gap_json_mib": round(size / 1024 / 1024, 1),
        "gap_seconds": round(time.monotonic() - began, 2),
    }


def _place(base: Path) -> SitePlace:
    return site_place("hardfork", BUCKET, base / "data", base / "state")


def _lay(place: SitePlace, objects: int) -> None:
    for folder in FOLDERS:
        for key in keys_of(folder, objects):
            path = place.root / key
            if not path.parent.exists():
                path.parent.mkdir(parents=True)
            path.write_bytes(BODY)


if __name__ == "__main__":
    sys.exit(main())
