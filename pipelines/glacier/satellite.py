"""The two satellites by the names that flags, folders and keys have. Pure."""

from typing import Literal, TypeAlias

SatelliteName: TypeAlias = Literal["sentinel2", "landsat"]
