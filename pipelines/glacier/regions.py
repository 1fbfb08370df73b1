"""Regions and which of them a run is about: slices, names, the list to leave out. Pure.

The order is that of the names, which is that of their numbers, for both satellites. Filters apply
one after the other: area, slice, names, the list to leave out.

| asked for                           | answer                                       |
|-------------------------------------|----------------------------------------------|
| a name that the file does not have  | BadSelection with up to three near matches   |
| a name twice                        | once, with a warning                         |
| a name that an earlier filter drops | left out, with a warning                     |
| a slice beyond the list             | clipped; BadSelection when nothing remains   |
| nothing remains                     | BadSelection                                 |
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

_SLICE = re.compile(r"([0-9]{0,9}):([0-9]{0,9})")
_REGION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}")
_TILE_NAME = re.compile(r"(?:0?[1-9]|[1-5][0-9]|60)[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]")
_NEAR_MAX = 3
_UNKNOWN_MAX = 20
"""Unknown names that are told one by one; finding near matches takes time."""
_SHOWN_MAX = 80


class BadSelection(ValueError):
    """What was asked for names no region, or an unknown one; each line is one mistake."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rectangle in EPSG:3413, in metres."""

    minx: float
    miny: float
    maxx: float
    maxy: float


@dataclass(frozen=True, slots=True)
class Region:
    """One glacier."""

    name: str
    area_km2: float
    tiles: tuple[str, ...]
    """MGRS tiles in merge priority order, each once, at least one."""
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Slice:
    """A half-open range of positions in the sorted list; None is the end on that side."""

    start: int | None
    end: int | None

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{'' if self.start is None else self.start}:{'' if self.end is None else self.end}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which regions: everything at its default is all of them."""

    names: tuple[str, ...] = ()
    positions: Slice | None = None
    ignored: tuple[str, ...] = ()
    min_area_km2: float | None = None
    """Included."""
    max_area_km2: float | None = None
    """Excluded."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The regions of a run in the order of their jobs, and what was odd about the question."""

    regions: tuple[Region, ...]
    warnings: tuple[str, ...] = ()


def select_regions(regions: Iterable[Region], selection: Selection) -> Selected:
    """Choose the regions of a run; BadSelection."""
    ordered = sorted(regions, key=lambda region: region.name)
    known = [region.name for region in ordered]
    names, warnings = _each_once(selection.names)
    _refuse_unknown((*names, *selection.ignored), known)
    chosen = _cut([each for each in ordered if _has_area(each, selection)], selection.positions)
    if names:
        by_name = {region.name: region for region in chosen}
        warnings += [
            f"region {name!r} is left out by the area filter or the index"
            for name in names
            if name not in by_name
        ]
        chosen = [by_name[name] for name in names if name in by_name]
    chosen = [region for region in chosen if region.name not in set(selection.ignored)]
    if not chosen:
        raise BadSelection("no region is left of the selection; give other names or another index")
    return Selected(tuple(chosen), tuple(warnings))


def parse_names(text: str) -> tuple[str, ...]:
    """Take a comma list apart; blanks around a name and empty items are dropped."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


def parse_slice(text: str) -> Slice:
    """Read `start:end`; ValueError for anything else, and for one that can never hold anything."""
    found = _SLICE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:_SHOWN_MAX]!r} is not START:END")
    start, end = (int(number) if number else None for number in found.groups())
    if end is not None and (start or 0) >= end:
        raise ValueError(f"{text!r} has a start that is not less than its end")
    return Slice(start, end)


def is_region_name(text: str) -> bool:
    """Tell whether a region can have this name: it becomes a folder, a key and part of a job's."""
    return _REGION_NAME.fullmatch(text) is not None


def is_tile_name(text: str) -> bool:
    """Tell whether it is the name of an MGRS tile: zone, band, column and row."""
    return _TILE_NAME.fullmatch(text) is not None


def near_matches(name: str, known: Sequence[str]) -> list[str]:
    """Return up to three known names that somebody may have meant."""
    sought = name.casefold().strip()
    folded = {each: each.casefold() for each in known}
    inside = [each for each in known if sought and sought in folded[each]]
    # The number in front is what people leave out, or get wrong.
    bare = re.sub(r"^[0-9]+_", "", sought)
    by_bare: dict[str, str] = {re.sub(r"^[0-9]+_", "", folded[each]): each for each in known}
    similar = [by_bare[each] for each in get_close_matches(bare, by_bare, n=_NEAR_MAX)]
    whole = {folded[each]: each for each in known}
    similar += [whole[each] for each in get_close_matches(sought, whole, n=_NEAR_MAX)]
    return list(dict.fromkeys((*inside, *similar)))[:_NEAR_MAX]


def _each_once(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names without repetitions, and a warning for each that was repeated."""
    counted = Counter(names)
    return list(counted), [
        f"region {name!r} is named more than once; it is taken once"
        for name, count in counted.items()
        if count > 1
    ]


def _refuse_unknown(names: Iterable[str], known: Sequence[str]) -> None:
    unknown = list(dict.fromkeys(names).keys() - set(known))
    if unknown:
        told = sorted(unknown)[:_UNKNOWN_MAX]
        lines = [_unknown(name[:_SHOWN_MAX], known) for name in told]
        if len(unknown) > len(told):
            lines.append(f"and {len(unknown) - len(told)} more that are not in the region file")
        raise BadSelection("\n".join(lines))


def _unknown(name: str, known: Sequence[str]) -> str:
    near = near_matches(name, known)
    words = " or ".join(map(repr, near))
    hint = f"did you mean {words}?" if near else f"its names are like {'134_Arsuk'!r}"
    return f"region {name!r} is not in the region file; {hint}"


def _has_area(region: Region, selection: Selection) -> bool:
    least, most = selection.min_area_km2, selection.max_area_km2
    return (least is None or least <= region.area_km2) and (most is None or region.area_km2 < most)


def _cut(regions: list[Region], positions: Slice | None) -> list[Region]:
    if positions is None:
        return regions
    cut = regions[positions.start : positions.end]
    if not cut:
        raise BadSelection(
            f"index {str(positions)!r} holds no region; the list has {len(regions)}, from 0 to "
            f"{len(regions) - 1}"
        )
    return cut
