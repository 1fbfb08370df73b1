"""What every format has in its head: width and height, and where the camera's notes lie. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipelines.wildlife.stage0.loaded import BadPicture

Form: TypeAlias = Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP"]

PIXELS_MAX = 150_000_000
"""No trail camera has that many; decoding more would be an attack on whoever decodes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The head of a picture."""

    form: Form
    width: int
    height: int
    exif: tuple[int, int] | None = None
    """From which byte up to which one there is an EXIF block."""


def check_shape(shape: Shape) -> Shape:
    """Return it; BadPicture for no pixels, or for too many."""
    told = f"{shape.width} x {shape.height} pixels"
    if shape.width <= 0 or shape.height <= 0:
        raise BadPicture("damaged", f"says that it has {told}")
    if shape.width * shape.height > PIXELS_MAX:
        raise BadPicture("too_large", f"says that it has {told}; at most {PIXELS_MAX} are read")
    return shape
