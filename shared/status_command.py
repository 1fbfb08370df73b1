"""`towpath status`: where every CID of a hand-shake stands, who works, and what needs a person.

Rule: it reads and nothing else, so anybody with read access may ask at any time, from PROD, from
EC2 or from a laptop. In a project's root it reads the ledgers there as well.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import anyio
from pydantic import Field

from shared.engine import EngineOptions, open_engine
from shared.errors import ExitStatus, SuiteError, UsageError
from shared.handshake.board import NEEDS_A_PERSON, Board, State, make_board
from shared.handshake.board_json import board_record, state_record, story_record
from shared.handshake.board_lines import board_lines, state_lines
from shared.handshake.board_story import story_lines
from shared.handshake.layout import CID, Layout
from shared.handshake.settings import HandshakePlace
from shared.handshake.survey import Survey
from shared.lifecycle import run
from shared.log import configure_logging
from shared.options import Option
from shared.s3.store import ObjectStore
from shared.settings import load_settings

SUMMARY = "show where every CID of the hand-shake stands, and what needs a person"

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


class Settings(HandshakePlace):
    """Show where every CID of the hand-shake stands, how fast it goes and what needs a person.

    Needs only read access: s3:ListBucket and s3:GetObject below s3://BUCKET/PREFIX/. What may not
    be read is left out, and said.
    """

    requests_in_flight: Annotated[int, Option(metavar="N", group="limits")] = Field(
        default=32, ge=1, le=256, description="S3 requests under way at once"
    )


def main(argv: Sequence[str]) -> int:
    """Run `towpath status` with these arguments."""
    loaded = load_settings(Settings, argv, os.environ, service="status", extra=_add_flags)
    configure_logging("status", level="warning")
    settings, asked = loaded.settings, loaded.arguments
    _check(asked)

    async def show() -> ExitStatus:
        options = EngineOptions(
            aws_region=settings.aws_region,
            profile=settings.profile,
            endpoint_url=settings.endpoint_url,
            in_flight=settings.requests_in_flight,
        )
        async with open_engine(options, journal=None) as engine:
            if asked.watch is None:
                return await _show_once(engine.store, settings, asked)
            await _watch(engine.store, settings, asked)
        return ExitStatus.DONE

    return run(show)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to show")
    choice = group.add_mutually_exclusive_group()
    choice.add_argument("--cid", metavar="CID", help="everything about one CID")
    choice.add_argument(
        "--state", metavar="STATE", help=f"the CIDs in one state: {', '.join(State)}"
    )
    group.add_argument("--json", action="store_true", help="for programs; docs/formats.md")
    group.add_argument(
        "--watch", metavar="SECONDS", help="look again every so many seconds, until interrupted"
    )
    group.add_argument(
        "--fail",
        action="store_true",
        help=f"exit with {ExitStatus.PARTLY_DONE.value} when a CID needs a person",
    )


def _check(asked: argparse.Namespace) -> None:
    """Refuse values that mean nothing, and turn the others into what they mean."""
    if asked.cid is not None and not CID.fullmatch(asked.cid):
        raise UsageError(f"--cid {asked.cid!r} is no CID; a CID is exactly five digits")
    if asked.state is not None:
        if asked.state not in list(State):
            raise UsageError(f"--state {asked.state!r} is no state; states: {', '.join(State)}")
        asked.state = State(asked.state)
    if asked.watch is not None:
        asked.watch = _seconds(asked.watch)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= 86400:  # noqa: PLR2004 - the limits are named in the message
        raise UsageError(f"--watch {text!r} is no time to wait; allowed: 1 to 86400 seconds")
    return seconds


async def _show_once(
    store: ObjectStore, settings: Settings, asked: argparse.Namespace
) -> ExitStatus:
    text, board = await look(store, settings, asked)
    sys.stdout.write(text)
    wrong = any(board.counts[state] for state in NEEDS_A_PERSON)
    return ExitStatus.PARTLY_DONE if asked.fail and wrong else ExitStatus.DONE


async def _watch(store: ObjectStore, settings: Settings, asked: argparse.Namespace) -> None:
    """Show it again and again; a look that fails is shown too, and the next one may do better."""
    while True:
        try:
            text, _ = await look(store, settings, asked)
        except (SuiteError, ExceptionGroup) as error:
            text = "".join(f"towpath status: {line}\n" for line in _reasons(error))
        sys.stdout.write(f"{_CLEAR}{text}" if sys.stdout.isatty() else f"{text}\n")
        sys.stdout.flush()
        await anyio.sleep(asked.watch)


def _reasons(error: SuiteError | ExceptionGroup[Exception]) -> list[str]:
    """Return what went wrong; what nobody expected is raised."""
    if isinstance(error, SuiteError):
        return str(error).splitlines()
    expected, rest = error.split(SuiteError)
    if rest is not None or expected is None:
        raise error
    return list(dict.fromkeys(str(leaf) for leaf in expected.exceptions))


async def look(
    store: ObjectStore, settings: Settings, asked: argparse.Namespace
) -> tuple[str, Board]:
    """Look once; return what was asked for as text, and the board."""
    survey = Survey(
        store,
        settings.layout,
        root=settings.root,
        focus=asked.cid or "",
        in_flight=settings.requests_in_flight,
    )
    facts = await survey.look()
    board = make_board(facts, survey.clock())
    layout = settings.layout
    if asked.json:
        record = _record(board, layout, survey, asked.state)
        return json.dumps(record, indent=1) + "\n", board
    return "\n".join(_lines(board, layout, survey, asked.state)) + "\n", board


def _record(board: Board, layout: Layout, survey: Survey, state: State | None) -> dict[str, object]:
    if survey.focus:
        return story_record(board, layout, survey.story)
    return board_record(board, layout) if state is None else state_record(board, layout, state)


def _lines(board: Board, layout: Layout, survey: Survey, state: State | None) -> list[str]:
    if survey.focus:
        return story_lines(board, survey.story)
    if state is not None:
        return state_lines(board, state)
    return board_lines(board, f"s3://{layout.bucket}/{layout.prefix}")
