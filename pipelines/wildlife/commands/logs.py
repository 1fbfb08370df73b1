"""`towpath wildlife logs`: the history of a run, line by line, and what its detection printed."""

import argparse
import sys
from collections.abc import Sequence

from pipelines.wildlife.commands.looking import Source, open_source
from pipelines.wildlife.commands.modes import WHERE, add_mode, load_call
from pipelines.wildlife.commands.running import interruptible
from pipelines.wildlife.errors import WildlifeStatus
from pipelines.wildlife.machine.failures import said_by
from pipelines.wildlife.machine.history import PROGRESS, Happened
from pipelines.wildlife.models.moments import write_moment
from pipelines.wildlife.settings import SERVICE
from shared.errors import ExitStatus
from shared.lifecycle import run as run_loop
from shared.log import configure_logging

SUMMARY = "show the history of a run, and what its detection printed"

_NAME = "logs"
_DESCRIPTION = """
    Show what happened in an execution, an event a line: the newest one, unless it is named. With
    --detection what the detection printed, all attempts.
"""
_SHOWN = 500


def main(argv: Sequence[str]) -> int:
    """Show a history."""
    call = load_call(_NAME, _DESCRIPTION, argv, _add_flags, flags=WHERE)
    arguments = call.arguments
    configure_logging(SERVICE, "warning")
    source = open_source(call.settings, arguments)
    if arguments.detection:
        return _print_output(source, arguments.execution)
    if not arguments.follow:
        return _print_events(source, arguments.execution)
    ending = interruptible(lambda: source.follow(arguments.execution, _print), None)
    return ExitStatus.INTERRUPTED if ending is None else WildlifeStatus.DONE


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("execution", nargs="?", default="", help="name of an execution")
    add_mode(parser)
    parser.add_argument("--follow", action="store_true", help="go on until the run ends")
    parser.add_argument("--detection", action="store_true", help="show what the detection printed")


def _print_output(source: Source, name: str) -> int:
    async def look() -> ExitStatus:
        lines = await source.printed(name)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return ExitStatus.DONE

    run_loop(look)
    return WildlifeStatus.DONE


def _print_events(source: Source, name: str) -> int:
    async def look() -> ExitStatus:
        for event in await source.events(name):
            _print(event)
        return ExitStatus.DONE

    run_loop(look)
    return WildlifeStatus.DONE


def _print(event: Happened) -> None:
    sys.stdout.write(f"{write_moment(event.at)}  {_told(event)}\n")
    sys.stdout.flush()


def _told(event: Happened) -> str:
    parts = [event.kind]
    if event.kind == PROGRESS:
        parts += [f"{event.details.get('done')} of {event.details.get('total')}"]
    parts += [event.state, event.error, said_by(event.cause)]
    text = "  ".join(part for part in parts if part)
    return " ".join(text.split("\n"))[:_SHOWN]
