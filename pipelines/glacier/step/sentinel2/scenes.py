"""Which tiles of a search's answer and of the disk make which acquisitions of a region. Pure.

| item                                              | becomes                                      |
|---------------------------------------------------|----------------------------------------------|
| its id's second token is no tile of the region    | nothing                                      |
| a day outside the window                          | nothing                                      |
| no product name, no date, no `nir` asset          | broken: a scene that fails                   |
| a product of another tile than the id says        | broken                                       |
| a product that another item has given already     | nothing                                      |
| any other                                         | a tile of its acquisition                    |

Tiles are merged in the region's order, zone by zone; the zone of the region's first tile comes
first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.glacier.dates import Window, parse_date
from pipelines.glacier.step.sentinel2.products import (
    Product,
    baseline,
    parse_file_name,
    parse_product_uri,
    sensing_time,
    without_baseline,
)

ASSET = "nir"
_SHOWN_MAX = 120
_DATE_LENGTH = 10
_HREF_MAX = 4000


@dataclass(frozen=True, slots=True)
class Tile:
    """One raw tile, wherever it is."""

    product: Product
    year: str
    """The folder it lies in, or is to lie in."""
    href: str = ""
    """Where it can be fetched; empty: it is on the disk alone."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """The tiles of one pass over a region, in merge order."""

    id: str
    tiles: tuple[Tile, ...]

    @property
    def zones(self) -> tuple[tuple[Tile, ...], ...]:
        """The tiles by UTM zone, in merge order."""
        by_zone: defaultdict[str, list[Tile]] = defaultdict(list)
        for tile in self.tiles:
            by_zone[tile.product.zone].append(tile)
        return tuple(map(tuple, by_zone.values()))

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its raw tiles, in merge order."""
        return tuple(tile.product.file_name for tile in self.tiles)


@dataclass(frozen=True, slots=True)
class Broken:
    """An item that should be a scene and cannot be used."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a search gave for a region."""

    tiles: tuple[Tile, ...] = ()
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for a region, in time order."""

    acquisitions: tuple[Acquisition, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def choose_tiles(
    items: Iterable[Mapping[str, object]], tiles: Sequence[str], window: Window
) -> Chosen:
    """Take the region's scenes out of a search's answer."""
    chosen: dict[str, Tile] = {}
    broken: list[Broken] = []
    for item in items:
        name = str(item.get("id", ""))
        tokens = name.split("_")
        if len(tokens) < 2 or tokens[1] not in tiles:  # noqa: PLR2004 - mission, tile
            continue
        try:
            tile = _tile(item, tokens[1], window)
        except ValueError as error:
            broken.append(Broken(name[:_SHOWN_MAX], str(error)))
            continue
        if tile is not None:
            chosen.setdefault(tile.product.name, tile)
    return Chosen(tuple(chosen.values()), tuple(broken))


def choose_files(files: Iterable[tuple[str, str]], tiles: Sequence[str]) -> tuple[Tile, ...]:
    """Take the region's raw tiles out of the files of some years: pairs of year and name."""
    found = ((year, parse_file_name(name)) for year, name in sorted(files))
    return tuple(
        Tile(product, year)
        for year, product in found
        if product is not None and product.tile in tiles
    )


def plan_acquisitions(
    searched: Iterable[Tile], on_disk: Iterable[Tile], tiles: Sequence[str], *, latest_only: bool
) -> Plan:
    """Group tiles by acquisition; `tiles` are the region's, in merge order.

    A tile that was both found and is on the disk is the one that was found. `latest_only` leaves
    out what was processed again under a later baseline.
    """
    by_name = {tile.product.name: tile for tile in (*on_disk, *searched)}
    groups: defaultdict[str, list[Tile]] = defaultdict(list)
    for tile in by_name.values():
        groups[tile.product.acquisition].append(tile)
    names = sorted(groups, key=lambda name: (sensing_time(name), name))
    kept, warnings = _baselines(names, latest_only=latest_only)
    return Plan(
        tuple(Acquisition(name, _merge_order(groups[name], tiles)) for name in kept), warnings
    )


def _tile(item: Mapping[str, object], tile: str, window: Window) -> Tile | None:
    """Return the tile of an item, None where it lies outside the window; ValueError."""
    properties = _mapping(item.get("properties"), "properties")
    taken_at = properties.get("datetime")
    text = taken_at[:_DATE_LENGTH] if isinstance(taken_at, str) else ""
    try:
        day = parse_date(text)
    except ValueError as error:
        raise ValueError(f"item has no date: {str(taken_at)[:_SHOWN_MAX]!r}") from error
    if not window.first <= day <= window.last:
        return None
    uri = properties.get("s2:product_uri")
    product = parse_product_uri(uri)
    if product is None or product.tile != tile:
        raise ValueError(f"item has no product name of tile {tile!r}: {str(uri)[:_SHOWN_MAX]!r}")
    asset = _mapping(_mapping(item.get("assets"), "assets").get(ASSET), f"asset {ASSET!r}")
    href = asset.get("href")
    if not isinstance(href, str) or not href or len(href) > _HREF_MAX:
        raise ValueError(f"asset {ASSET!r} has no address")
    return Tile(product, text[:4], href)


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"item has no {name}")  # noqa: TRY004 - data from outside, not our types
    return value


def _merge_order(group: Sequence[Tile], tiles: Sequence[str]) -> tuple[Tile, ...]:
    position = {tile: number for number, tile in enumerate(tiles)}
    ordered = sorted(group, key=lambda each: (position[each.product.tile], each.product.name))
    zones = list(dict.fromkeys(each.product.zone for each in ordered))
    return tuple(sorted(ordered, key=lambda each: zones.index(each.product.zone)))


def _baselines(names: Sequence[str], *, latest_only: bool) -> tuple[list[str], tuple[str, ...]]:
    """Return the acquisitions that are kept, and a warning for each that was processed twice."""
    by_pass: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        by_pass[without_baseline(name)].append(name)
    kept: list[str] = []
    warnings: list[str] = []
    for group in by_pass.values():
        latest = max(group, key=baseline)
        kept += [latest] if latest_only else group
        if len(group) > 1:
            done = f"only {latest!r} is used" if latest_only else "each is done"
            warnings.append(f"acquisitions {', '.join(group)} differ in their baseline; {done}")
    return sorted(kept, key=names.index), tuple(warnings)
