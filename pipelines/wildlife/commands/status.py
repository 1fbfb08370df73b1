"""`towpath wildlife status`: which runs there were, and how one of them stands."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pipelines.wildlife.commands.call import add_form
from pipelines.wildlife.commands.ending import reason_of, status_of
from pipelines.wildlife.commands.following import event_line, progress_line
from pipelines.wildlife.commands.looking import Source, open_source
from pipelines.wildlife.commands.modes import WHERE, add_mode, load_call
from pipelines.wildlife.commands.onlooker import Onlooker
from pipelines.wildlife.commands.running import interruptible
from pipelines.wildlife.errors import WildlifeStatus
from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.view import RunView, view_of
from pipelines.wildlife.settings import SERVICE
from shared.errors import ExitStatus
from shared.lifecycle import run as run_loop
from shared.log import configure_logging

SUMMARY = "say which runs there were, and how one stands"

_NAME = "status"
_DESCRIPTION = """
    Without a name: the executions that began last. With one: its states, what it has cost so far
    against its budget, and how it ended.

    With --follow the command shows a run while it goes on, the newest one unless it is named, and
    ends with it: the status is then the one that `run` would have had.
"""
_LISTED = 10


def main(argv: Sequence[str]) -> int:
    """Show runs."""
    call = load_call(_NAME, _DESCRIPTION, argv, _add_flags, flags=WHERE)
    arguments = call.arguments
    configure_logging(SERVICE, "warning")
    source = open_source(call.settings, arguments)
    if arguments.follow:
        return _follow(source, arguments.execution)
    if not arguments.execution:
        return _list(source, as_json=arguments.output == "json")
    return _show(source, arguments.execution, as_json=arguments.output == "json")


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("execution", nargs="?", default="", help="name of an execution")
    add_mode(parser)
    add_form(parser)
    parser.add_argument("--follow", action="store_true", help="show it while it goes on")


def _list(source: Source, *, as_json: bool) -> int:
    views: list[RunView] = []

    async def look() -> ExitStatus:
        views.extend(await source.newest(_LISTED))
        return ExitStatus.DONE

    run_loop(look)
    now = datetime.now(UTC)
    if as_json:
        sys.stdout.write(json.dumps([_facts(view, now) for view in views], indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{_listed(view, now)}\n" for view in views) or "no execution\n")
    return WildlifeStatus.DONE


def _show(source: Source, name: str, *, as_json: bool) -> int:
    views: list[RunView] = []

    async def look() -> ExitStatus:
        views.append(view_of(name, await source.events(name)))
        return ExitStatus.DONE

    run_loop(look)
    now = datetime.now(UTC)
    if as_json:
        sys.stdout.write(json.dumps(_facts(views[0], now), indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(views[0], now)))
    return WildlifeStatus.DONE


def _follow(source: Source, name: str) -> int:
    onlooker = Onlooker(name)
    ending = interruptible(lambda: source.follow(name, onlooker.take), onlooker)
    if ending is None:
        return ExitStatus.INTERRUPTED
    sys.stdout.write("".join(f"{line}\n" for line in _lines(onlooker.view, datetime.now(UTC))))
    return status_of(ending)


def _listed(view: RunView, now: datetime) -> str:
    return f"{view.execution}  {progress_line(view, now, 120)}"


def _lines(view: RunView, now: datetime) -> Iterator[str]:
    yield progress_line(view, now, 120)
    for visit in view.visits:
        yield f"  {event_line(visit, now)}"
    if view.status not in {Status.RUNNING, Status.SUCCEEDED}:
        yield from (f"  {line}" for line in reason_of(_ending(view)).splitlines())
    if isinstance(view.output, Mapping):
        results = view.output.get("final_results")
        if isinstance(results, Mapping):
            yield f"  report: {results.get('report_uri')}"


def _ending(view: RunView) -> Ending:
    return Ending(view.status, view.output, view.error, view.cause)


def _facts(view: RunView, now: datetime) -> Mapping[str, object]:
    current = view.current
    return {
        "execution": view.execution,
        "status": view.status,
        "started_at": _written(view.started_at),
        "ended_at": _written(view.ended_at),
        "state": current.state if current else None,
        "done": current.done if current else None,
        "total": current.total if current else None,
        "cost_dkk": round(view.cost_dkk(now), 6),
        "budget_dkk": view.number("budget_dkk"),
        "estimated_total_dkk": view.number("estimated_total_dkk"),
        "states": [
            {
                "state": visit.state,
                "seconds": round(visit.seconds(view.ended_at or now), 3),
                "tries": visit.tries,
                "error": visit.error or None,
            }
            for visit in view.visits
        ],
        "error": view.error or None,
        "reason": reason_of(_ending(view)) if view.error else None,
        "output": view.output,
    }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
