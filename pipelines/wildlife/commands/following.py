"""What people see of a run while it goes on: one line that changes, or a line for each state. Pure.

SubmitBatchStage1 [########............] 120 of 300, 35.2/s, 5 s left · 0.0123 of 25.0000 DKK · 42 s
"""

from datetime import datetime

from pipelines.wildlife.machine.view import RunView, Visit

_BAR = 20
_MINUTE, _HOUR = 60, 3600


def progress_line(view: RunView, now: datetime, columns: int = 100) -> str:
    """Return the line that shows how a run stands, no longer than the terminal is wide."""
    current = view.current
    doing = view.status.value.lower() if current is None else _visit(current)
    parts = [doing, _cost(view, now), _elapsed(view, now)]
    return " · ".join(filter(None, parts))[: max(0, columns - 1)]


def event_line(visit: Visit, now: datetime) -> str:
    """Return a line for a state that has been left."""
    again = f", tried {visit.tries} times" if visit.tries > 1 else ""
    error = f", {visit.error}" if visit.error else ""
    return f"{visit.state}: {duration(visit.seconds(now))}{again}{error}"


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - one digit
    minutes, rest = divmod(round(seconds), _MINUTE)
    if seconds < _HOUR:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE:02d} min"


def _visit(visit: Visit) -> str:
    name = f"{visit.state} (try {visit.tries})" if visit.tries > 1 else visit.state
    if not visit.total:
        return name
    filled = min(_BAR, _BAR * visit.done // visit.total)
    text = f"{name} [{'#' * filled}{'.' * (_BAR - filled)}] {visit.done} of {visit.total}"
    rate, left = visit.rate(), visit.seconds_left()
    if rate is not None:
        text += f", {rate:.1f}/s"
    return text if left is None or visit.done >= visit.total else f"{text}, {duration(left)} left"


def _cost(view: RunView, now: datetime) -> str:
    budget = view.number("budget_dkk")
    if budget is None:
        return ""
    return f"{view.cost_dkk(now):.4f} of {budget:.4f} DKK"


def _elapsed(view: RunView, now: datetime) -> str:
    if view.started_at is None:
        return ""
    return duration(((view.ended_at or now) - view.started_at).total_seconds())
