"""The names of Sentinel-2's products and raw tiles. Pure.

`S2B_MSIL2A_20240801T143749_N0511_R039_T22VFP_20240801T201519`: mission, level, sensing time,
processing baseline, orbit, tile, discriminator. The first 37 characters name an acquisition: tiles
that share them are merged.
"""

import re
from dataclasses import dataclass

_PRODUCT = re.compile(
    r"S2[A-Z]_MSIL[12][A-C]_[0-9]{8}T[0-9]{6}_N[0-9]{4}_R[0-9]{3}_T[0-9]{2}[A-Z]{3}"
    r"_[0-9]{8}T[0-9]{6}"
)
_ACQUISITION_LENGTH = 37
_SAFE = ".SAFE"
_BAND = "_B08.tif"


@dataclass(frozen=True, slots=True)
class Product:
    """One tile of one acquisition."""

    name: str
    """Without `.SAFE`."""

    @property
    def acquisition(self) -> str:
        """What the tiles of one pass have in common: mission, level, time, baseline, orbit."""
        return self.name[:_ACQUISITION_LENGTH]

    @property
    def tile(self) -> str:
        """The MGRS tile, without its `T`."""
        return self.name.split("_")[5][1:]

    @property
    def zone(self) -> str:
        """The UTM zone; all tiles of Greenland lie in the north."""
        return self.tile[:2]

    @property
    def file_name(self) -> str:
        """The name of its raw tile."""
        return self.name + _BAND


def parse_product_uri(uri: object) -> Product | None:
    """Read what a catalogue calls the product's name; None for anything else."""
    name = uri.removesuffix(_SAFE) if isinstance(uri, str) else ""
    return Product(name) if _PRODUCT.fullmatch(name) else None


def parse_file_name(name: str) -> Product | None:
    """Read the name of a raw tile; None for any other file's."""
    return parse_product_uri(name.removesuffix(_BAND)) if name.endswith(_BAND) else None


def sensing_time(acquisition: str) -> str:
    """Return the time token of an acquisition, empty where there is none: it sorts as text."""
    tokens = acquisition.split("_")
    return tokens[2] if len(tokens) > 2 else ""  # noqa: PLR2004 - mission, level, time


def baseline(acquisition: str) -> str:
    """Return the processing baseline of an acquisition, `N0511`."""
    return acquisition.split("_")[3]


def without_baseline(acquisition: str) -> str:
    """Return what two processings of one pass have in common."""
    mission, level, sensed, _, orbit = acquisition.split("_")
    return f"{mission}_{level}_{sensed}_{orbit}"
