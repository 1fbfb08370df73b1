"""Which items of a search are scenes of Landsat that a region can use, and their names. Pure.

| platform          | used where                | band                     |
|-------------------|---------------------------|--------------------------|
| LANDSAT_1, 2, 3   | never                     |                          |
| LANDSAT_4, 5      | the instrument is the TM  | `nir08`, near infrared   |
| LANDSAT_7, 8, 9   | always                    | `pan`, panchromatic      |
| any other         | never                     |                          |

An item without that band (the thermal instrument of Landsat 8 alone) is not used either. One that
lacks something else that a scene needs is told as broken.

A scene is known by its second and its scene id: what follows them in its name tells the processing,
and processing is repeated by the USGS.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

Item: TypeAlias = Mapping[str, object]
"""A STAC item as JSON has it."""

_NEAR_INFRARED = frozenset({"LANDSAT_4", "LANDSAT_5"})
_PANCHROMATIC = frozenset({"LANDSAT_7", "LANDSAT_8", "LANDSAT_9"})
BANDS = ("pan", "nir08")
"""The assets that are used."""
_SUFFIX = "_ortho"
_SCENE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_HREF = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[\x21-\x7e]{1,900}")
_SHOWN_MAX = 80


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene to be clipped."""

    position: int
    """Where its item stands in the answer of the search, from 0."""
    item_id: str
    scene_id: str
    taken_at: datetime
    asset: str
    """`pan` or `nir08`."""
    href: str
    """`s3://usgs-landsat/...`"""

    @property
    def moment(self) -> str:
        """What makes it this scene and no other: the second and the scene id."""
        return f"{self.taken_at:%Y%m%d%H%M%S}_{self.scene_id}"

    @property
    def subset_id(self) -> str:
        """The name of its raster, without the ending."""
        return f"{self.moment}_{self.item_id}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Left:
    """An item or scene that is not used, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a search's answer holds."""

    scenes: tuple[Scene, ...]
    """Those of Landsat 4 and 5 first, else in the order of the answer."""
    broken: tuple[Left, ...]
    """Items that should be scenes, and cannot be read."""
    unused: int
    """Items of other platforms and instruments."""


class _Broken(ValueError):
    """An item lacks what a scene needs."""


def choose_scenes(items: Sequence[Item]) -> Choice:
    """Sort a search's answer out."""
    near_infrared: list[Scene] = []
    panchromatic: list[Scene] = []
    broken: list[Left] = []
    unused = 0
    for position, item in enumerate(items):
        try:
            asset = _asset_name(item)
            if asset is None:
                unused += 1
                continue
            scene = _scene(position, item, asset)
        except _Broken as error:
            broken.append(Left(_shown_id(item, position), str(error)))
            continue
        (near_infrared if asset == "nir08" else panchromatic).append(scene)
    return Choice((*near_infrared, *panchromatic), tuple(broken), unused)


def each_once(scenes: Sequence[Scene]) -> tuple[tuple[Scene, ...], tuple[Left, ...]]:
    """Keep one of those that are the same scene: the one that was processed last."""
    best: dict[str, Scene] = {}
    for scene in scenes:
        known = best.get(scene.moment)
        if known is None or _processed(scene) > _processed(known):
            best[scene.moment] = scene
    kept = set(best.values())
    return tuple(scene for scene in scenes if scene in kept), tuple(
        Left(scene.subset_id, f"the same scene as {best[scene.moment].item_id!r}")
        for scene in scenes
        if scene not in kept
    )


def finished_moments(names: Iterable[str]) -> frozenset[str]:
    """Return what the names of a region's rasters say of the scenes that are there."""
    return frozenset(
        "_".join(parts[:2])
        for parts in (name.removesuffix(".tif").split("_") for name in names)
        if len(parts) > 1
    )


def in_time_order(scenes: Iterable[Scene]) -> tuple[Scene, ...]:
    """Return the scenes by time, then by name."""
    return tuple(sorted(scenes, key=lambda scene: scene.subset_id))


def entry(item: Item, *path: str) -> object:
    """Return what lies at a path of names inside an item, None where nothing does."""
    found: object = item
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _asset_name(item: Item) -> str | None:
    """Return the band that is used of an item, None where none is."""
    platform = _text(item, "properties", "platform").upper()
    if platform in _PANCHROMATIC:
        asset = "pan"
    elif platform in _NEAR_INFRARED and _has_mapper(item):
        asset = "nir08"
    else:
        return None
    return None if entry(item, "assets", asset) is None else asset


def _has_mapper(item: Item) -> bool:
    """Tell whether it is of the TM: the MSS of the same platforms has pixels of 60 m."""
    instruments = entry(item, "properties", "instruments")
    return "TM" in (instruments if isinstance(instruments, list) else [instruments])


def _scene(position: int, item: Item, asset: str) -> Scene:
    item_id = _matching(_ITEM_ID, item, "id")
    scene_id = _matching(_SCENE_ID, item, "properties", "landsat:scene_id")
    href = _matching(_HREF, item, "assets", asset, "alternate", "s3", "href")
    written = _text(item, "properties", "datetime")
    try:
        taken_at = _in_utc(datetime.fromisoformat(written))
    except (ValueError, OverflowError):
        raise _Broken(f"datetime {written[:_SHOWN_MAX]!r} is no point in time") from None
    return Scene(position, item_id, scene_id, taken_at, asset, href)


def _in_utc(moment: datetime) -> datetime:
    """Return a point in time in UTC; without a zone it is one, as the STAC specification has it."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _matching(pattern: re.Pattern[str], item: Item, *path: str) -> str:
    found = _text(item, *path)
    if not pattern.fullmatch(found):
        raise _Broken(f"{'.'.join(path)} {found[:_SHOWN_MAX]!r} is not of the usual form")
    return found


def _text(item: Item, *path: str) -> str:
    found = entry(item, *path)
    if not isinstance(found, str):
        raise _Broken(f"{'.'.join(path)} is missing, or no text")
    return found


def _shown_id(item: Item, position: int) -> str:
    found = item.get("id")
    return ascii(found)[1:-1][:_SHOWN_MAX] if isinstance(found, str) else f"item {position}"


def _processed(scene: Scene) -> tuple[bool, str, str]:
    """Return what sorts by processing: final before real-time, then the day, then the name.

    An item's id is like `LC08_L1TP_003017_20240704_20240712_02_T1`.
    """
    parts = scene.item_id.split("_")
    return not scene.item_id.endswith("_RT"), "".join(parts[4:5]), scene.item_id
