"""What a detector is: asked about one picture, it answers with what it sees there."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.wildlife.detect.judging import RawDetection
from pipelines.wildlife.models.pictures import PictureLine


class PictureFailed(Exception):
    """A picture cannot be looked at; the others can."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error = error
        """A word for the kind of failure."""
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is to be looked at; its bytes are fetched when somebody wants them."""

    line: PictureLine
    revision: str
    """What the detector said that its answer depends on besides."""
    read: Callable[[], Awaitable[bytes]]
    """Return the bytes, fetched once; PictureFailed."""


class Detector(Protocol):
    """Looks for animals; called concurrently, and bounded in time."""

    async def revision(self, line: PictureLine) -> str:
        """Return what an answer depends on besides picture and configuration, empty for nothing."""

    async def detect(self, image: Picture) -> Sequence[RawDetection]:
        """Return what is seen, always in the same order.

        Raises:
            PictureFailed: this picture has no answer, and will not have one.
            shared.errors.SuiteError: nothing more can be asked, now or at all.
        """
