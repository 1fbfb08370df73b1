"""What sync, verify and pull print, for people and as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.glacier.transfer.local_project import Left, Project
from pipelines.glacier.transfer.manifest import PROJECT_PREFIX, Digests
from pipelines.glacier.transfer.results import Fate, Item, Pulled
from pipelines.glacier.transfer.sync_plan import Synced, SyncPlan
from pipelines.glacier.transfer.verification import Check

_FAULTS_MAX = 20


@dataclass(frozen=True, slots=True)
class SyncReport:
    """A sync, as far as it went."""

    bucket: str
    project: Project
    digests: Digests
    plan: SyncPlan
    done: Synced | None = None
    """None: a dry run."""
    checks: Sequence[Check] = ()

    @property
    def is_good(self) -> bool:
        """Whether S3 has the project now, or a dry run was all that was wanted."""
        went_up = self.done is None or (self.done.is_whole and not self.done.failed)
        return went_up and all(each.passed for each in self.checks)

    def to_json(self) -> str:
        """Return the document."""
        done = self.done
        document = {
            "s3_bucket": self.bucket,
            "prefix": PROJECT_PREFIX,
            "dry_run": done is None,
            "project_digest": self.digests.project,
            "config_sha256": self.digests.config,
            "upload": self.plan.upload,
            "unchanged": self.plan.unchanged,
            "stale": self.plan.stale,
            "excluded": _left(self.project.excluded),
            "secrets": _left(self.project.secrets),
        }
        if done is not None:
            document |= {
                "uploaded": sorted(done.uploaded),
                "deleted": done.deleted,
                "failed": dict(sorted(done.failed.items())),
                "manifest_written": done.is_new_manifest,
                "cut_short": not done.is_whole,
                "checks": _checks(self.checks),
            }
        return _text(document)

    def to_text(self) -> str:
        """Return lines: what was or would be done, sums, checks."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from self._paths()
        yield from (f"excluded   {_told(left)}" for left in self.project.excluded)
        yield from (f"SECRET     {_told(left)} stays here" for left in self.project.secrets)
        uploads = len(self.plan.upload if self.done is None else self.done.uploaded)
        counts = {
            "to upload" if self.done is None else "uploaded": uploads,
            "unchanged": len(self.plan.unchanged),
            "stale": len(self.plan.stale) - len(self.done.deleted if self.done else ()),
            "excluded": len(self.project.excluded),
            "secret": len(self.project.secrets),
        }
        if self.done is not None:
            counts |= {"removed": len(self.done.deleted), "failed": len(self.done.failed)}
        yield f"s3://{self.bucket}/{PROJECT_PREFIX}: {_sums(counts)}"
        yield f"project digest {self.digests.project}"
        if self.done is None:
            yield "dry run, nothing is written"
        elif self.done.failed or not self.done.is_whole:
            yield "the manifest is not that of this folder; run the sync again"
        yield from check_lines(self.checks)

    def _paths(self) -> Iterator[str]:
        done = self.done
        if done is None:
            yield from (f"upload     {path}" for path in self.plan.upload)
            yield from (f"unchanged  {path}" for path in self.plan.unchanged)
            yield from (f"stale      {_safe(path)}" for path in self.plan.stale)
            return
        yield from (f"uploaded   {path}" for path in sorted(done.uploaded))
        gone = set(done.deleted)
        for path in self.plan.stale:
            yield f"{'removed' if path in gone else 'stale':<11}{_safe(path)}"
        for path, reason in sorted(done.failed.items()):
            yield f"FAILED     {_safe(path)}: {_safe(reason)}"


