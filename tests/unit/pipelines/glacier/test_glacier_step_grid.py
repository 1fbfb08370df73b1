"""The grid of a region: from its bounds and nothing else."""

import pytest

from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.grid import Grid

JAKOBSHAVN = Bounds(-207110, -2298950, -145010, -2256350)


@pytest.mark.parametrize(
    ("resolution", "size"), [(10.0, (6210, 4260)), (15.0, (4140, 2840))], ids=["10 m", "15 m"]
)
def test_grid_has_the_corner_and_the_extent_of_the_bounds(
    resolution: float, size: tuple[int, int]
) -> None:
    """Feature tracking compares scenes of years pixel by pixel: corners must not move."""
    grid = Grid.of(JAKOBSHAVN, resolution)

    assert (grid.width, grid.height) == size
    assert grid.transform == (resolution, 0.0, -207110, 0.0, -resolution, -2256350)
    assert grid.bounds == JAKOBSHAVN


def test_extent_that_is_no_multiple_is_covered_all_the_same() -> None:
    """A region file of somebody's own loses no edge."""
    grid = Grid.of(Bounds(0, 0, 101, 99.5), 10.0)

    assert (grid.width, grid.height) == (11, 10)


def test_extent_that_is_a_multiple_but_for_rounding_gets_no_pixel_more() -> None:
    """Coordinates went through a file as binary fractions."""
    grid = Grid.of(Bounds(0.1, 0.1, 300.1 + 1e-9, 300.1), 10.0)

    assert (grid.width, grid.height) == (30, 30)


@pytest.mark.parametrize(
    "bounds", [Bounds(0, 0, 0, 10), Bounds(10, 0, 0, 10), Bounds(0, 0, 1e9, 1e9)]
)
def test_bounds_without_a_usable_grid_are_refused(bounds: Bounds) -> None:
    """An absurd region must not take all memory."""
    with pytest.raises(ValueError, match="no usable grid"):
        Grid.of(bounds, 10.0)


def test_part_of_a_grid_lies_where_its_pixels_lie() -> None:
    """Blocks are warped one by one; a block that is moved would tear the scene."""
    grid = Grid.of(Bounds(0, 0, 1000, 500), 10.0)

    part = grid.part(column=90, row=40, width=64, height=64)

    assert (part.minx, part.maxy, part.width, part.height) == (900, 100, 10, 10)
    assert part.bounds.maxx == grid.bounds.maxx


def test_area_is_that_of_the_pixels() -> None:
    """Exactly half of a region must come out as exactly half."""
    grid = Grid.of(Bounds(0, 0, 3000, 3000), 10.0)

    assert grid.area_km2(45_000) / 9.0 == 0.5
