"""What species are called on the page, and which of the colours each has. Pure."""

from collections.abc import Iterable, Mapping

COLOURS = 8
"""As many as eyes can tell apart; what is seen less often shares a grey."""
_REST = "rest"

_LATIN: Mapping[str, str] = {
    "badger": "Meles meles",
    "bear": "Ursus arctos",
    "beaver": "Castor fiber",
    "boar": "Sus scrofa",
    "deer": "Cervidae",
    "fallow_deer": "Dama dama",
    "fox": "Vulpes vulpes",
    "hare": "Lepus",
    "lynx": "Lynx lynx",
    "marten": "Martes",
    "moose": "Alces alces",
    "otter": "Lutra lutra",
    "rabbit": "Oryctolagus cuniculus",
    "raven": "Corvus corax",
    "red_deer": "Cervus elaphus",
    "roe_deer": "Capreolus capreolus",
    "wolf": "Canis lupus",
}


class Palette:
    """Gives colours to species by how often they were seen."""

    def __init__(self, ranked: Iterable[str]) -> None:
        self._classes = {
            name: f"s{rank}" if rank < COLOURS else _REST for rank, name in enumerate(ranked)
        }

    def of(self, species: str) -> str:
        """Return the class of a species' colour."""
        return self._classes.get(species, _REST)


def english(species: str) -> str:
    """Return a name as it begins a line."""
    name = species.replace("_", " ")
    return name[:1].upper() + name[1:]


def latin(species: str) -> str | None:
    """Return the name of science; None where the label is more than one kind, or none."""
    return _LATIN.get(species)
