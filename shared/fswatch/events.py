"""Follow the events of a tree through watchfiles, as hints: paths that may have changed.

Its recursive mode follows symbolic links to directories, which would lead it out of the root (a
link to `/` watches the whole machine) and reports what is below a linked directory under the name
of the link only; and it fails at a directory that cannot be read. So the directories are surveyed
before it is armed, and a tree that holds such a thing is watched by a list of its other
directories. Arming holds the interpreter lock for about 20
microseconds a directory.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
from anyio import from_thread, to_thread
from watchfiles import Change, watch
from watchfiles.main import FileChange

from shared.errors import TransientError
from shared.fswatch.names import SkipRules, is_utf8, joined
from shared.fswatch.tree import Tree, is_gone, reason_of

_STEP_MS = 50
_DEBOUNCE_MS = 200
_TIMEOUT_MS = 5000
_MOST_LISTED = 5000

# One line a batch of events, at the level that operators read, is not what they need to know.
logging.getLogger("watchfiles.main").setLevel(logging.WARNING)


class EventsUnavailable(TransientError):
    """The system does not report events any more, or not at all; trying again may help."""


class EventSource(Protocol):
    """Where hints come from."""

    async def follow(
        self, root: Path, armed: Callable[[], None], touched: Callable[[Sequence[str]], None]
    ) -> None:
        """Call `armed` once events are listened to, then `touched` with paths below the root.

        `""` among the paths stands for the root itself. Returns when the source wants to be armed
        anew; raises EventsUnavailable when the events have ended or cannot be had.
        """


class WatchfilesSource:
    """The events of the operating system: inotify on Linux, FSEvents on macOS."""

    def __init__(self, rules: SkipRules) -> None:
        self._rules = rules

    async def follow(
        self, root: Path, armed: Callable[[], None], touched: Callable[[Sequence[str]], None]
    ) -> None:
        """See `EventSource.follow`."""
        stop = _Stop(armed)
        body = partial(self._follow, root, stop, touched)
        # The thread is not abandoned on cancellation but told to stop, by a sibling that notices
        # the cancellation while this task still waits for the thread.
        failure: EventsUnavailable | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_stop_when_cancelled, stop)
            try:
                await to_thread.run_sync(body, limiter=anyio.CapacityLimiter(1))
            except EventsUnavailable as error:
                failure = error
            group.cancel_scope.cancel()
        # Raised out here, where no group wraps it.
        if failure is not None:
            raise failure

    def _follow(self, root: Path, stop: "_Stop", touched: Callable[[Sequence[str]], None]) -> None:
        with _spelt(root) as top:
            survey = _survey(root, self._rules)
            with closing(_changes(top, survey, stop)) as batches:
                for changes in batches:
                    from_thread.run_sync(touched, _touched_paths(changes, top))
                    if survey.listed and _adds_directory(changes):
                        # Only being armed anew makes the new directory one of those watched.
                        return


class _Stop(threading.Event):
    """Ends the thread of a source, and tells when the thread has begun to listen.

    watchfiles says nothing when it is armed; but it asks whether to stop before every wait, and for
    the first time when every directory is watched.
    """

    def __init__(self, armed: Callable[[], None]) -> None:
        super().__init__()
        self._armed: Callable[[], None] | None = armed

    def is_set(self) -> bool:
        """Whether the thread is to end."""
        armed, self._armed = self._armed, None
        if armed is not None and not super().is_set():
            from_thread.run_sync(armed)
        return super().is_set()


async def _stop_when_cancelled(stop: _Stop) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        stop.set()


@dataclass(frozen=True, slots=True)
class _Survey:
    """How a tree can be watched."""

    listed: tuple[str, ...]
    """The directories to watch one by one; empty when the root can be watched recursively."""


def _survey(root: Path, rules: SkipRules) -> _Survey:
    """Look for links to directories, in skipped directories too: recursion enters those as well."""
    directories: list[str] = []
    odd = False
    pending = [("", False)]
    try:
        with Tree(root) as tree:
            while pending:
                directory, skipped = pending.pop()
                found = _look_into(tree, directory)
                odd = odd or found.is_odd
                if not skipped and found.is_readable and len(directories) <= _MOST_LISTED:
                    directories.append(directory)
                pending.extend(
                    (joined(directory, name), skipped or rules.skips(name) or not is_utf8(name))
                    for name in found.below
                )
    except OSError as error:
        raise EventsUnavailable(f"cannot survey {str(root)!r}; {reason_of(error)}") from error
    if odd and len(directories) > _MOST_LISTED:
        raise EventsUnavailable(
            f"{str(root)!r} holds symbolic links to directories, or directories that cannot be"
            f" read, and more than {_MOST_LISTED} others; remove these to have events"
        )
    return _Survey(tuple(directories) if odd else ())


@dataclass(frozen=True, slots=True)
class _Found:
    """What one directory means for watching it."""

    below: Sequence[str] = ()
    is_readable: bool = False
    is_odd: bool = False
    """Whether watching it recursively would go astray or fail."""


def _look_into(tree: Tree, directory: str) -> _Found:
    below: list[str] = []
    linked = False
    try:
        with os.scandir(tree.directory(directory)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                elif entry.is_symlink() and entry.is_dir():
                    linked = True
    except OSError as error:
        return _Found(is_odd=not is_gone(error))
    return _Found(below, is_readable=True, is_odd=linked)


@contextmanager
def _spelt(root: Path) -> Iterator[str]:
    """The root as a path that can be handed to watchfiles, which takes valid UTF-8 only."""
    absolute = str(root.absolute())
    if is_utf8(absolute):
        yield absolute
        return
    if sys.platform != "linux":
        raise EventsUnavailable(f"{absolute!r} is not valid UTF-8; events need a root that is")
    try:
        descriptor = os.open(absolute, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EventsUnavailable(f"cannot open {absolute!r}; {reason_of(error)}") from error
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _changes(top: str, survey: _Survey, stop: _Stop) -> Generator[set[FileChange], None, None]:
    """`watchfiles.watch` with its errors translated."""
    paths = [joined(top, path) if path else top for path in survey.listed] or [top]
    try:
        yield from watch(
            *paths,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=stop,
            rust_timeout=_TIMEOUT_MS,
            force_polling=False,
            recursive=not survey.listed,
            # Ignoring these would ignore a reached watch limit too.
            ignore_permission_denied=False,
        )
    # OSError: the watch limit is reached. RuntimeError: no instance is left, or a name in an event
    # is not valid UTF-8, which ends the generator.
    except (OSError, RuntimeError) as error:
        raise EventsUnavailable(f"events of {top!r} are not available; {error}") from error


def _touched_paths(changes: set[FileChange], top: str) -> list[str]:
    """The paths that may hold something new, and `""` when the root itself is concerned."""
    prefix = top.rstrip("/") + "/"
    touched = [
        path.removeprefix(prefix)
        for change, path in changes
        if change is not Change.deleted and path.startswith(prefix)
    ]
    if any(path == top for _, path in changes):
        touched.append("")
    return touched


def _adds_directory(changes: set[FileChange]) -> bool:
    return any(
        change is Change.added and Path(path).is_dir() and not Path(path).is_symlink()
        for change, path in changes
    )
