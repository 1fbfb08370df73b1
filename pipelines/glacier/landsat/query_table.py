"""The table of the scenes that a search found, as geopandas writes it, footprints projected.

Rule: the columns are frozen. One that an item lacks, or that the catalogue renames, is empty; a row
is never left out for it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import geopandas
import pandas as pd
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from pipelines.glacier.landsat.scenes import Item, Left, Scene, entry
from pipelines.glacier.region_file import PROJECTION
from pipelines.glacier.regions import Bounds

_LONGITUDE_LATITUDE = 4326
_PROPERTIES = (
    "datetime",
    "eo:cloud_cover",
    "view:sun_azimuth",
    "view:sun_elevation",
    "platform",
    "instruments",
    "view:off_nadir",
    "landsat:cloud_cover_land",
    "landsat:wrs_type",
    "landsat:wrs_path",
    "landsat:wrs_row",
    "landsat:scene_id",
    "landsat:collection_category",
    "landsat:collection_number",
    "landsat:correction",
    "proj:epsg",
    "proj:shape",
    "proj:transform",
    "created",
    "updated",
)
_COLUMNS = (
    *("id", "bbox", "collection"),
    *_PROPERTIES,
    *("geometry.type", "geometry.coordinates"),
    *("landsatlook_href", "s3_href"),
)
_BAD_SHAPE = (ShapelyError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


@dataclass(frozen=True, slots=True)
class QueryTable:
    """The scenes of a search whose footprints could be read."""

    frame: "geopandas.GeoDataFrame"
    covered: Mapping[Scene, float]
    """The fraction of the region that a scene's footprint covers."""
    broken: tuple[Left, ...]

    def to_csv(self, scenes: Sequence[Scene]) -> str:
        """Return the rows of some scenes."""
        positions = {scene.position for scene in scenes}
        rows = self.frame[self.frame.index.isin(positions)]
        return cast("str", rows.to_csv(lineterminator="\n"))


def read_table(items: Sequence[Item], scenes: Sequence[Scene], bounds: Bounds) -> QueryTable:
    """Lay the scenes' footprints over a region; `items` is the whole answer of the search."""
    region = box(bounds.minx, bounds.miny, bounds.maxx, bounds.maxy)
    footprints, broken = _footprints(items, scenes)
    usable = [scene for scene in scenes if scene in footprints]
    projected = geopandas.GeoSeries(
        [footprints[scene] for scene in usable], crs=_LONGITUDE_LATITUDE
    ).to_crs(PROJECTION)
    parts = [_intersection(footprint, region) for footprint in projected]
    covered = {scene: part.area / region.area for scene, part in zip(usable, parts, strict=True)}
    # The types of the columns come from the whole answer: what is left of it must not change how
    # a number of another row is written.
    frame = pd.DataFrame([_row(item) for item in items], columns=list(_COLUMNS))
    frame = frame.loc[[scene.position for scene in usable]]
    frame["landsatlook_href"] = [
        _cell(items[scene.position], "assets", scene.asset, "href") for scene in usable
    ]
    frame["s3_href"] = [scene.href for scene in usable]
    table = geopandas.GeoDataFrame(frame, geometry=projected.array)
    table["geometry_intersect"] = geopandas.GeoSeries(parts, index=frame.index, crs=PROJECTION)
    table["aoi_intersect_frac"] = list(covered.values())
    table["subset_id"] = [scene.subset_id for scene in usable]
    table["subset_id_no_collection"] = [scene.moment for scene in usable]
    return QueryTable(table, covered, tuple(broken))


def _footprints(
    items: Sequence[Item], scenes: Sequence[Scene]
) -> tuple[dict[Scene, BaseGeometry], list[Left]]:
    footprints: dict[Scene, BaseGeometry] = {}
    broken: list[Left] = []
    for scene in scenes:
        try:
            footprints[scene] = _footprint(items[scene.position])
        except _BAD_SHAPE:
            broken.append(Left(scene.subset_id, "the footprint is no polygon"))
    return footprints, broken


def _footprint(item: Item) -> BaseGeometry:
    footprint = shape(item["geometry"])
    if footprint.geom_type not in {"Polygon", "MultiPolygon"} or footprint.is_empty:
        raise ValueError(footprint.geom_type)
    if not all(map(math.isfinite, footprint.bounds)):
        raise ValueError(footprint.bounds)
    return footprint


def _intersection(footprint: BaseGeometry, region: BaseGeometry) -> BaseGeometry:
    try:
        return footprint.intersection(region)
    except ShapelyError:
        # An outline that crosses itself; what it encloses is still clear.
        return shapely.make_valid(footprint).intersection(region)


def _row(item: Item) -> Mapping[str, object]:
    row: dict[str, object] = {name: _cell(item, name) for name in ("id", "bbox", "collection")}
    row |= {name: _cell(item, "properties", name) for name in _PROPERTIES}
    # The catalogue renamed it; whoever reads the table knows the old name.
    code = _cell(item, "properties", "proj:code")
    row["proj:epsg"] = row["proj:epsg"] if code is None else code
    row |= {f"geometry.{name}": _cell(item, "geometry", name) for name in ("type", "coordinates")}
    return row


def _cell(item: Item, *path: str) -> object:
    """Return what lies at a path of names; half a character, which JSON can say, is written out."""
    found = entry(item, *path)
    if isinstance(found, str):
        return found.encode("utf-8", "backslashreplace").decode("utf-8")
    return found
