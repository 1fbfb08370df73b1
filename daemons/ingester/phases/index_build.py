"""With `--index-mode local`: a command of the operator's builds the index, which appears whole.

The command is a list, never a shell's text. It writes to a place of its own; only what it leaves
there after a good end takes the place of the index. Whatever else happens, the old one stays.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from anyio import to_thread

from daemons.ingester.archive.folders import INDEX_PATH
from daemons.ingester.syncing.place import SitePlace
from shared.commands import CommandLimits, run_command
from shared.errors import PermanentError
from shared.files import OutsideRoot, contained, fsync_directory, make_folders
from shared.s3.pinned import PinBroken, pinned

BUILD_SECONDS = 3600.0
"""The largest sites need minutes."""
_COMPARED = 1024 * 1024
_SAID_LINES = 3


class IndexNotBuilt(PermanentError):
    """The command has failed, or left no index; the one from before is as it was."""


async def build_index(
    command: Sequence[str],
    place: SitePlace,
    *,
    seconds: float = BUILD_SECONDS,
    alive: Callable[[], None] = lambda: None,
) -> bool:
    """Build a site's index; says whether it is another one than before.

    Args:
        command: the program and its arguments; `{site}`, `{root}` (the site's files) and
            `{index}` (where to write) are filled in.
        place: the site.
        seconds: how long it may take.
        alive: called every second.

    Raises:
        IndexNotBuilt: and nothing has changed.
    """
    if not command:
        raise IndexNotBuilt("no command is configured; say --index-command")
    try:
        return await _build(command, place, seconds, alive)
    except (OSError, OutsideRoot) as error:
        raise IndexNotBuilt(f"the index cannot be put in its place: {error}") from error


async def _build(
    command: Sequence[str], place: SitePlace, seconds: float, alive: Callable[[], None]
) -> bool:
    work = place.work.parents[1] / "index" / place.site_id
    draft = work / Path(INDEX_PATH).name
    await to_thread.run_sync(_prepare, work)
    try:
        argv = [_filled(word, place, draft) for word in command]
        outcome = await run_command(
            argv, cwd=place.root, limits=CommandLimits(time_seconds=seconds), progress=alive
        )
        if not outcome.ok:
            said = " | ".join(outcome.tail.strip().splitlines()[-_SAID_LINES:])
            raise IndexNotBuilt(
                f"{argv[0]!r} failed: {outcome.reason()}{f': {said}' if said else ''}"
            )
        return await to_thread.run_sync(_take, draft, place)
    finally:
        await to_thread.run_sync(shutil.rmtree, work, True)  # noqa: FBT003 - it takes no keyword


def _prepare(work: Path) -> None:
    """Have an empty folder; a killed run may have left files."""
    shutil.rmtree(work, ignore_errors=True)
    make_folders(work)


def _filled(word: str, place: SitePlace, draft: Path) -> str:
    values = {"{site}": place.site_id, "{root}": str(place.root), "{index}": str(draft)}
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def _take(draft: Path, place: SitePlace) -> bool:
    """Put the new index into the place of the old one, unless they are equal."""
    target = contained(place.root, INDEX_PATH)
    try:
        with pinned(str(draft)) as source:
            if source.identity.size == 0:
                raise IndexNotBuilt(f"the command has left an empty {draft.name!r}")
            if _equal(draft, target):
                return False
            os.fchmod(source.descriptor, 0o644)
            os.fsync(source.descriptor)
    except FileNotFoundError as error:
        raise IndexNotBuilt(
            f"the command ended well and has not written {{index}}, {str(draft)!r}"
        ) from error
    except PinBroken as error:
        raise IndexNotBuilt(f"the command has left no file under {{index}}: {error}") from error
    make_folders(target.parent)
    draft.replace(target)
    fsync_directory(target.parent)
    return True


def _equal(first: Path, second: Path) -> bool:
    """Compare two files, the second of which need not be there."""
    if not second.is_file() or first.stat().st_size != second.stat().st_size:
        return False
    with first.open("rb") as one, second.open("rb") as other:
        while piece := one.read(_COMPARED):
            if piece != other.read(_COMPARED):
                return False
    return True
