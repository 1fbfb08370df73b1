"""Which pictures are frames of a video, by their names. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_MARK = "_frame_"
_FRAME = re.compile(r"(?P<video>.*[^/])_frame_(?P<number>[0-9]{1,9})(?:\.[^./]*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture out of a video."""

    video: str
    """URI of the picture up to `_frame_`."""
    number: int


def frame_of(uri: str) -> Frame | None:
    """Return what `<video>_frame_<number>.<suffix>` says; None for a still picture."""
    if _MARK not in uri:
        return None
    found = _FRAME.fullmatch(uri)
    return Frame(found["video"], int(found["number"])) if found else None


def may_have_frames(uris: Iterable[str]) -> bool:
    """Return False if none of them is a frame, which is quicker than asking each."""
    return _MARK in "\n".join(uris)
