"""Finding what is near: the earth cut into cubes, so that only a few have to be looked into. Pure.

Cubes know no poles and no date line.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from math import dist, floor
from typing import TypeAlias

from pipelines.wildlife.sphere import (
    SAME_METERS,
    Position,
    Vector,
    distance_meters,
    vector_of,
)

_Cube: TypeAlias = tuple[int, int, int]


class Nearby:
    """Numbered positions, each of which may move."""

    def __init__(self, reach_meters: float) -> None:
        # With cubes of twice the reach, what is in reach lies in eight of them at most.
        self._reach = reach_meters + SAME_METERS
        self._side = 2 * self._reach
        self._positions: dict[int, Position] = {}
        self._vectors: dict[int, Vector] = {}
        self._cubes: dict[_Cube, set[int]] = {}

    def put(self, number: int, position: Position) -> None:
        """Note where a number is now."""
        before = self._positions.get(number)
        if before == position:
            return
        vector = vector_of(position)
        there = self._cube(vector)
        if before is not None and (here := self._cube(self._vectors[number])) != there:
            self._cubes[here].remove(number)
        self._positions[number], self._vectors[number] = position, vector
        self._cubes.setdefault(there, set()).add(number)

    def within(self, position: Position) -> Iterator[tuple[float, int]]:
        """Yield the distance and number of all in reach, in no order; the reach is inclusive."""
        if not self._cubes:
            return
        vector, reach = vector_of(position), self._reach
        for cube in self._around(vector):
            for number in self._cubes.get(cube, ()):
                # A chord is quickly found, and never longer than the way around.
                if dist(vector, self._vectors[number]) <= reach:
                    away = distance_meters(position, self._positions[number])
                    if away <= reach:
                        yield away, number

    def _cube(self, vector: Vector) -> _Cube:
        x, y, z = vector
        side = self._side
        return floor(x / side), floor(y / side), floor(z / side)

    def _around(self, vector: Vector) -> Iterable[_Cube]:
        xs, ys, zs = (
            range(
                floor((at - self._reach) / self._side), floor((at + self._reach) / self._side) + 1
            )
            for at in vector
        )
        return product(xs, ys, zs)
