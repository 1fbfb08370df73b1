"""The grid of a region's rasters, made from its bounds alone. Pure."""

from dataclasses import dataclass

from pipelines.glacier.regions import Bounds

EPSG = 3413
"""Polar stereographic north: the projection of every region and result."""
CRS = f"EPSG:{EPSG}"

_PIXELS_MAX = 2_000_000_000
"""The largest region has 11 thousand million square metres: a hundredth of this at 10 m."""
_PART_OF_PIXEL = 1e-6


@dataclass(frozen=True, slots=True)
class Grid:
    """Square pixels from the upper left corner (`minx`, `maxy`), in EPSG:3413."""

    minx: float
    maxy: float
    resolution: float
    """Metres."""
    width: int
    height: int

    @classmethod
    def of(cls, bounds: Bounds, resolution: float) -> "Grid":
        """Return the grid of a region.

        Every region's extent is a multiple of 300 m. Of one that is not, the last pixels lie partly
        outside, so that all of it is covered.

        Raises:
            ValueError: the extent is empty, or absurd.
        """
        width = _pixels(bounds.maxx - bounds.minx, resolution)
        height = _pixels(bounds.maxy - bounds.miny, resolution)
        if width < 1 or height < 1 or width * height > _PIXELS_MAX:
            raise ValueError(
                f"bounds {bounds.minx:g} {bounds.miny:g} {bounds.maxx:g} {bounds.maxy:g} make no "
                f"usable grid of {resolution:g} m"
            )
        return cls(bounds.minx, bounds.maxy, resolution, width, height)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """The affine coefficients a to f, from column and row to x and y."""
        return (self.resolution, 0.0, self.minx, 0.0, -self.resolution, self.maxy)

    @property
    def bounds(self) -> Bounds:
        """What the pixels cover."""
        maxx = self.minx + self.width * self.resolution
        return Bounds(self.minx, self.maxy - self.height * self.resolution, maxx, self.maxy)

    def part(self, column: int, row: int, width: int, height: int) -> "Grid":
        """Return the grid of a rectangle of pixels, cut at the right and the lower edge."""
        return Grid(
            self.minx + column * self.resolution,
            self.maxy - row * self.resolution,
            self.resolution,
            min(width, self.width - column),
            min(height, self.height - row),
        )

    def area_km2(self, pixels: int) -> float:
        """Return what so many pixels cover."""
        return pixels * self.resolution**2 / 1e6


def _pixels(extent: float, resolution: float) -> int:
    # NaN and infinity are refused by whoever reads the region file.
    return -int(-(extent / resolution - _PART_OF_PIXEL) // 1)
