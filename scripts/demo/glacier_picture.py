"""A picture of one region as it came out: no library is needed to look at a glacier."""

from pathlib import Path

import numpy as np

from scripts.demo.pictures import indexed_png
from tests.support.glacier_scenes import read_raster

_SHADES = 256
_BRIGHTEST = 10_000
"""Fresh snow; reflectance 1 has this value."""
_TINT = (0.82, 0.93, 1.0)
"""The near infrared has no colour; ice is shown as people expect it."""
_GAMMA = 0.8


def draw_scene(raster: Path, path: Path) -> tuple[int, int]:
    """Write a PNG of a raster, a pixel for each of its own; returns width and height."""
    pixels, _ = read_raster(raster)
    shades = np.clip(pixels.astype(np.float64) / _BRIGHTEST * (_SHADES - 1), 0, _SHADES - 1)
    palette = [_colour(shade / (_SHADES - 1)) for shade in range(_SHADES)]
    height, width = pixels.shape
    path.write_bytes(indexed_png(width, height, palette, shades.astype(np.uint8).tobytes()))
    return width, height


def _colour(light: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 * light**_GAMMA * part) for part in _TINT)
    return red, green, blue
