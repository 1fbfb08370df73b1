"""What a detection has to reach to be kept, in general and for some kinds of animals. Pure.

A file of limits is a JSON object of kinds, each an object of limits; what a kind leaves out is as
in general:

    {"moose": {"conf_threshold": 0.4, "min_area": 0.01, "max_area": 0.8, "edge_margin": 20}}
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

from pipelines.wildlife.labels import OTHER, label_of

_LONGEST_SHOWN = 80


class BadLimits(ValueError):
    """The limits of kinds are not what they should be; each line is one mistake."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a detection is tested against."""

    conf_threshold: float = 0.3
    min_area: float = 0.003
    """Share of the picture."""
    max_area: float = 0.8
    edge_margin: float = 12.0
    """Pixels."""


MOST: Mapping[str, float] = MappingProxyType(
    {"conf_threshold": 1.0, "min_area": 1.0, "max_area": 1.0, "edge_margin": 10_000.0}
)
BUILT_IN: Mapping[str, Limits] = MappingProxyType(
    {
        "moose": Limits(0.4, 0.01, 0.8, 20.0),
        "boar": Limits(0.35, 0.005, 0.6, 15.0),
        "roe_deer": Limits(0.3, 0.003, 0.4, 10.0),
        "fox": Limits(0.25, 0.002, 0.3, 8.0),
        "badger": Limits(0.2, 0.001, 0.2, 5.0),
    }
)


def parse_limits(body: bytes, general: Limits) -> Mapping[str, Limits]:
    """Read a file of limits; BadLimits says everything that is wrong with it."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadLimits(f"it is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise BadLimits("it is no object of kinds")
    problems = [line for kind, limits in said.items() for line in _mistakes(kind, limits)]
    if problems:
        raise BadLimits("\n".join(problems))
    found = {
        label_of(kind).name: replace(
            general, **{name: float(value) for name, value in each.items()}
        )
        for kind, each in said.items()
    }
    crossed = [kind for kind, each in found.items() if each.min_area >= each.max_area]
    if crossed:
        raise BadLimits("\n".join(f"{kind}: min_area is not below max_area" for kind in crossed))
    return found


def _mistakes(kind: str, limits: object) -> Iterator[str]:
    shown = kind[:_LONGEST_SHOWN]
    if label_of(kind).name == OTHER and kind != OTHER:
        yield f"{shown!r} is no kind that is known"
    if not isinstance(limits, dict):
        yield f"{shown!r} is no object of limits"
        return
    for name, value in limits.items():
        if name not in MOST:
            yield f"{shown!r}: {name[:_LONGEST_SHOWN]!r} is no limit; known: {', '.join(MOST)}"
        elif not _is_number(value, MOST[name]):
            yield f"{shown!r}: {name} is {value!r:.80}; a number from 0 to {MOST[name]:g}"


def _is_number(value: object, most: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= most


def describe(limits: Mapping[str, Limits]) -> Mapping[str, Mapping[str, float]]:
    """Return limits as they go into the hash of the configuration."""
    return {kind: asdict(each) for kind, each in sorted(limits.items())}
