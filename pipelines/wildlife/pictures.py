"""Which objects are pictures, which camera took them, how long one takes to look at. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from types import MappingProxyType

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_CAMERA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SECONDS_PER_IMAGE: Mapping[str, float] = MappingProxyType({"cam01": 0.8, "cam02": 0.6})
USUAL_SECONDS = 0.7
_GUESSED: Mapping[str, int] = MappingProxyType({"cam01": 1200, "cam02": 800})
_USUAL_GUESS = 1000


class BadCamera(ValueError):
    """A folder's name cannot be that of a camera."""


def is_picture(name: str) -> bool:
    """Tell whether an object is a picture, by its suffix in any case."""
    return name.lower().endswith(SUFFIXES)


def camera_of(relative: str, last_segment: str) -> str:
    """Return the camera of a picture: its first folder, or the last one of where pictures lie.

    Raises:
        BadCamera: the name has characters that no camera has.
    """
    folder, found, _ = relative.partition("/")
    camera = folder if found else last_segment
    if not _CAMERA.fullmatch(camera):
        raise BadCamera(
            f"camera {camera[:80]!r} has other characters than A-Z a-z 0-9 _ -, or more than 64"
        )
    return camera


def first_pictures(names: Iterable[str], limit: int) -> list[str]:
    """Return the pictures that a run takes: the first so many in the order of their bytes."""
    return nsmallest(limit, names, key=str.encode)


def seconds_per_image(
    counts: Mapping[str, int], rates: Mapping[str, float] = SECONDS_PER_IMAGE
) -> float:
    """Return the mean time of a picture over cameras with so many of them."""
    total = sum(counts.values())
    if not total:
        return USUAL_SECONDS
    spent = sum(count * rates.get(camera, USUAL_SECONDS) for camera, count in counts.items())
    return spent / total


def count_cameras(relatives: Iterable[str], last_segment: str) -> "Counter[str]":
    """Return how many pictures each camera took; BadCamera."""
    return Counter(camera_of(relative, last_segment) for relative in relatives)


def guess_count(last_segment: str) -> int:
    """Return how many pictures there may be where nobody can be asked."""
    return _GUESSED.get(last_segment, _USUAL_GUESS)
