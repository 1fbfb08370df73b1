"""Which regions are too large for a function. Pure.

The submitter routes by it, and so does the state machine: one rule, in one place.
"""

from pipelines.glacier.satellite import SatelliteName

LAMBDA_MAX_TILES = 2
"""What fits into a function's memory and fifteen minutes; four tiles did not."""
TILED: frozenset[SatelliteName] = frozenset({"sentinel2"})
"""A Landsat scene is one raster: its tiles are not merged, and only its window is read."""


def too_large_for_lambda(
    tiles: int, satellite: SatelliteName, lambda_max_tiles: int = LAMBDA_MAX_TILES
) -> bool:
    """Tell whether a region with so many tiles has to be run elsewhere."""
    return satellite in TILED and tiles > lambda_max_tiles
