"""How much disk a job needs at the least, before anything is fetched. Pure.

The number of scenes is known only to the search, so the least is one acquisition: all tiles of the
largest region as whole files, or nothing of them where only windows are read, and a few copies of
its grid. What is short of that cannot succeed; it is refused with both numbers.
"""

from collections.abc import Iterable

from pipelines.glacier.regions import Region
from pipelines.glacier.run.request import RunRequest

TILE_BYTES = 220_000_000
"""A large band of Sentinel-2 as it is offered."""
_GRID_COPIES = 4
_METRES: dict[str, int] = {"sentinel2": 10, "landsat": 15}
_SAMPLE_BYTES = 2
_MARGIN_BYTES = 64_000_000


def needed_bytes(request: RunRequest, regions: Iterable[Region]) -> int:
    """Return the bytes that must be free."""
    whole_tiles = request.satellite == "sentinel2" and not _reads_windows(request)
    return _MARGIN_BYTES + max(
        (
            _grid_bytes(region, _METRES[request.satellite])
            + (len(region.tiles) * TILE_BYTES if whole_tiles else 0)
            for region in regions
        ),
        default=0,
    )


def _reads_windows(request: RunRequest) -> bool:
    flags = request.flags
    return flags.download and flags.post_processing and flags.clear_downloads


def _grid_bytes(region: Region, metres: int) -> int:
    bounds = region.bounds
    pixels = (bounds.maxx - bounds.minx) * (bounds.maxy - bounds.miny) / metres**2
    return int(pixels) * _SAMPLE_BYTES * _GRID_COPIES
