"""The names on both sides of the hand-shake. Pure; docs/protocol.md shows them as a table.

Everything below `from-prod/` and `from-ec2/` is spelt as the first bash scripts spelt it, so that
either side may still be one of them. What is ours alone lies beside those two prefixes, or is the
one object `manifest.json`, where the scripts look for nothing.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from shared.s3.uri import S3Uri

CID = re.compile(r"[0-9]{5}")
"""A chunk's identifier: exactly five digits; use it with `fullmatch`."""
MARKER = "cid.txt"
MANIFEST = "manifest.json"
OUTPUT_FOLDER = "aws_compare_out/"
SEEDS_FOLDER = "optical_seeds/"
DEFAULT_PREFIX = "vasco/handshake"

_JOB = re.compile(r"aws-seeds-(?P<stamp>[0-9]{4}-[0-9]{2}-[0-9]{2})-CID-(?P<cid>[0-9]{5})")
_RUNOUT = re.compile(
    r"aws-closest-(?P<stamp>[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{4})-CID-(?P<cid>[0-9]{5})"
)
_LEASE = re.compile(r"CID-(?P<cid>[0-9]{5})\.json")


@dataclass(frozen=True, slots=True, order=True)
class JobFolder:
    """The folder below `from-prod/` that holds one CID's seeds."""

    stamp: str
    """The day it was sent, `YYYY-MM-DD`, on the clock of whoever sent it."""
    cid: str

    def __str__(self) -> str:
        """Return its name in the bucket."""
        return f"aws-seeds-{self.stamp}-CID-{self.cid}"


@dataclass(frozen=True, slots=True, order=True)
class Runout:
    """The folder below `from-ec2/` that holds one result of one CID."""

    stamp: str
    """The minute it was pushed, `YYYY-MM-DD-HHMM`; a name, and never compared as a time."""
    cid: str

    def __str__(self) -> str:
        """Return its name in the bucket and in the inbox."""
        return f"aws-closest-{self.stamp}-CID-{self.cid}"


Folder = TypeVar("Folder", JobFolder, Runout)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one hand-shake lies in its bucket."""

    bucket: str
    prefix: str = DEFAULT_PREFIX
    """Without a slash at either end."""

    @property
    def jobs(self) -> S3Uri:
        """The prefix of all jobs."""
        return self._uri("from-prod/")

    @property
    def runouts(self) -> S3Uri:
        """The prefix of all results."""
        return self._uri("from-ec2/")

    @property
    def leases(self) -> S3Uri:
        """The prefix of all leases."""
        return self._uri("leases/")

    @property
    def failures(self) -> S3Uri:
        """The prefix of the reports of parked jobs."""
        return self._uri("failed/")

    @property
    def summaries(self) -> S3Uri:
        """The prefix of what the daemons publish about themselves."""
        return self._uri("status/")

    def seed(self, folder: JobFolder) -> S3Uri:
        """Where the seeds of a job lie."""
        return self._in_job(folder, f"{SEEDS_FOLDER}{seed_path(folder.cid)}")

    def marker(self, folder: JobFolder) -> S3Uri:
        """The object that makes a job complete; it is written last."""
        return self._in_job(folder, MARKER)

    def result(self, runout: Runout, name: str) -> S3Uri:
        """Where a file of a result lies; `name` is one plain file name."""
        return self._in_runout(runout, OUTPUT_FOLDER + name)

    def manifest(self, runout: Runout) -> S3Uri:
        """The object that makes one of our results complete; it is written last."""
        return self._in_runout(runout, MANIFEST)

    def lease(self, cid: str) -> S3Uri:
        """The one object that says who owns a CID, and that its result is committed."""
        return self._uri(f"leases/CID-{cid}.json")

    def failure(self, cid: str) -> S3Uri:
        """Why a CID is parked."""
        return self._uri(f"failed/CID-{cid}.json")

    def summary(self, service: str) -> S3Uri:
        """What a daemon publishes about itself."""
        return self._uri(f"status/{service}.json")

    def job_of(self, key: str) -> tuple[JobFolder, str] | None:
        """Split a key into its job and the rest; None when it belongs to none."""
        return _split(key, self.jobs.key, _JOB, JobFolder)

    def runout_of(self, key: str) -> tuple[Runout, str] | None:
        """Split a key into its runout and the rest; None when it belongs to none."""
        return _split(key, self.runouts.key, _RUNOUT, Runout)

    def cid_of(self, key: str) -> str | None:
        """Return whose lease or failure report a key is; None for anything else."""
        for prefix in (self.leases.key, self.failures.key):
            if key.startswith(prefix) and (found := _LEASE.fullmatch(key.removeprefix(prefix))):
                return found["cid"]
        return None

    def _uri(self, rest: str) -> S3Uri:
        return S3Uri(self.bucket, f"{self.prefix}/{rest}")

    def _in_job(self, folder: JobFolder, rest: str) -> S3Uri:
        return S3Uri(self.bucket, f"{self.jobs.key}{folder}/{rest}")

    def _in_runout(self, runout: Runout, rest: str) -> S3Uri:
        return S3Uri(self.bucket, f"{self.runouts.key}{runout}/{rest}")


def parse_job_folder(name: str) -> JobFolder:
    """Read a job folder's name; ValueError for any other."""
    found = _JOB.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not of the form aws-seeds-YYYY-MM-DD-CID-NNNNN")
    return JobFolder(found["stamp"], found["cid"])


def parse_runout(name: str) -> Runout:
    """Read a runout's name; ValueError for any other."""
    found = _RUNOUT.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not of the form aws-closest-YYYY-MM-DD-HHMM-CID-NNNNN")
    return Runout(found["stamp"], found["cid"])


def job_folder_at(moment: datetime, cid: str) -> JobFolder:
    """Name the job that is sent at this moment."""
    return JobFolder(f"{moment:%Y-%m-%d}", cid)


def runout_at(moment: datetime, cid: str) -> Runout:
    """Name the result that is pushed at this moment."""
    return Runout(f"{moment:%Y-%m-%d-%H%M}", cid)


def seed_path(cid: str) -> str:
    """Return the path of a CID's seeds below `optical_seeds/`, in the bucket and on disk."""
    return f"chunk_{cid}/part-{cid}.parquet"


def closest_name(cid: str) -> str:
    """Return the name of a CID's table of closest detections."""
    return f"positions{cid}_closest.csv"


def quality_name(cid: str) -> str:
    """Return the name of the text that says how many rows and which columns the table has."""
    return f"positions{cid}_closest.qc.txt"


def chunk_name(cid: str) -> str:
    """Return the name of a CID's table of positions."""
    return f"positions_chunk_{cid}.csv"


def _split(
    key: str, prefix: str, pattern: re.Pattern[str], kind: type[Folder]
) -> tuple[Folder, str] | None:
    if not key.startswith(prefix):
        return None
    name, slash, rest = key.removeprefix(prefix).partition("/")
    found = pattern.fullmatch(name)
    if found is None or not slash:
        return None
    return kind(found["stamp"], found["cid"]), rest