@dataclass(frozen=True, slots=True)
class PullReport:
    """The pull of one satellite's results."""

    satellite: str
    folder: str
    items: Sequence[Item]
    done: Pulled | None = None
    """None: a dry run."""

    @property
    def is_good(self) -> bool:
        """Whether everything that was wanted is here now, or would be."""
        return not self._counts()[Fate.FAILED]

    def to_document(self) -> Mapping[str, object]:
        """Return what the JSON says of the satellite."""
        counts = self._counts()
        return {
            "satellite": self.satellite,
            "folder": self.folder,
            "dry_run": self.done is None,
            **{fate.value: counts[fate] for fate in Fate},
            "differ": self._differing(),
            "bytes": self._bytes(),
            "unfinished": self._unfinished(),
            "failures": self._failures(),
            "files": [{"path": path, "fate": fate.value} for path, fate in self._fates()],
        }

    def to_text(self) -> str:
        """Return lines: in a dry run each file that would come, each failure, the sums."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        if self.done is None:
            words = {Fate.FETCHED: "fetch", Fate.REPLACED: "replace"}
            yield from (
                f"{words[item.fate]:<9}{item.info.size:>12}  {_safe(item.path)}"
                for item in self.items
                if item.fate in words
            )
        failed = self._failures()
        yield from (f"FAILED   {_safe(path)}: {_safe(reason)}" for path, reason in failed.items())
        counts = self._counts()
        sums = _sums({fate.value: counts[fate] for fate in Fate})
        differ = self._differing()
        note = f"; {differ} kept though S3 has other sizes, see --force-overwrite" if differ else ""
        end = "; dry run, nothing is written" if self.done is None else ""
        if left := self._unfinished():
            end = f"; cut short, {left} not done"
        yield f"{self.satellite} to {self.folder}: {sums}, {self._bytes()} bytes{note}{end}"

    def _fates(self) -> Iterator[tuple[str, Fate]]:
        if self.done is None:
            yield from ((item.path, item.fate) for item in self.items)
            return
        known = self.done.fates
        yield from ((item.path, known[item.path]) for item in self.items if item.path in known)

    def _unfinished(self) -> int:
        return 0 if self.done is None else len(self.items) - len(self.done.fates)

    def _counts(self) -> Counter[Fate]:
        return Counter(fate for _, fate in self._fates())

    def _differing(self) -> int:
        kept = {path for path, fate in self._fates() if fate is Fate.KEPT}
        return sum(item.differs for item in self.items if item.path in kept)

    def _bytes(self) -> int:
        if self.done is not None:
            return self.done.size
        coming = {Fate.FETCHED, Fate.REPLACED}
        return sum(item.info.size for item in self.items if item.fate in coming)

    def _failures(self) -> Mapping[str, str]:
        if self.done is not None:
            return dict(sorted(self.done.failed.items()))
        return {item.path: item.reason for item in self.items if item.fate is Fate.FAILED}


def pulls_to_json(reports: Sequence[PullReport]) -> str:
    """Return the document of a pull."""
    return _text({"satellites": [report.to_document() for report in reports]})


def checks_to_json(bucket: str, checks: Sequence[Check]) -> str:
    """Return the document of a verification."""
    passed = all(each.passed for each in checks)
    return _text(
        {"s3_bucket": bucket, "prefix": PROJECT_PREFIX, "passed": passed, "checks": _checks(checks)}
    )


def check_lines(checks: Iterable[Check]) -> Iterator[str]:
    """Yield a line for each check, and below it what speaks against it."""
    for each in checks:
        yield f"{'pass' if each.passed else 'FAIL'}  {each.name:<14} {each.says}"
        yield from (f"        {_safe(fault)}" for fault in each.faults[:_FAULTS_MAX])
        if len(each.faults) > _FAULTS_MAX:
            yield f"        and {len(each.faults) - _FAULTS_MAX} more"


def _checks(checks: Iterable[Check]) -> list[Mapping[str, object]]:
    return [
        {"name": each.name, "says": each.says, "passed": each.passed, "faults": each.faults}
        for each in checks
    ]


def _left(left: Iterable[Left]) -> list[Mapping[str, str]]:
    return [{"path": each.path, "reason": each.reason} for each in left]


def _told(left: Left) -> str:
    return f"{_safe(left.path)} ({left.reason})"


def _safe(text: str) -> str:
    """Return a text from outside as a terminal may see it."""
    return text if text.isprintable() else repr(text)


def _sums(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2) + "\n"
