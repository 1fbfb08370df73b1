"""Which objects are pictures, which camera took them, how long one takes to look at. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_CAMERA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RATE = re.compile(r"(\*|[A-Za-z0-9][A-Za-z0-9_-]{0,63})=([0-9]{1,6}(?:\.[0-9]{1,6})?)")
_OTHERS = "*"
_GUESSED: Mapping[str, int] = MappingProxyType({"cam01": 1200, "cam02": 800})
_USUAL_GUESS = 1000


class BadCamera(ValueError):
    """A folder's name cannot be that of a camera."""


class BadRate(ValueError):
    """This does not say how long pictures of a camera take."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds that it takes to look at a picture."""

    by_camera: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"cam01": 0.8, "cam02": 0.6})
    )
    others: float = 0.7


USUAL_RATES = Rates()


def parse_rates(texts: Sequence[str]) -> Rates:
    """Read `cam01=0.8`, and `*=0.7` for all others; what is not said is as usual. BadRate."""
    said: dict[str, float] = {}
    for text in texts:
        match = _RATE.fullmatch(text)
        if match is None or not float(match[2]):
            raise BadRate(f"{text[:100]!r} is not valid; allowed: CAMERA=SECONDS or *=SECONDS")
        said[match[1]] = float(match[2])
    others = said.pop(_OTHERS, USUAL_RATES.others)
    return Rates({**USUAL_RATES.by_camera, **said}, others)


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


def seconds_per_image(counts: Mapping[str, int], rates: Rates = USUAL_RATES) -> float:
    """Return the mean time of a picture over cameras with so many of them."""
    total = sum(counts.values())
    if not total:
        return rates.others
    spent = sum(
        count * rates.by_camera.get(camera, rates.others) for camera, count in counts.items()
    )
    return spent / total


def guess_count(last_segment: str) -> int:
    """Return how many pictures there may be where nobody can be asked."""
    return _GUESSED.get(last_segment, _USUAL_GUESS)
