"""What detectors call things, and what we call them. Pure.

A label is compared in lower case, with blanks and hyphens as `_`. What is not known becomes
`other`; the raw label is kept beside it wherever a label is written down.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ANIMALS = frozenset(
    {
        *("badger", "bear", "beaver", "bird", "boar", "crow", "deer", "eagle", "fallow_deer"),
        *("fox", "hare", "lynx", "marten", "moose", "otter", "owl", "rabbit", "raven"),
        *("red_deer", "roe_deer", "wolf"),
    }
)
"""Kinds of which weather is asked and that the table of sightings has."""
HUMAN = "human"
NO_ANIMALS = frozenset({"bicycle", HUMAN, "motorcycle", "vehicle"})
UNKNOWN, OTHER = "unknown", "other"
"""An animal of some kind; anything else."""
VOCABULARY = ANIMALS | NO_ANIMALS | {UNKNOWN, OTHER}

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "roedeer": "roe_deer",
        "elk": "moose",
        "wildboar": "boar",
        "wild_boar": "boar",
        "red_fox": "fox",
        "vulpes_vulpes": "fox",
        "meles_meles": "badger",
        "person": HUMAN,
        "animal": UNKNOWN,
    }
)
_SWEDISH_COCO = {
    **dict.fromkeys(("cow", "horse"), "moose"),
    **dict.fromkeys(("deer", "sheep"), "roe_deer"),
    **dict.fromkeys(("bear", "dog", "elephant"), "boar"),
    **dict.fromkeys(("cat", "kitten"), "fox"),
    **dict.fromkeys(("marten", "weasel"), "badger"),
}
CORRECTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"swedish-coco": MappingProxyType(_SWEDISH_COCO)}
)
"""What a detector says that never saw the animals of the north, by the name of the map. Such a map
hides real bears and dogs, so nothing is corrected that nobody asked for."""
_APART = re.compile(r"[\s_-]+")


class UnknownMap(ValueError):
    """There are no corrections of this name."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label as it is written down."""

    raw: str
    name: str
    """Of the vocabulary."""
    corrected: bool = False
    """A correction changed it, which a person should look at."""

    @property
    def is_animal(self) -> bool:
        """Whether it is a kind of animal that is known."""
        return self.name in ANIMALS


def find_corrections(name: str) -> Mapping[str, str]:
    """Return the corrections of a name, none for the empty one; UnknownMap."""
    if not name:
        return {}
    if name not in CORRECTIONS:
        known = ", ".join(map(repr, CORRECTIONS))
        raise UnknownMap(f"label map {name!r} is not known; known: {known}")
    return CORRECTIONS[name]


def label_of(raw: str, corrections: Mapping[str, str] | None = None) -> Label:
    """Return what a detector's label means."""
    plain = _APART.sub("_", raw.strip().casefold())
    if corrections and plain in corrections:
        name = corrections[plain]
        return Label(raw, name, corrected=name != plain)
    name = ALIASES.get(plain, plain)
    return Label(raw, name if name in VOCABULARY else OTHER)
