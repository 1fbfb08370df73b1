"""Spelling corrections over the transcripts that are here: `--reapply-spelling-corrections`.

Which ones changed is told by their content and times: phase 2.5 makes their search entries anew,
phase 3 uploads them, phase 4 has them indexed. Rule: a transcript of which S3 may have a newer one
that could not be had is left, since writing it would make ours the newer one; so is one of which
not every cue can be read, since what was not read would be lost, and S3's copy with it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.folders import Folder, comparable
from daemons.ingester.phases.outcome import Outcome
from daemons.ingester.project.sites import Site
from daemons.ingester.speech.corrections import Correction
from daemons.ingester.speech.spelling import (
    CuesNotRead,
    count_corrections,
    load_corrections,
    reapply_corrections,
)
from daemons.ingester.syncing.local import list_folder
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.transfer import is_full, no_step
from shared.errors import SuiteError
from shared.files import contained, make_folders

log: FilteringBoundLogger = structlog.get_logger()

_TOGETHER = 16


@dataclass(slots=True)
class CorrectingReport:
    """What corrections did to the transcripts of a site."""

    outcome: Outcome = field(default_factory=Outcome)
    corrections: int = 0
    """Replacements that changed something."""
    made: set[str] = field(default_factory=set)
    """Transcripts written, relative to the site."""
    planned: list[str] = field(default_factory=list)
    """What a dry run would do, a line each."""


async def reapply_all(
    site: Site,
    place: SitePlace,
    *,
    avoid: Collection[str] = (),
    avoid_folders: Collection[Folder] = (),
    dry_run: bool = False,
    step: Callable[[str], None] = no_step,
    alive: Callable[[], None] = lambda: None,
    report: CorrectingReport | None = None,
) -> CorrectingReport:
    """Correct every transcript of a site; one in which nothing changes is not touched.

    `avoid` are paths, and `avoid_folders` folders, of which it is not known what S3 has there. A
    `report` that is handed in is true at any moment, also when this is cancelled.

    Raises:
        LocalListingFailed: the transcripts cannot be listed.
    """
    report = report or CorrectingReport()
    corrections = await to_thread.run_sync(
        load_corrections,
        site.corrections,
        lambda path, reason: report.outcome.warnings.add(
            path.name, f"corrections that are not used: {reason}"
        ),
    )
    if Folder.TRANSCRIPTS in avoid_folders:
        report.outcome.blocked = "it is not known which transcripts S3 has"
        return report
    if not corrections:
        return report
    work = _Correcting(place, corrections, report, step, dry_run=dry_run)
    with structlog.contextvars.bound_contextvars(site=site.id):
        names = iter(await to_thread.run_sync(_transcripts, place, avoid, report))
        while batch := list(islice(names, _TOGETHER)):
            alive()
            await to_thread.run_sync(work.batch, batch)
            if report.outcome.fatal:
                break
        log.info(
            "corrections_reapplied",
            corrections=report.corrections,
            transcripts=len(report.made) or len(report.planned),
            failed=report.outcome.problems.count,
        )
    return report


def _transcripts(
    place: SitePlace, avoid: Collection[str], report: CorrectingReport
) -> Sequence[str]:
    """Return what may be corrected, as the disk calls it."""
    names = []
    for piece in list_folder(place.root, Folder.TRANSCRIPTS):
        for entry in piece.entries:
            if entry.path in avoid:
                reason = "S3 may have a newer one, which could not be had; left for the next run"
                report.outcome.warnings.add(entry.name, reason)
            elif entry.size > 0:
                names.append(entry.name)
    return names


class _Correcting:
    """The way of transcripts through the corrections."""

    def __init__(
        self,
        place: SitePlace,
        corrections: Sequence[Correction],
        report: CorrectingReport,
        step: Callable[[str], None],
        *,
        dry_run: bool,
    ) -> None:
        self._place = place
        self._corrections = corrections
        self._report = report
        self._step = step
        self._dry_run = dry_run

    def batch(self, names: Sequence[str]) -> None:
        """Go through some; what goes wrong with one is noted and costs that one alone."""
        outcome = self._report.outcome
        for name in names:
            try:
                self._one(name)
            except CuesNotRead as error:
                outcome.warnings.add(name, str(error))
                log.warning("transcript_not_corrected", path=name, reason=str(error))
            except (SuiteError, OSError) as error:
                outcome.problems.add(name, str(error))
                if is_full(error):
                    outcome.fatal = "the disk is full; nothing else was corrected"
                    return

    def _one(self, name: str) -> None:
        transcript = contained(self._place.root, name)
        if self._dry_run:
            if count := count_corrections(transcript, self._corrections):
                self._report.corrections += count
                self._report.planned.append(f"correct {name}")
            return
        make_folders(self._place.work)
        self._step("correction_begun")
        count = reapply_corrections(transcript, self._corrections, self._place.work)
        if count:
            self._step("transcript_corrected")
            self._report.corrections += count
            self._report.made.add(comparable(name))
            log.debug("transcript_corrected", path=name, corrections=count)
