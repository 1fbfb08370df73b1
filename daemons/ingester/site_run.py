"""One site's way through the phases, in their order; what fails in one is judged for the next.

| what happened                                   | then                             |
|-------------------------------------------------|----------------------------------|
| phase 0 failed, and no manifest is here         | the site is blocked              |
| phase 0 failed, and a manifest is here          | 1 to 2.5 run; 3 tries on its own |
| the same, and S3 was not brought here whole     | neither fetched nor made anew    |
| a manifest cannot be read, local files are gone | the site is blocked              |
| what is known of local files cannot be read     | the site is blocked              |
| feeds, audio or entries failed                  | the others go on, phase 3 too    |
| phase 3 failed                                  | what was uploaded is indexed     |
| S3 has audio or transcripts that did not come   | neither fetched nor made anew    |

Rule: what goes wrong stays inside the site, as an outcome of a phase, and is an error of the first
phase that meets it: a refused role, or a broken manifest, must not read like eight mistakes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.folders import Folder
from daemons.ingester.mirror.manifest_file import has_manifest
from daemons.ingester.phases.copying import NotHere
from daemons.ingester.phases.outcome import Outcome, Phase
from daemons.ingester.project.loading import ProjectSite
from daemons.ingester.run_tools import RunTools
from daemons.ingester.runs.results import SiteResult
from daemons.ingester.settings import Settings
from daemons.ingester.site_phases import SitePhases
from daemons.ingester.syncing.brought import load_brought
from daemons.ingester.syncing.place import LocalFilesMissing, require_files
from shared.errors import SuiteError

log: FilteringBoundLogger = structlog.get_logger()

_SKIPS: Mapping[Phase, str] = {
    Phase.PRE_SYNC: "skip_pre_sync",
    Phase.CONSISTENCY: "skip_consistency_check",
    Phase.RSS: "skip_rss_retrieval",
    Phase.AUDIO: "skip_audio_processing",
    Phase.SEARCH_ENTRIES: "skip_search_entries",
    Phase.UPLOAD: "skip_s3_sync",
    Phase.INDEXING: "skip_cloud_indexing",
    Phase.INVALIDATION: "skip_cloudfront_invalidation",
}
_IN_AWS = frozenset(
    {Phase.PRE_SYNC, Phase.CONSISTENCY, Phase.UPLOAD, Phase.INDEXING, Phase.INVALIDATION}
)
_FOUND_IN_S3 = frozenset({Folder.AUDIO, Folder.TRANSCRIPTS})
"""What is neither fetched nor made where S3 may have it."""


class SiteRun:
    """One run of one site; `result` is true at any moment, also when the run is cancelled."""

    def __init__(
        self,
        target: ProjectSite,
        settings: Settings,
        tools: RunTools,
        state: Path,
        *,
        dry_run: bool = False,
    ) -> None:
        self.result = SiteResult(target.site.id, target.site.title)
        self._phases = SitePhases(target, settings, tools, state, self.result, dry_run=dry_run)
        self._target = target
        self._settings = settings
        self._log = log.bind(site=target.site.id)

    async def run(self) -> None:
        """Go through the phases."""
        works: Mapping[Phase, Callable[[], Awaitable[Outcome]]] = {
            Phase.PRE_SYNC: self._phases.pre_sync,
            Phase.CONSISTENCY: self._phases.compare,
            Phase.RSS: self._phases.feeds,
            Phase.AUDIO: self._phases.audio,
            Phase.SEARCH_ENTRIES: self._phases.entries,
            Phase.UPLOAD: self._phases.upload,
            Phase.INDEXING: self._phases.index,
            Phase.INVALIDATION: self._phases.invalidate_caches,
        }
        try:
            for phase, work in works.items():
                await self._phase(phase, work)
        finally:
            await self._phases.aclose()

    async def _phase(self, phase: Phase, work: Callable[[], Awaitable[Outcome]]) -> None:
        began = anyio.current_time()
        self.result.outcomes[phase] = outcome = Outcome(fatal="it was interrupted")
        if reason := self._not_wanted(phase):
            outcome = Outcome(skipped=reason)
        elif self._phases.known.halt:
            outcome = Outcome(blocked=self._phases.known.halt)
        else:
            self._log.info("phase_started", phase=phase.value)
            outcome = await self._guarded(work)
        if phase is Phase.PRE_SYNC and outcome.status.is_bad:
            judged = await self._guarded(self._judge_without_s3)
            # Who does not know what S3 may have must not make any of it.
            self._phases.known.halt = self._phases.known.halt or judged.fatal
        outcome.duration_ms = int((anyio.current_time() - began) * 1000)
        outcome.told = outcome.told or self._is_told(outcome.faults)
        self.result.outcomes[phase] = outcome
        self._tell(phase, outcome)

    async def _guarded(self, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Return the outcome of some work, as which whatever ended it counts too."""
        try:
            return await work()
        except LocalFilesMissing as error:
            self._phases.known.halt = str(error)
            return Outcome(fatal=str(error))
        except (SuiteError, OSError) as error:
            return Outcome(fatal=str(error))

    def _not_wanted(self, phase: Phase) -> str:
        if self._settings.local_only and phase in _IN_AWS:
            return "--local-only"
        if phase is Phase.AUDIO and self._settings.reapply_spelling_corrections:
            # The phase leaves transcribing out by itself, and corrects.
            return ""
        name = _SKIPS[phase]
        return f"--{name.replace('_', '-')}" if getattr(self._settings, name) else ""

    def _is_told(self, faults: Sequence[str]) -> bool:
        """Say whether earlier phases met the same, alone or among others."""
        told = "\n".join(fault for each in self.result.outcomes.values() for fault in each.faults)
        return bool(faults) and all(fault in told for fault in faults)

    async def _judge_without_s3(self) -> Outcome:
        """Block a site that would begin its archive anew because S3 could not be read."""
        known = self._phases.known
        is_here = await to_thread.run_sync(has_manifest, self._target.place)
        if is_here and known.synced is None:
            await self._judge_unseen()
        if not (is_here or known.halt):
            known.halt = (
                "there is no manifest here, and none came from S3; going on would download and "
                "transcribe the whole archive again"
            )
        return Outcome()

    async def _judge_unseen(self) -> None:
        """Make nothing anew that S3 may have: what was not brought here whole by the last pull."""
        place = self._target.place
        await to_thread.run_sync(require_files, place)
        brought = await to_thread.run_sync(load_brought, place)
        self._phases.known.away = NotHere(folders=_FOUND_IN_S3 - brought)

    def _tell(self, phase: Phase, outcome: Outcome) -> None:
        facts = {
            "phase": phase.value,
            "status": outcome.status.value,
            "duration_seconds": round(outcome.duration_ms / 1000, 3),
        }
        if outcome.errors or outcome.problems.count:
            failed = outcome.problems.count
            self._log.error("phase_ended", **facts, reason=outcome.reason, failed=failed)
        else:
            self._log.info("phase_ended", **facts)
