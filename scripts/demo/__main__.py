"""Play the chapters: `python -m scripts.demo [--part uploader] [--keep]`, or `make demo`.

The embedded S3 and the effect check are those of `tests/support`: a demonstration that were judged
by gentler means than the tests would prove less than it seems to. It therefore runs from a
checkout, and is no part of the installed package.
"""

import argparse
import importlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import anyio
from anyio import CancelScope

from scripts.demo.board import Board
from scripts.demo.stage import PROJECT, DemoFailed, Linger, NotPlayed, Stage
from scripts.demo.workspace import open_workspace
from shared.errors import ExitStatus, SuiteError

CHAPTERS: Mapping[str, str] = {
    "uploader": "scripts.demo.uploader",
    "handshake": "scripts.demo.handshake",
    "ingester": "scripts.demo.ingester",
    "glacier": "scripts.demo.glacier",
    "wildlife": "scripts.demo.wildlife",
}
"""Part to module; a module is imported when its part is played."""
USUAL = ("uploader", "handshake")
"""What is played when no part is named."""
_MEANING = "See the suite at work on an embedded S3; the folder demo-work stays to be looked at."


def main(argv: Sequence[str] | None = None) -> int:
    """Play what is asked for; returns the exit status."""
    asked = _parser().parse_args(argv)
    parts = {None: USUAL, "all": tuple(CHAPTERS)}.get(asked.part, (asked.part,))
    try:
        with open_workspace(asked.folder) as folder:
            return anyio.run(_play, parts, folder, asked, backend_options={"use_uvloop": True})
    except SuiteError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.status


async def _play(parts: Sequence[str], folder: Path, asked: argparse.Namespace) -> ExitStatus:
    board, good, reasons = Board(), None, []
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as tasks:
                linger = Linger()
                tasks.start_soon(_follow, signals, linger, tasks.cancel_scope)
                stages = [
                    Stage(_made(folder / part), asked.scale, asked.keep, board, linger)
                    for part in parts
                ]
                results = [await _played(stage, named=asked.part in CHAPTERS) for stage in stages]
                good = all(results)
                tasks.cancel_scope.cancel()
    except* DemoFailed as group:
        reasons = [str(error) for error in _leaves(group)]
    if reasons:
        board.verdict(f"The demo cannot go on: {'; '.join(reasons)}.", good=False)
        return ExitStatus.UNEXPECTED
    if good is None:
        board.verdict("Interrupted; everything was stopped.", good=False)
        return ExitStatus.INTERRUPTED
    return ExitStatus.DONE if good else ExitStatus.UNEXPECTED


async def _follow(
    signals: AsyncIterator[signal.Signals], linger: Linger, scope: CancelScope
) -> None:
    """End the wait after the story politely, and anything else at once."""
    async for _ in signals:
        if linger.under_way and not linger.over.is_set():
            linger.over.set()
        else:
            scope.cancel()


async def _played(stage: Stage, *, named: bool) -> bool:
    """Play a chapter; one that nobody has named may be left out, and says so."""
    try:
        return await _chapter(stage.folder.name)(stage)
    except NotPlayed as error:
        if named:
            raise
        stage.board.say(f"left out: {error}", "bold yellow")
        return True


def _chapter(part: str) -> Callable[[Stage], Awaitable[bool]]:
    run: Callable[[Stage], Awaitable[bool]] = importlib.import_module(CHAPTERS[part]).run_chapter
    return run


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _leaves(group: BaseExceptionGroup[DemoFailed]) -> Iterator[DemoFailed]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=_MEANING)
    parser.add_argument("--part", choices=(*CHAPTERS, "all"), help="play only this chapter")
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running until Ctrl-C, to play with"
    )
    # For the tests: less of everything, elsewhere.
    parser.add_argument(
        "--scale", choices=("full", "small"), default="full", help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--folder", type=Path, default=PROJECT / "demo-work", help=argparse.SUPPRESS
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
