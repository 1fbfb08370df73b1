"""`time_offsets.yaml`: clocks by camera and by type, and where cameras hang."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.wildlife.models.moments import Latitude, Longitude
from pipelines.wildlife.stage0.clock.rules import ClockError
from pipelines.wildlife.stage0.clock.zones import Zone
from pipelines.wildlife.stage0.clock_files.forms import (
    DEFAULT_ZONE,
    CameraId,
    Offset,
    ZoneName,
    find_zone,
)
from pipelines.wildlife.stage0.clock_files.mistakes import Mistakes, mistakes_of, shown
from pipelines.wildlife.stage0.exif.position import Position

_BYTES_MAX = 256 * 1024
_DEPTH_MAX = 20
_DEEPER = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Camera(_Strict):
    offset_seconds: Offset
    timezone: ZoneName | None = None
    notes: str = ""


class _System(_Strict):
    default_offset: Offset = 0.0
    timezone: ZoneName = DEFAULT_ZONE
    dst_handling: Literal["automatic", "manual"] = "automatic"
    notes: str = ""


class _Position(_Strict):
    latitude: Latitude
    longitude: Longitude


class _File(_Strict):
    camera_corrections: dict[CameraId, _Camera] = Field(default_factory=dict)
    camera_systems: dict[str, _System] = Field(default_factory=dict)
    camera_types: dict[CameraId, str] = Field(default_factory=dict)
    camera_positions: dict[CameraId, _Position] = Field(default_factory=dict)
    seasonal_adjustments: object = None


_SYSTEMS: Mapping[str, _System] = MappingProxyType(
    {
        "trail_camera": _System(),
        "gps_camera": _System(timezone="UTC", dst_handling="manual"),
        "legacy_system": _System(default_offset=-3600.0, dst_handling="manual"),
    }
)
"""Types that are known without being written down; a file may say otherwise of them."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What is in the file."""

    entries: Mapping[str, ClockError]
    systems: Mapping[str, ClockError]
    types: Mapping[str, str]
    positions: Mapping[str, Position]
    seasonal: bool
    """It has adjustments by season, which would count summer time twice."""


def parse_camera_settings(text: bytes) -> CameraSettings:
    """Return what is in the file; Mistakes."""
    _check_extent(text)
    try:
        # The loader is one of safe_load, with a check on top.
        said = yaml.load(text, _OnceLoader)  # noqa: S506
        file = _File.model_validate({} if said is None else said)
    except ValidationError as error:
        raise Mistakes(mistakes_of(error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A date that there is not is a ValueError.
        raise Mistakes([f"is no YAML: {' '.join(str(error).split())}"]) from error
    systems = {**_SYSTEMS, **file.camera_systems}
    lines = [
        f"camera_types.{camera} = {shown(name)} is not known; known are {', '.join(systems)}"
        for camera, name in file.camera_types.items()
        if name not in systems
    ]
    if lines:
        raise Mistakes(lines)
    return CameraSettings(
        {name: _entry(name, each) for name, each in file.camera_corrections.items()},
        {name: _system(name, each) for name, each in systems.items()},
        file.camera_types,
        {
            name: Position(each.latitude, each.longitude)
            for name, each in file.camera_positions.items()
        },
        file.seasonal_adjustments is not None,
    )


def _check_extent(text: bytes) -> None:
    """Refuse what would keep the parser busy: its time grows with the square of the depth."""
    if len(text) > _BYTES_MAX:
        raise Mistakes([f"is longer than {_BYTES_MAX} bytes; leave out what is not needed"])
    depths = accumulate(_DEEPER.get(each, 0) for each in text)
    if max(depths, default=0) > _DEPTH_MAX:
        raise Mistakes([f"opens more than {_DEPTH_MAX} brackets; close them"])


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: the first of them would be lost without a word.

    It also refuses aliases of aliases that would say more, written out, than a file may.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self._extents: dict[int, int] = {}
        """By the identity of a node how many it has, written out; a loader keeps all its nodes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        if node is None or id(node) in self._extents:
            return node
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        # The pairs of a mapping are tuples; a node that is not known yet contains itself.
        nodes = (each for part in parts for each in (part if isinstance(part, tuple) else (part,)))
        extent = 1 + sum(self._extents.get(id(each), _BYTES_MAX) for each in nodes)
        if extent > _BYTES_MAX:
            raise yaml.composer.ComposerError(
                None, None, "its aliases say too much; write it out", node.start_mark
            )
        self._extents[id(node)] = extent
        return node

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - as PyYAML has it
    ) -> dict[object, object]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {shown(twice)} is there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _entry(camera: str, said: _Camera) -> ClockError:
    return ClockError(
        rule_id=f"camera:{camera}",
        offset_seconds=said.offset_seconds,
        zone=Zone(said.timezone, find_zone(said.timezone)) if said.timezone else None,
    )


def _system(name: str, said: _System) -> ClockError:
    return ClockError(
        rule_id=f"system:{name}",
        offset_seconds=said.default_offset,
        zone=Zone(said.timezone, find_zone(said.timezone), said.dst_handling == "manual"),
    )
