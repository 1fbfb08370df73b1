"""Small pictures as trail cameras take them: real EXIF, and bright blocks where animals are.

The background is dark, so that the detector of `tests.support.tiny_detector`, which looks for
bright blocks, finds exactly the animals. The same arguments make the same bytes.
"""

import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, TypeAlias

from PIL import Image, ImageDraw, TiffImagePlugin

Form: TypeAlias = Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP"]
Pixels: TypeAlias = tuple[int, int, int, int]
"""`x1, y1, x2, y2`; the last column and row are not part of it."""

SUFFIX: Mapping[Form, str] = MappingProxyType(
    {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp"}
)
COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"moose": (255, 0, 0), "roe_deer": (0, 255, 0), "fox": (0, 0, 255)}
)
"""A kind for each channel; whatever else is drawn is white."""
_WHITE = (255, 255, 255)
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_SECOND = 10_000
"""The denominator of a position's seconds: three millimetres."""


@dataclass(frozen=True, slots=True)
class Animal:
    """A bright block in a picture, and what a detector is to say of it."""

    label: str
    box: Pixels
    confidence: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Exif:
    """What a camera notes beside a picture; None leaves the tag out."""

    original: str | None = None
    """`2026:06:01 04:30:00`, as all three times."""
    digitized: str | None = None
    changed: str | None = None
    offset: str | None = None
    """`+02:00`, of the original time."""
    subsec: str | None = None
    make: str | None = "Towpath"
    model: str | None = "Trail 1"
    position: tuple[float, float] | None = None
    """Latitude and longitude."""
    altitude: float | None = None

    def to_bytes(self) -> bytes:
        """Return the block with its three directories: main, Exif, GPS."""
        exif = Image.Exif()
        _put(exif, {0x010F: self.make, 0x0110: self.model, 0x0132: self.changed})
        times = {
            0x9003: self.original,
            0x9004: self.digitized,
            0x9011: self.offset,
            0x9291: self.subsec,
        }
        _put(exif.get_ifd(_EXIF_IFD), times)
        if self.position:
            latitude, longitude = self.position
            place: dict[int, object] = {
                1: "S" if latitude < 0 else "N",
                2: _sexagesimal(latitude),
                3: "W" if longitude < 0 else "E",
                4: _sexagesimal(longitude),
            }
            if self.altitude is not None:
                place |= {5: bytes([self.altitude < 0]), 6: _rational(abs(self.altitude), 100)}
            _put(exif.get_ifd(_GPS_IFD), place)
        return exif.tobytes()


NO_EXIF = Exif(make=None, model=None)


def make_picture(
    *,
    exif: "Exif | bytes" = NO_EXIF,
    animals: Sequence[Animal] = (),
    size: tuple[int, int] = (160, 120),
    form: Form = "JPEG",
    noise: int | None = None,
) -> bytes:
    """Return a picture's file; with `noise` as a seed it is grainy, and has far more bytes."""
    image = Image.new("RGB", size, (24, 28, 24))
    if noise is not None:
        grain = random.Random(noise).randbytes(size[0] * size[1])  # noqa: S311 - no secret
        grey = Image.frombytes("L", size, grain).point(lambda level: level // 8)
        image = Image.merge("RGB", (grey, grey, grey))
    draw = ImageDraw.Draw(image)
    for animal in animals:
        x1, y1, x2, y2 = animal.box
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=COLOURS.get(animal.label, _WHITE))
    block = exif if isinstance(exif, bytes) else exif.to_bytes()
    file = io.BytesIO()
    if form == "BMP" or (isinstance(exif, Exif) and exif == NO_EXIF):
        image.save(file, form, **_options(form))
    else:
        image.save(file, form, exif=block, **_options(form))
    return file.getvalue()


def make_sidecar(animals: Sequence[Animal]) -> bytes:
    """Return what lies beside a picture as `<its name>.detections.json`."""
    found = [
        {"label": animal.label, "confidence": animal.confidence, "bbox": list(animal.box)}
        for animal in animals
    ]
    return json.dumps(found).encode()


def _options(form: Form) -> Mapping[str, object]:
    if form == "JPEG":
        # Without chroma subsampling a block's colour ends where the block does.
        return {"quality": 90, "subsampling": 0}
    return {"lossless": True} if form == "WEBP" else {}


def _put(directory: "Image.Exif | dict[int, object]", values: Mapping[int, object]) -> None:
    for tag, value in values.items():
        if value is not None:
            directory[tag] = value


def _sexagesimal(degrees: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    whole = round(Fraction(str(abs(degrees))) * 3600 * _SECOND)
    minutes, seconds = divmod(whole, 60 * _SECOND)
    return (
        TiffImagePlugin.IFDRational(minutes // 60, 1),
        TiffImagePlugin.IFDRational(minutes % 60, 1),
        TiffImagePlugin.IFDRational(seconds, _SECOND),
    )


def _rational(value: float, denominator: int) -> TiffImagePlugin.IFDRational:
    return TiffImagePlugin.IFDRational(round(value * denominator), denominator)
