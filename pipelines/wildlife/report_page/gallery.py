"""Crops to look at: made small, and taken into the page.

A crop may be as large as its picture. Here it becomes a thumbnail, in bounded memory; what is no
picture, or too large a one, is left out without a word, for nobody misses a sample.
"""

import io
from base64 import b64encode
from collections.abc import Iterator, Mapping

from PIL import Image, UnidentifiedImageError

from pipelines.wildlife.report_page.figures import CROP_BYTES_MAX, SAMPLES_MAX, Figures, Sample
from pipelines.wildlife.report_page.markup import Markup, element
from pipelines.wildlife.report_page.species import Palette, english
from pipelines.wildlife.report_page.words import minute, percent

TOGETHER_BYTES_MAX = 1_500_000
"""Of all pictures on the page, as they are written there."""

_SIDE = 360
_QUALITY = 80
_PIXELS_MAX = 25_000_000
_FORMATS = ("JPEG", "PNG", "WEBP")
_NO_PICTURE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    # An error where warnings are errors.
    Image.DecompressionBombWarning,
    OSError,
    ValueError,
    SyntaxError,  # of a PNG whose chunks are broken
)


def draw_crops(figures: Figures, crops: Mapping[str, bytes], palette: Palette) -> Markup | None:
    """Return the samples that are pictures and fit; None where there are none."""
    drawn, room = [], TOGETHER_BYTES_MAX
    for sample, (small, size) in _thumbnails(figures, crops):
        address = b64encode(small).decode()
        if len(address) <= room:
            room -= len(address)
            drawn.append(_figure(sample, address, size, figures, palette))
    return element("div", *drawn, class_="crops") if drawn else None


def _thumbnails(
    figures: Figures, crops: Mapping[str, bytes]
) -> Iterator[tuple[Sample, tuple[bytes, tuple[int, int]]]]:
    for sample in figures.samples[:SAMPLES_MAX]:
        small = make_thumbnail(crops.get(sample.crop_uri, b""))
        if small is not None:
            yield sample, small


def make_thumbnail(body: bytes) -> tuple[bytes, tuple[int, int]] | None:
    """Return a small JPEG of a picture, with its width and height; None if it is none."""
    if not 0 < len(body) <= CROP_BYTES_MAX:
        return None
    try:
        with Image.open(io.BytesIO(body), formats=_FORMATS) as picture:
            if picture.width * picture.height > _PIXELS_MAX:
                return None
            picture.draft("RGB", (_SIDE, _SIDE))
            small = picture.convert("RGB")
    except _NO_PICTURE:
        return None
    small.thumbnail((_SIDE, _SIDE))
    written = io.BytesIO()
    small.save(written, "JPEG", quality=_QUALITY, optimize=True)
    return written.getvalue(), small.size


def _figure(
    sample: Sample, address: str, size: tuple[int, int], figures: Figures, palette: Palette
) -> Markup:
    where = sample.place or sample.camera_id
    picture = element(
        "img",
        src=f"data:image/jpeg;base64,{address}",
        alt=f"{english(sample.species)} at {where}",
        width=size[0],
        height=size[1],
    )
    said = (
        element("span", english(sample.species), class_=f"key {palette.of(sample.species)}"),
        element("span", percent(sample.confidence), class_="soft"),
        element("span", f"{where}, {minute(sample.taken_at, figures.zone)}", class_="soft line"),
    )
    return element("figure", picture, element("figcaption", *said), data_species=sample.species)
