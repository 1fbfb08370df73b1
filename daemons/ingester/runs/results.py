"""What a run did to each site, as the summary tells it. Pure.

The names in the JSON are those that people's dashboards read; docs/ingester.md lists them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from daemons.ingester.archive.episode import format_time
from daemons.ingester.phases.outcome import Outcome, Phase, PhaseStatus
from daemons.ingester.syncing.report import NO_UPLOADS
from shared.errors import ExitStatus

_MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class SiteError:
    """One thing that failed."""

    phase: str
    """A phase, or `configuration`."""
    item: str
    message: str

    def to_json(self) -> Mapping[str, object]:
        """Return it as the summary has it."""
        return {"phase": self.phase, "item": self.item, "message": self.message}


@dataclass(slots=True)
class SiteResult:
    """What a run did to one site."""

    site_id: str
    site_title: str
    outcomes: dict[Phase, Outcome] = field(default_factory=dict)
    """Of each phase that was reached; the others did not begin because the run was stopped."""
    misconfigured: str = ""
    """What is wrong with the site's configuration, a line each; nothing was done then."""
    pre_sync_downloads: int = 0
    files_to_upload: int = 0
    """Local files that S3 lacked or had older, before phase 3."""
    files_missing_locally: int = 0
    """Files that S3 had and we lacked, before phase 0."""
    files_in_sync: int = 0
    new_episodes: int = 0
    audio_downloads: int = 0
    transcribed: int = 0
    transcription_failures: int = 0
    left_to_others: int = 0
    """Episodes that another worker was transcribing."""
    entry_files_written: int = 0
    corrections: int = 0
    """Replacements that changed a transcript."""
    renumbered: int = 0
    """Existing episodes that have another sequential id now."""
    skipped_items: Counter[str] = field(default_factory=Counter)
    """Items of feeds that became no episode, by reason."""
    superseded: tuple[str, ...] = ()
    """Paths of older versions, which stay unless they are pruned."""
    pruned: int = 0
    uploads: Mapping[str, int] = field(default_factory=lambda: NO_UPLOADS)
    """The counts of phase 3 under their names in the summary."""
    had_previous_files: bool = False
    index_triggered: bool = False
    index_accepted: bool = False
    planned: list[str] = field(default_factory=list)
    """What a dry run would do, a line each."""
    index_confirmed: bool | None = None
    """Whether the new index was seen in S3; None where nobody waited for it."""

    @property
    def has_errors(self) -> bool:
        """Whether anything failed or could not begin."""
        return bool(self.misconfigured) or any(
            outcome.status.is_bad for outcome in self.outcomes.values()
        )

    @property
    def is_complete(self) -> bool:
        """Whether all phases were gone through, though items may have failed."""
        worst = (PhaseStatus.FAILED, PhaseStatus.BLOCKED)
        return not self.misconfigured and not any(
            outcome.status in worst for outcome in self.outcomes.values()
        )

    @property
    def upload_total(self) -> int:
        """Files uploaded."""
        return self.uploads.get("totalFilesSynced", 0)

    def errors(self) -> Iterator[SiteError]:
        """Yield what failed, in the order of the phases."""
        for line in self.misconfigured.splitlines():
            yield SiteError("configuration", "", line)
        for phase, outcome in self.outcomes.items():
            for reason in outcome.errors:
                yield SiteError(phase.value, "", reason)
            for note in outcome.problems.named:
                yield SiteError(phase.value, note.path, note.reason)

    @property
    def error_count(self) -> int:
        """Count what failed, whether it is named or not."""
        lines = len(self.misconfigured.splitlines())
        return lines + sum(
            len(each.errors) + each.problems.count for each in self.outcomes.values()
        )

    def to_json(self) -> Mapping[str, object]:
        """Return the site's part of the summary."""
        return {
            "siteId": self.site_id,
            "siteTitle": self.site_title,
            "phases": {
                phase.value: {
                    "status": outcome.status.value,
                    "durationMs": outcome.duration_ms,
                    **({"reason": outcome.reason} if outcome.reason else {}),
                }
                for phase, outcome in self.outcomes.items()
            },
            "s3PreSyncFilesDownloaded": self.pre_sync_downloads,
            "filesToUpload": self.files_to_upload,
            "filesMissingLocally": self.files_missing_locally,
            "filesInSync": self.files_in_sync,
            "newEpisodesFound": self.new_episodes,
            "newAudioFilesDownloaded": self.audio_downloads,
            "newEpisodesTranscribed": self.transcribed,
            "transcriptionFailures": self.transcription_failures,
            "leftToOtherWorkers": self.left_to_others,
            "searchEntryFilesWritten": self.entry_files_written,
            "spellingCorrectionsApplied": self.corrections,
            "renumberedEpisodes": self.renumbered,
            "skippedItems": dict(sorted(self.skipped_items.items())),
            "supersededFiles": list(self.superseded),
            "prunedFiles": self.pruned,
            **self.uploads,
            "hadPreviousFiles": self.had_previous_files,
            "indexingTriggered": self.index_triggered,
            "indexingTriggerSuccess": self.index_accepted,
            "indexConfirmed": self.index_confirmed,
            **({"planned": self.planned} if self.planned else {}),
            "errors": [error.to_json() for error in self.errors()],
            "warnings": [
                {"phase": phase.value, "item": note.path, "message": note.reason}
                for phase, outcome in self.outcomes.items()
                for note in outcome.warnings.named
            ],
        }


