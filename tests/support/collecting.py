"""Results as watchers and the first bash scripts leave them, and a collector to bring them home."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemons.collector.central import Folders
from daemons.collector.job import JobRules, RunoutJobs
from daemons.collector.report import PassCounts
from daemons.collector.service import Collector, Limits
from daemons.collector.tagging import Tagger
from daemons.collector.verdicts import Verdicts
from shared.handshake import lease as steps
from shared.handshake.claims import LeaseBook
from shared.handshake.layout import CID, JobFolder, Layout, Runout, closest_name, quality_name
from shared.handshake.lease import Owner
from shared.handshake.manifest import GENERATION, Manifest, ResultFile
from shared.ledger import Ledger
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.pinned import crc64nvme
from shared.s3.store import PutOptions
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc

BUCKET = "vasco-test"
LAYOUT = Layout(BUCKET)
OWNER = Owner("process-1", "instance-1", "ec2")
COLUMNS = (
    "row_id,in_ra,in_dec,cntr,ra,dec,mjd,w1snr,w2snr,qual_frame,qi_fact,saa_sep,moon_masked,"
    "sep_arcsec"
)
STAMP = "2026-03-01-0930"
LATER = "2026-03-01-1030"
ONE = "00001"
FIRST, SECOND = Runout(STAMP, ONE), Runout(LATER, ONE)
"""Two results of one CID."""

Objects = dict[str, bytes]
"""Key to content."""


def table(cid: str, rows: int = 3, *, shift: float = 0.0) -> bytes:
    """Return a table as the format step writes it; another `shift` makes other rows."""
    lines = [
        f"{cid}{number:04d},{10 + number / 7:.10g},{-5 + number / 9:.10g},"
        f"{123456789012345000 + number},{10 + number / 7 + shift:.10g},{-5 + number / 9:.10g},"
        f"{57000 + number / 3:.10g},12.5,8.25,10,1,25.5,00,0.25"
        for number in range(rows)
    ]
    return ("\n".join([COLUMNS, *lines]) + "\n").encode()


def quality(rows: int = 3) -> bytes:
    """Return the qc.txt of a table."""
    return f"rows={rows}\ncolumns={COLUMNS}\n".encode()


def contents(cid: str, rows: int = 3, *, shift: float = 0.0) -> Objects:
    """Return name and content of both files of a result."""
    return {
        quality_name(cid): quality(rows),
        closest_name(cid): table(cid, rows, shift=shift),
    }


def runout_files(runout: Runout, files: Mapping[str, bytes]) -> Objects:
    """Return the objects of a result as the scripts leave it: no manifest, no lease."""
    return {LAYOUT.result(runout, name).key: body for name, body in files.items()}


def manifest_of(runout: Runout, files: Mapping[str, bytes], generation: int = 1) -> Manifest:
    """Return what a watcher writes when the files are there."""
    return Manifest(
        cid=runout.cid,
        job=JobFolder("2026-03-01", runout.cid),
        generation=generation,
        owner=OWNER.process,
        producer="towpath test",
        created_at="2026-03-01T09:30:00+00:00",
        files=tuple(
            ResultFile(name, len(body), encode_crc(crc64nvme(body))) for name, body in files.items()
        ),
    )


def committed_lease(runout: Runout, *, generation: int = 1) -> bytes:
    """Return the lease of a CID that is committed with this runout."""
    return steps.commit(claimed_lease(runout.cid, generation=generation), runout, "now").to_bytes()


def claimed_lease(cid: str, *, generation: int = 1) -> steps.Lease:
    """Return the lease of a CID that somebody works on."""
    lease = steps.claim(cid, JobFolder("2026-03-01", cid), OWNER, None, "now")
    for _ in range(generation - 1):
        lease = steps.claim(cid, lease.job, OWNER, lease, "now")
    return lease


def ours(runout: Runout, files: Mapping[str, bytes]) -> Objects:
    """Return all objects of a result of a watcher, committed."""
    return {
        **runout_files(runout, files),
        LAYOUT.manifest(runout).key: manifest_of(runout, files).to_bytes(),
        LAYOUT.lease(runout.cid).key: committed_lease(runout),
    }


def of_watcher(key: str) -> PutOptions:
    """Return the metadata that a watcher gives to an object of a runout."""
    return PutOptions(metadata={GENERATION: "1"} if "/from-ec2/" in key else {})


@dataclass
class Prod:
    """PROD's folders, buckets, and the collector between them; time is what the test says."""

    root: Path
    buckets: MemoryBuckets = field(default_factory=lambda: MemoryBuckets(BUCKET))
    faults: Faults = field(default_factory=Faults)
    now: float = 1000.0
    step: Callable[[str], None] = lambda _: None
    in_flight: int = 8
    largest_bytes: int = 1024 * 1024
    tag_seconds: float = 0.0
    """How long tagging may take; 0: nothing is tagged."""
    passes: list[PassCounts] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)

    @property
    def inbox(self) -> Path:
        """The inbox."""
        return self.root / "inbox"

    @property
    def central(self) -> Path:
        """The central folder."""
        return self.root / "central"

    @property
    def ledger_file(self) -> Path:
        """The ledger."""
        return self.root / ".completed_cids"

    def lay(self, objects: Mapping[str, bytes], *, by_watcher: bool = False) -> None:
        """Put objects into the bucket."""
        for key, body in objects.items():
            options = of_watcher(key) if by_watcher else PutOptions()
            self.buckets.put(S3Uri(BUCKET, key), body, options=options)

    def remove(self, key: str) -> None:
        """Take an object away."""
        self.buckets.delete(S3Uri(BUCKET, key), None)

    def recorded(self) -> list[str]:
        """Return the lines of the ledger."""
        return self.ledger_file.read_text().split() if self.ledger_file.exists() else []

    def merged(self) -> dict[str, bytes]:
        """Return what the central folder holds, temporary files included."""
        if not self.central.exists():
            return {}
        return {path.name: path.read_bytes() for path in sorted(self.central.iterdir())}

    def tags(self) -> dict[str, dict[str, str]]:
        """Return the tags of each object that has any."""
        page, _ = self.buckets.page(S3Uri(BUCKET), "", "")
        found = {info.uri.key: dict(self.buckets.tags(info.uri)) for info in page.objects}
        return {key: tags for key, tags in found.items() if tags}

    def pulled(self, runout: Runout) -> list[str]:
        """Return the names of a runout's files in the inbox."""
        folder = self.inbox / str(runout)
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def collector(self) -> Collector:
        """Make a collector, as a new process would."""
        store = MemoryStore(self.buckets, faults=self.faults)
        ledger = Ledger(self.ledger_file, accepts=CID)
        jobs = RunoutJobs(
            store,
            LeaseBook(store, LAYOUT, Owner("collector", "collector", "prod")),
            Folders(self.inbox, self.central),
            ledger,
            JobRules(self.largest_bytes),
            step=self.step,
        )
        # As the daemon's opening does.
        (self.root / "state").mkdir(exist_ok=True)
        tagged = Ledger(self.root / "state" / "tagged_cids", accepts=CID)
        tagger = Tagger(jobs, store, tagged, seconds=self.tag_seconds, in_flight=self.in_flight)
        return Collector(
            jobs,
            store,
            ledger,
            Verdicts(self.root / "state"),
            Limits(30.0, self.in_flight),
            clock=lambda: self.now,
            at_pass_end=self._at_pass_end,
            tagger=tagger if self.tag_seconds else None,
        )

    async def one_pass(self, collector: Collector | None = None) -> PassCounts:
        """Do one pass, of a new collector unless one is given."""
        return await (collector or self.collector()).run_once()

    async def _at_pass_end(self, _service: Collector, counts: PassCounts) -> None:
        self.passes.append(counts)


def names(cids: Sequence[str]) -> list[str]:
    """Return the names of the central files of these CIDs."""
    return sorted(name for cid in cids for name in (closest_name(cid), quality_name(cid)))


def said(logs: Sequence[Mapping[str, Any]], event: str) -> list[str]:
    """Return the reasons of one event."""
    return [line.get("reason", "") for line in logs if line["event"] == event]
