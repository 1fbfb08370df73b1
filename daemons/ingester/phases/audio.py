"""Phase 1's downloads: the audio that the manifest knows and the disk lacks, newest first.

| the audio of an entry                         | then                                   |
|-----------------------------------------------|----------------------------------------|
| is here, with at least one byte               | nothing                                |
| S3 may have it, and it could not be had today | left for the next run: a warning       |
| what has its name is no file                  | a problem                              |
| anything else                                 | downloaded; a problem where that fails |
| the disk is full                              | the phase ends: nothing else would fit |

What fails now is tried again by every later run: the manifest keeps its URL.
"""

import errno
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.folders import Folder, audio_path, comparable
from daemons.ingester.phases.outcome import Outcome
from daemons.ingester.syncing.local import list_folder
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.transfer import is_full, no_step
from daemons.ingester.web.audio import download_audio, partial_name
from daemons.ingester.web.fetch import Web
from daemons.ingester.web.partial import remove_others
from shared.errors import SuiteError
from shared.files import contained

log: FilteringBoundLogger = structlog.get_logger()

AT_ONCE = 3
"""Downloads of a site under way; each host has a bound of its own in `web`."""
_UNDERTAKEN = 4 * AT_ONCE
"""Downloads begun, those that wait for their next attempt included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRules:
    """What the command says about downloads, and what phase 0 left open."""

    dry_run: bool = False
    """Decide and write nothing."""
    avoid: Collection[str] = ()
    """Paths that S3 may have and that could not be had: they are not downloaded anew."""
    avoid_folders: Collection[Folder] = ()
    """Folders of which it is not known what S3 has in them."""


@dataclass(slots=True, kw_only=True)
class AudioReport:
    """What the downloads did; true at any moment."""

    outcome: Outcome = field(default_factory=Outcome)
    audio_downloads: int = 0
    made: set[str] = field(default_factory=set)
    """Paths written, relative to the site; in a dry run those that would be."""
    planned: list[str] = field(default_factory=list)
    """What a dry run would do, a line each."""


class AudioDownloads:
    """Brings the audio of one site here."""

    def __init__(
        self,
        web: Web,
        place: SitePlace,
        rules: AudioRules,
        report: AudioReport,
        *,
        step: Callable[[str], None] = no_step,
    ) -> None:
        self.here: set[str] = set()
        """Audio that is here, by comparable path; `look` fills it."""
        self.wanted = 0
        """Downloads that were begun or will be."""
        self.bytes_received = 0
        self._web = web
        self._place = place
        self._rules = rules
        self._report = report
        self._step = step
        self._avoided = frozenset(map(comparable, rules.avoid))
        self._slots = anyio.CapacityLimiter(AT_ONCE)
        self._room = anyio.Semaphore(_UNDERTAKEN)

    async def look(self) -> None:
        """Find out what is here.

        Raises:
            LocalListingFailed: nobody knows, so nothing may be downloaded.
        """
        self.here = await to_thread.run_sync(_audio_here, self._place.root)

    async def bring(self, episodes: Iterable[Episode], new: Collection[tuple[str, str]]) -> None:
        """Download what is missing; `new` are the entries that no other run can know of."""
        missing = [each for each in self.missing(episodes) if self._is_decided(each, new)]
        if self._rules.dry_run:
            paths = [_path(each) for each in missing]
            self._report.planned += [f"download {path}" for path in paths]
            self._report.made.update(paths)
            return
        self.wanted += len(missing)
        async with anyio.create_task_group() as tasks:
            for episode in reversed(missing):
                await self._room.acquire()
                if self._report.outcome.fatal:
                    self._room.release()
                    break
                tasks.start_soon(self._bring, episode)

    def missing(self, episodes: Iterable[Episode]) -> Sequence[Episode]:
        """Return the entries whose audio is not here."""
        return [each for each in episodes if comparable(_path(each)) not in self.here]

    async def tidy(self, episodes: Iterable[Episode]) -> None:
        """Remove the unfinished downloads that none of these entries will go on with."""
        names = {
            partial_name(each.audio_url, self._place.root / _path(each))
            for each in self.missing(episodes)
        }
        try:
            removed = await to_thread.run_sync(remove_others, self._place.downloads, names)
        except OSError as error:
            self._report.outcome.warnings.add(str(self._place.downloads), str(error))
        else:
            if removed:
                log.info("unfinished_downloads_removed", files=removed)

    def _is_decided(self, episode: Episode, new: Collection[tuple[str, str]]) -> bool:
        """Say whether S3 cannot have the audio, and note where that is not known."""
        path = _path(episode)
        unknown = Folder.AUDIO in self._rules.avoid_folders and episode.identity not in new
        if unknown or comparable(path) in self._avoided:
            self._report.outcome.warnings.add(
                path, "not downloaded: S3 may have it and could not be asked; the next run will"
            )
            return False
        return True

    async def _bring(self, episode: Episode) -> None:
        path = _path(episode)
        try:
            target = await to_thread.run_sync(self._target, path)
            found = await download_audio(
                self._web,
                episode.audio_url,
                target,
                self._place.downloads,
                slot=self._slots,
                on_bytes=self._count,
            )
        except (SuiteError, OSError) as error:
            self._failed(path, error)
        else:
            self.here.add(comparable(path))
            if not found.was_there:
                self._report.audio_downloads += 1
                self._report.made.add(path)
                log.info(
                    "audio_downloaded",
                    path=path,
                    size_bytes=found.size_bytes,
                    resumed_from=found.resumed_from,
                )
            self._step("audio_placed")
        finally:
            self._room.release()

    def _target(self, path: str) -> Path:
        """Return where audio goes; an error where something is that it cannot take the place of."""
        target = contained(self._place.root, path)
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(target.lstat().st_mode):
                raise FileExistsError(errno.EEXIST, "what has its name is no file", str(target))
        return target

    def _count(self, size: int) -> None:
        self.bytes_received += size
        self._step("audio_arriving")

    def _failed(self, path: str, error: SuiteError | OSError) -> None:
        self._report.outcome.problems.add(path, str(error))
        if is_full(error) and not self._report.outcome.fatal:
            self._report.outcome.fatal = f"the disk is full: {error}"
        log.error("audio_not_downloaded", path=path, reason=str(error))


def _path(episode: Episode) -> str:
    return audio_path(episode.podcast_id, episode.file_key)


def _audio_here(root: Path) -> set[str]:
    return {
        entry.path
        for piece in list_folder(root, Folder.AUDIO)
        for entry in piece.entries
        if entry.size > 0
    }
