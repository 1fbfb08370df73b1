"""Names beside the dots of a map, where there is room for them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CHARACTER, _LINE, _GAP = 6.9, 15.0, 5.0
"""Units of the drawing: the width of a character, the height of a line, the gap beside a dot."""


@dataclass(frozen=True, slots=True)
class Dot:
    """What a name belongs to."""

    x: float
    y: float
    radius: float
    name: str


@dataclass(frozen=True, slots=True)
class Label:
    """Where a name begins, or ends."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def place_labels(dots: Sequence[Dot], width: float, height: float) -> list[Label]:
    """Return names that cover no dot and no other name; the first dots choose first."""
    room = _Box(4, 4, width - 4, height - 4)
    taken = [_Box(d.x - d.radius, d.y - d.radius, d.x + d.radius, d.y + d.radius) for d in dots]
    labels = []
    for dot in dots:
        for label, box in _choices(dot):
            inside = (
                room.left <= box.left
                and box.right <= room.right
                and room.top <= box.top
                and box.bottom <= room.bottom
            )
            if inside and not any(box.meets(other) for other in taken):
                labels.append(label)
                taken.append(box)
                break
    return labels


def _choices(dot: Dot) -> Iterator[tuple[Label, _Box]]:
    """Yield the sides in the order in which a map is read: right, left, below, above."""
    wide, away = _CHARACTER * len(dot.name), dot.radius + _GAP
    base = dot.y + _LINE / 3
    top = dot.y - _LINE / 2
    right, left = dot.x + away, dot.x - away
    yield (
        Label(right, base, "start", dot.name),
        _Box(right, top, right + wide, top + _LINE),
    )
    yield Label(left, base, "end", dot.name), _Box(left - wide, top, left, top + _LINE)
    for shift in (away + _LINE / 2, -away - _LINE / 2):
        yield (
            Label(dot.x, base + shift, "middle", dot.name),
            _Box(dot.x - wide / 2, top + shift, dot.x + wide / 2, top + shift + _LINE),
        )
