"""The head of a picture of any format: what it is, and what its camera noted. Pure.

The first bytes decide the format. A name says nothing about what is in a file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pipelines.wildlife.stage0.exif.notes import Notes, read_notes
from pipelines.wildlife.stage0.image import bmp, jpeg, png, tiff, webp
from pipelines.wildlife.stage0.image.shape import Shape, check_shape
from pipelines.wildlife.stage0.loaded import BadPicture, Loaded

HEAD_BYTES = 32 * 1024
"""Read at once. Cameras note times and position at the very beginning, with a thumbnail of 5 to 20
KiB behind, and only then comes the frame with width and height."""
_MAGIC_BYTES = 12

_Reader: TypeAlias = Callable[[Loaded], Shape]


@dataclass(frozen=True, slots=True)
class Head:
    """A picture's shape, and its camera's notes."""

    shape: Shape
    notes: Notes


def read_head(source: Loaded) -> Head:
    """Return the head of a picture.

    Raises:
        Wanted: another range has to be read first.
        BadPicture: it is no picture, or one that cannot be read.
    """
    if not source.size:
        raise BadPicture("empty", "has no bytes")
    shape = check_shape(_reader(source)(source))
    notes = read_notes(source, *shape.exif) if shape.exif else Notes()
    return Head(shape, notes)


def _reader(source: Loaded) -> _Reader:
    magic = source.take(0, min(_MAGIC_BYTES, source.size))
    if magic.startswith(jpeg.MAGIC):
        return jpeg.read_jpeg
    if magic.startswith(png.MAGIC):
        return png.read_png
    if magic.startswith(tiff.MAGICS):
        return tiff.read_tiff
    if magic.startswith(bmp.MAGIC):
        return bmp.read_bmp
    if webp.is_webp(magic):
        return webp.read_webp
    raise BadPicture("not_a_picture", f"begins with {magic!r}")
