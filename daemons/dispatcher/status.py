"""What the dispatcher leaves for people and monitors, and how it is shown.

`status.json` and `metrics.prom` are written after each pass; docs/formats.md names every field.
The summary in the bucket says the same to those who do not see this machine.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.dispatcher.quarantine import Held
from daemons.dispatcher.service import Dispatcher, States
from daemons.dispatcher.settings import Settings
from shared.handshake.summary import Publisher, Summary
from shared.lifecycle import Control
from shared.metrics import Metric
from shared.s3.errors import ObjectError
from shared.status import Status, StatusFile, render_head

log: FilteringBoundLogger = structlog.get_logger()

_SHOWN = 1000
_TAIL_SHOWN = 1000
_PUBLISH_SECONDS = 20.0
_MEANINGS = {
    "sent": "Jobs sent to the bucket",
    "recorded": "Jobs that the bucket held already",
    "answered": "CIDs answered when they were about to be sent",
    "changed": "Chunks that changed when they were about to be sent",
}


class StatusWriter:
    """Writes both files, and publishes the summary when it says something new."""

    def __init__(
        self, folder: Path, settings: Settings, publisher: Publisher, control: Control
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._control = control
        self._file = StatusFile(
            folder, "dispatcher", started_at=datetime.now(UTC), board=control.board
        )
        self._published: object = None

    async def tell(self, service: Dispatcher) -> None:
        """Tell what is true after a pass; nothing that fails here stops the dispatcher."""
        states = service.states()
        per_hour = service.rate.per_hour(anyio.current_time())
        await to_thread.run_sync(self._write, service, states, per_hour)
        if service.trouble is None:
            await self._publish(service, states, per_hour)
            self._control.status(
                f"{len(states.new)} new, {len(states.sent)} sent, "
                f"{len(states.quarantined)} in quarantine"
            )
        else:
            self._control.status(f"halted: {service.trouble.reason}")

    def _write(self, service: Dispatcher, states: States, per_hour: float) -> None:
        trouble = service.trouble
        held = _held(service, states)
        details: Mapping[str, object] = {
            "root": str(self._settings.project),
            "bucket": self._settings.bucket,
            "prefix": self._settings.prefix,
            "trouble": "" if trouble is None else trouble.reason,
            "trouble_since": None if trouble is None else trouble.since.isoformat(),
            "positions_missing": service.lookout.missing,
            "cids": _counts(states),
            "totals": asdict(service.totals),
            "cids_per_hour": per_hour,
            "held": [
                {
                    "cid": one.cid,
                    "quarantined": one.final,
                    "attempts": one.attempts,
                    "since": one.since,
                    "reason": one.reason,
                    "log_tail": one.log_tail[-_TAIL_SHOWN:],
                }
                for one in held[:_SHOWN]
            ],
        }
        totals = asdict(service.totals)
        metrics = [
            *(
                Metric(f"jobs_{name}_total", "counter", meaning, float(totals[name]))
                for name, meaning in _MEANINGS.items()
            ),
            Metric("sent_bytes_total", "counter", "Bytes of seeds sent", service.totals.bytes),
            *(
                Metric("cids", "gauge", "CIDs by state", count, {"state": state})
                for state, count in _counts(states).items()
            ),
            Metric("in_trouble", "gauge", "1: nothing can be sent", trouble is not None),
        ]
        self._file.write_or_warn(
            details, metrics, now=datetime.now(UTC), last_success_at=service.last_success_at
        )

    async def _publish(self, service: Dispatcher, states: States, per_hour: float) -> None:
        # Packing a hundred thousand CIDs costs more than a whole pass with nothing new.
        notes = {one.cid: one.reason for one in _held(service, states)[:_SHOWN]}
        news = (states, notes)
        if news == self._published:
            return
        summary = Summary(
            service="dispatcher",
            host=socket.gethostname(),
            written_at=datetime.now(UTC).isoformat(timespec="seconds"),
            cids={
                "new": frozenset(states.new),
                "answered": frozenset(states.answered),
                "sent": frozenset(states.sent),
                "quarantined": frozenset(states.quarantined),
            },
            notes=notes,
            per_hour=per_hour,
        )
        try:
            with anyio.fail_after(_PUBLISH_SECONDS):
                await self._publisher.publish(summary)
        except (ObjectError, TimeoutError) as error:
            log.warning("summary_not_published", reason=str(error) or "it took too long")
        else:
            self._published = news


def _held(service: Dispatcher, states: States) -> Sequence[Held]:
    concerned = states.failing | states.quarantined
    return sorted(
        (held for held in service.quarantine if held.cid in concerned), key=lambda held: held.cid
    )


def _counts(states: States) -> Mapping[str, int]:
    return {
        "new": len(states.new),
        "answered": len(states.answered),
        "sent": len(states.sent),
        "failing": len(states.failing),
        "quarantined": len(states.quarantined),
    }


def render_status(status: Status, now: datetime) -> str:
    """Return the status as a few lines for a person."""
    details = status.details
    lines = render_head(status, str(details.get("root")), now, success="last pass")
    cids, totals = details.get("cids"), details.get("totals")
    if isinstance(cids, dict):
        lines.append("  CIDs        " + ", ".join(f"{n} {state}" for state, n in cids.items()))
    if isinstance(totals, dict):
        lines.append(
            f"  since start {totals.get('sent')} sent ({totals.get('bytes')} bytes), "
            f"{totals.get('recorded')} found in the bucket; {details.get('cids_per_hour')} an hour"
        )
    for name in ("trouble", "positions_missing"):
        if said := details.get(name):
            lines.append(f"  trouble     {said}")
    held = details.get("held")
    if isinstance(held, list):
        lines += [
            f"  {'quarantined' if one['quarantined'] else 'failing':<11} {one['cid']}: "
            f"{one['reason']} (attempt {one['attempts']}, {one['since']})"
            for one in held
        ]
    return "\n".join(lines) + "\n"
