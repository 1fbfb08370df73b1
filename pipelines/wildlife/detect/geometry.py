"""Boxes within pictures: clamped, measured, padded, and the square that a model looks at. Pure.

Pixels are those of the picture as it is stored, from its upper left corner; the orientation tag is
not applied, so that boxes fit the sizes that Stage-0 wrote down.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

Box: TypeAlias = tuple[float, float, float, float]
"""`x1, y1, x2, y2`, as in `models.detections`, which brings more along than a pure module may."""
Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""
Pixels: TypeAlias = tuple[int, int, int, int]
"""A box between whole pixels."""


def clamp(box: Box, size: Size) -> Box:
    """Return the part of a box that lies within the picture; empty where none does."""
    width, height = size
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
        min(max(x2, 0.0), width),
        min(max(y2, 0.0), height),
    )


def relative_area(box: Box, size: Size) -> float:
    """Return which share of the picture a box covers."""
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1) / (size[0] * size[1])


def border_distance(box: Box, size: Size) -> float:
    """Return how far the nearest border of the picture is."""
    x1, y1, x2, y2 = box
    return min(x1, y1, size[0] - x2, size[1] - y2)


def crop_box(box: Box, size: Size, padding: float) -> Pixels:
    """Return what is cut out around a box: padded on each side by a share of it, at least a pixel.

    The box lies within the picture.
    """
    x1, y1, x2, y2 = box
    beside, above = padding * (x2 - x1), padding * (y2 - y1)
    left, right = _span(x1 - beside, x2 + beside, size[0])
    top, bottom = _span(y1 - above, y2 + above, size[1])
    return left, top, right, bottom


def _span(low: float, high: float, most: int) -> tuple[int, int]:
    first = min(max(_whole(low), 0), most - 1)
    return first, max(min(_whole(high), most), first + 1)


def _whole(number: float) -> int:
    """Round halves up: Python's own rounding would go to even pixels."""
    return math.floor(number + 0.5)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a picture lies in the rectangle that a model looks at: shrunk as a whole, centred."""

    scale: float
    left: int
    top: int
    width: int
    """Of the shrunk picture."""
    height: int

    def restore(self, box: Box) -> Box:
        """Return a box of the rectangle as one of the picture."""
        x1, y1, x2, y2 = box
        return (
            (x1 - self.left) / self.scale,
            (y1 - self.top) / self.scale,
            (x2 - self.left) / self.scale,
            (y2 - self.top) / self.scale,
        )


def letterbox(size: Size, target: Size) -> Letterbox:
    """Fit a picture into a rectangle without stretching it."""
    width, height = size
    scale = min(target[0] / width, target[1] / height)
    new_width = min(max(_whole(width * scale), 1), target[0])
    new_height = min(max(_whole(height * scale), 1), target[1])
    left, top = (target[0] - new_width) // 2, (target[1] - new_height) // 2
    return Letterbox(scale, left, top, new_width, new_height)
