"""Which raw tiles of the bucket a run without downloads works on, by their names alone. Pure.

A name is `S2B_MSIL2A_20240801T143749_N0511_R039_T22VFP_20240801T201519_B08`: mission, level,
sensing time, baseline, orbit, tile, discriminator, band.
"""

from pipelines.glacier.dates import Window, parse_date
from pipelines.glacier.regions import Region

_TIME, _TILE, _PARTS = 2, 5, 8
_DAY_LENGTH = 8


def is_wanted_tile(name: str, region: Region, window: Window) -> bool:
    """Tell whether a tile is one of the region's and was taken in the window."""
    parts = name.split("_")
    if len(parts) != _PARTS or parts[_TILE].removeprefix("T") not in region.tiles:
        return False
    day = parts[_TIME][:_DAY_LENGTH]
    try:
        taken = parse_date(f"{day[:4]}-{day[4:6]}-{day[6:]}")
    except ValueError:
        return False
    return window.first <= taken <= window.last
