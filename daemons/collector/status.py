"""What the collector leaves for people and monitors, and how it is shown.

`status.json` and `metrics.prom` are written after each pass; docs/formats.md names every field.
The summary in the bucket says the same to those who do not see this machine.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.collector.report import PassCounts
from daemons.collector.service import Collector
from daemons.collector.settings import Settings
from shared.handshake.layout import Runout
from shared.handshake.summary import Publisher, Summary
from shared.metrics import Board, Metric
from shared.s3.errors import ObjectError
from shared.status import Status, StatusFile, render_head

log: FilteringBoundLogger = structlog.get_logger()

_SHOWN = 1000
_MEANINGS = {
    "collected": "Results merged into the central folder",
    "already_there": "Results that the central folder had already",
    "compared": "Second results with the rows of the first",
    "tagged": "CIDs whose result and job were tagged for expiry",
    "failed": "Looks at results that ended in a conflict, a refusal or an error",
}


class StatusWriter:
    """Writes both files, and publishes the summary when it says something new."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        publisher: Publisher,
        board: Board | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._publisher = publisher
        self._started_at = datetime.now(UTC)
        self._file = StatusFile(folder, "collector", started_at=self._started_at, board=board)
        self._published: tuple[object, ...] | None = None

    def write(self, service: Collector, counts: PassCounts) -> None:
        """Write what is true after a pass; a state folder out of order stops no collector."""
        now = datetime.now(UTC)
        conflicts, waiting = service.verdicts.conflicts(), service.patience.reasons()
        details: Mapping[str, object] = {
            "root": str(self._settings.root.absolute()),
            "bucket": self._settings.bucket,
            "prefix": self._settings.prefix,
            "trouble": service.trouble,
            "recorded_cids": len(service.ledger),
            "last_pass": asdict(counts),
            "totals": asdict(service.totals),
            "cids_per_hour": self._rate(service, now),
            "conflicts": _shown(conflicts),
            "waiting": _shown(waiting),
        }
        metrics = [
            *(
                Metric(f"results_{name}_total", "counter", meaning, getattr(service.totals, name))
                for name, meaning in _MEANINGS.items()
            ),
            Metric("pulled_bytes_total", "counter", "Bytes pulled", service.totals.pulled_bytes),
            Metric("recorded_cids", "gauge", "CIDs in the ledger", len(service.ledger)),
            Metric("conflicts", "gauge", "Results that differ from the central", len(conflicts)),
            Metric("waiting_results", "gauge", "Results that are not complete", len(waiting)),
            *_tagging(service),
            Metric("in_trouble", "gauge", "1: nothing can be collected", bool(service.trouble)),
        ]
        try:
            self._file.write(details, metrics, now=now, last_success_at=service.last_success_at)
        except OSError as error:
            log.warning("status_not_written", folder=str(self._folder), reason=str(error))

    async def publish(self, service: Collector) -> None:
        """Tell the bucket, if there is news; a bucket that does not listen stops nothing."""
        conflicts, waiting = service.verdicts.conflicts(), service.patience.reasons()
        # Packing a hundred thousand CIDs costs more than a whole pass with nothing new.
        news = (len(service.ledger), tuple(conflicts.items()), tuple(waiting.items()))
        if service.trouble or news == self._published:
            return
        now = datetime.now(UTC)
        notes = {runout.cid: f"{runout}: {why}" for runout, why in waiting.items()}
        notes |= {runout.cid: f"{runout}: conflict: {why}" for runout, why in conflicts.items()}
        summary = Summary(
            service="collector",
            host=socket.gethostname(),
            written_at=now.isoformat(timespec="seconds"),
            cids={
                "collected": await to_thread.run_sync(service.ledger.load),
                "conflict": frozenset(runout.cid for runout in conflicts),
                "waiting": frozenset(runout.cid for runout in waiting),
            },
            notes=notes,
            per_hour=self._rate(service, now),
        )
        try:
            await self._publisher.publish(summary)
        except ObjectError as error:
            log.warning("summary_not_published", code=error.code, reason=str(error))
        else:
            self._published = news

    def _rate(self, service: Collector, now: datetime) -> float:
        hours = (now - self._started_at).total_seconds() / 3600
        return round(service.totals.collected / hours, 1) if hours else 0.0


def _tagging(service: Collector) -> Sequence[Metric]:
    """Return what there is to say where tags are asked for."""
    if service.tagger is None:
        return ()
    left = service.tagger.waiting
    return (Metric("waiting_to_be_tagged", "gauge", "Merged results without their tag", left),)


def _shown(runouts: Mapping[Runout, str]) -> list[Mapping[str, str]]:
    return [
        {"cid": runout.cid, "runout": str(runout), "reason": why}
        for runout, why in islice(runouts.items(), _SHOWN)
    ]


def render_status(status: Status, now: datetime) -> str:
    """Return the status as a few lines for a person."""
    details = status.details
    totals = details.get("totals", {})
    lines = render_head(status, str(details.get("root")), now, success="last look")
    lines.append(f"  recorded    {details.get('recorded_cids')} CIDs")
    if isinstance(totals, dict):
        lines.append(
            f"  since start {totals.get('collected')} collected, "
            f"{totals.get('already_there')} already there, {totals.get('failed')} failures"
        )
    if trouble := details.get("trouble"):
        lines.append(f"  trouble     {trouble}")
    for name, title in (("conflicts", "conflict"), ("waiting", "waiting")):
        listed = details.get(name)
        if isinstance(listed, list):
            lines += [f"  {title:<11} {one['runout']}: {one['reason']}" for one in listed]
    return "\n".join(lines) + "\n"