@dataclass(slots=True)
class RunResult:
    """What a run did."""

    started_at: datetime
    ended_at: datetime
    sites: Sequence[SiteResult]
    interrupted: bool = False
    """A signal ended it before it was through."""
    dry_run: bool = False

    @property
    def has_errors(self) -> bool:
        """Whether anything failed at any site."""
        return any(site.has_errors for site in self.sites)

    @property
    def is_complete(self) -> bool:
        """Whether it counts for the interval: all phases were gone through at every site."""
        return not self.interrupted and all(site.is_complete for site in self.sites)

    @property
    def error_count(self) -> int:
        """Count what failed at all sites."""
        return sum(site.error_count for site in self.sites)

    @property
    def status(self) -> ExitStatus:
        """The exit status of a command that did this run."""
        if self.interrupted:
            return ExitStatus.INTERRUPTED
        return ExitStatus.UNEXPECTED if self.has_errors else ExitStatus.DONE

    @property
    def failed(self) -> int:
        """Items that failed, for the life cycle."""
        return self.error_count

    def fields(self) -> Mapping[str, object]:
        """Return the counts for the log."""
        return {
            "sites": len(self.sites),
            "downloaded": sum(site.pre_sync_downloads for site in self.sites),
            "episodes": sum(site.new_episodes for site in self.sites),
            "audio": sum(site.audio_downloads for site in self.sites),
            "transcribed": sum(site.transcribed for site in self.sites),
            "entries": sum(site.entry_files_written for site in self.sites),
            "uploaded": sum(site.upload_total for site in self.sites),
            "triggered": sum(site.index_triggered for site in self.sites),
            "failed": self.error_count,
        }

    def to_json(self) -> Mapping[str, object]:
        """Return the whole summary."""
        return {
            "startTime": format_time(self.started_at),
            "endTime": format_time(self.ended_at),
            "durationMs": int((self.ended_at - self.started_at).total_seconds() * _MILLISECOND),
            "interrupted": self.interrupted,
            "dryRun": self.dry_run,
            "sitesProcessed": len(self.sites),
            "totalFilesDownloaded": sum(site.pre_sync_downloads for site in self.sites),
            "totalFilesUploaded": sum(site.upload_total for site in self.sites),
            "totalAudioFilesDownloaded": sum(site.audio_downloads for site in self.sites),
            "totalEpisodesTranscribed": sum(site.transcribed for site in self.sites),
            "totalSearchEntryFilesWritten": sum(site.entry_files_written for site in self.sites),
            "hasErrors": self.has_errors,
            "errorCount": self.error_count,
            "results": [site.to_json() for site in self.sites],
        }
