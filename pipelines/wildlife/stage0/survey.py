"""All pictures of a run: several are read at once, and one that cannot be read costs a line."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.document.places import Place
from pipelines.wildlife.listing import pictures_below
from pipelines.wildlife.models.moments import write_moment
from pipelines.wildlife.models.pictures import PictureErrorLine, PictureLine
from pipelines.wildlife.pictures import BadCamera, camera_of
from pipelines.wildlife.stage0.line import Run, describe
from pipelines.wildlife.stage0.loaded import BadPicture
from pipelines.wildlife.stage0.reading import read_picture
from pipelines.wildlife.storage.protocol import Entry, Missing, Storage, Unusable
from shared.s3.errors import AccessDenied, InvalidKey, Unsupported

log: FilteringBoundLogger = structlog.get_logger()

_DETAIL_MAX = 300


@dataclass(slots=True)
class Surveyed:
    """What was found."""

    lines: list[PictureLine] = field(default_factory=list)
    errors: list[PictureErrorLine] = field(default_factory=list)
    found: int = 0
    """Pictures, also those that the run does not take."""
    corrected: int = 0
    """Whose time was changed."""

    @property
    def looked_at(self) -> int:
        """How many were read, or tried."""
        return len(self.lines) + len(self.errors)

    @property
    def cameras(self) -> int:
        """How many cameras took what could be read."""
        return len({line.camera_id for line in self.lines})

    def sort(self) -> None:
        """Put the lines into the order in which they are written."""
        self.lines.sort(key=lambda line: (line.timestamp_utc, line.image_uri))
        self.errors.sort(key=lambda line: line.image_uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The reading of the first so many pictures below a place."""

    storage: Storage
    source: Place
    run: Run
    limit: int
    at_once: int
    progress: Callable[[int, int], None]

    async def look(self) -> Surveyed:
        """Read them; what fails of the storage itself ends it, as the one error of a group."""
        surveyed = Surveyed()
        await self._look(surveyed)
        surveyed.sort()
        return surveyed

    async def _look(self, surveyed: Surveyed) -> None:
        send, receive = anyio.create_memory_object_stream[Entry](self.at_once)
        async with anyio.create_task_group() as group, send:
            for _ in range(self.at_once):
                group.start_soon(self._work, receive.clone(), surveyed)
            receive.close()
            async for entry in pictures_below(self.storage, self.source):
                surveyed.found += 1
                if surveyed.found <= self.limit:
                    await send.send(entry)

    async def _work(self, entries: MemoryObjectReceiveStream[Entry], surveyed: Surveyed) -> None:
        with entries:
            async for entry in entries:
                try:
                    line = await self._describe(entry)
                except _UNREADABLE as error:
                    surveyed.errors.append(_error_line(entry, error))
                else:
                    surveyed.lines.append(line)
                    surveyed.corrected += _audit(line)
                self.progress(surveyed.looked_at, self.limit)

    async def _describe(self, entry: Entry) -> PictureLine:
        camera = camera_of(entry.relative, self.source.last_segment)
        head = await read_picture(self.storage, entry)
        return describe(entry, camera, head, self.run)


_UNREADABLE = (AccessDenied, BadCamera, BadPicture, InvalidKey, Missing, Unsupported, Unusable)


def _error_line(entry: Entry, error: Exception) -> PictureErrorLine:
    if isinstance(error, BadPicture):
        word: str = error.fault
    elif isinstance(error, BadCamera):
        word = "bad_camera"
    else:
        word = "missing" if isinstance(error, Missing) else "unreadable"
    log.warning("picture_unreadable", image_uri=entry.uri, error=word, detail=str(error))
    return PictureErrorLine(image_uri=entry.uri, error=word, detail=str(error)[:_DETAIL_MAX])


def _audit(line: PictureLine) -> bool:
    """Log a correction that changed a time, and tell whether there was one."""
    if not line.offset_seconds_applied:
        return False
    log.info(
        "clock_corrected",
        image_uri=line.image_uri,
        camera_id=line.camera_id,
        old_time=write_moment(line.timestamp_original),
        new_time=write_moment(line.timestamp_corrected),
        rule_id=line.rule_id,
        offset_seconds_applied=line.offset_seconds_applied,
    )
    return True
