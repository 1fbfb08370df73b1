"""Which regions a run is about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.glacier.regions import (
    BadSelection,
    Bounds,
    Region,
    Selection,
    Slice,
    is_region_name,
    is_tile_name,
    near_matches,
    parse_names,
    parse_slice,
    select_regions,
)

_BOUNDS = Bounds(0.0, 0.0, 3000.0, 3000.0)


def _region(number: int, name: str = "x", area_km2: float = 100.0) -> Region:
    return Region(f"{number:03d}_{name}", area_km2, ("22WEB",), _BOUNDS)


_ALL = [_region(number, f"glacier{number}", 10.0 * number) for number in range(192, 0, -1)]


def _numbers(selection: Selection) -> list[int]:
    return [int(region.name[:3]) for region in select_regions(_ALL, selection).regions]


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("0:25", 1, 25, 25),
        ("5:", 6, 192, 187),
        (":25", 1, 25, 25),
        (":", 1, 192, 192),
        ("130:195", 131, 192, 62),
        ("48:49", 49, 49, 1),
        (" 0:1 ", 1, 1, 1),
    ],
)
def test_a_slice_counts_in_the_order_of_names(text: str, first: int, last: int, count: int) -> None:
    """An index that is noted down must mean the same glaciers next year."""
    numbers = _numbers(Selection(positions=parse_slice(text)))

    assert (numbers[0], numbers[-1], len(numbers)) == (first, last, count)


@pytest.mark.parametrize(
    "text",
    ["", "5", "-5:3", "1:-1", "a:b", "1:2:3", "3:3", "4:3", ":0", "1.0:2", "२:४", "0x1:5", "1_0:20",
     "1 :2", "9999999999:"],
)  # fmt: skip
def test_a_slice_that_holds_nothing_is_refused(text: str) -> None:
    """An empty selection that succeeds is a run that never happened."""
    with pytest.raises(ValueError, match=r".+"):
        parse_slice(text)


def test_a_slice_beyond_the_list_is_refused_with_its_text() -> None:
    """What was written is what has to be changed."""
    with pytest.raises(BadSelection, match=r"'192:'.*192, from 0 to 191"):
        select_regions(_ALL, Selection(positions=Slice(192, None)))


@given(st.integers(0, 300) | st.none(), st.integers(0, 300) | st.none())
def test_a_slice_is_python_s_or_an_error(start: int | None, end: int | None) -> None:
    """There is no third answer."""
    text = f"{'' if start is None else start}:{'' if end is None else end}"
    expected = list(range(1, 193))[start:end]
    try:
        found = _numbers(Selection(positions=parse_slice(text)))
    except ValueError:
        found = []

    assert found == expected


def test_names_keep_their_order_and_come_once() -> None:
    """The order of a list is the order of its jobs."""
    names = parse_names(" 134_glacier134 ,,049_glacier49, 134_glacier134,")

    chosen = select_regions(_ALL, Selection(names))

    assert [region.name for region in chosen.regions] == ["134_glacier134", "049_glacier49"]
    assert len(chosen.warnings) == 1
    assert "'134_glacier134'" in chosen.warnings[0]


def test_unknown_names_are_told_together_with_what_is_near() -> None:
    """One round of corrections, and nothing is sent before it."""
    regions = [_region(49, "jakobshavn"), _region(134, "Arsuk"), _region(90, "petermann")]

    with pytest.raises(BadSelection) as told:
        select_regions(regions, Selection(("134_arsuk", "090_petermann", "49_jakobshaven")))

    assert "'134_arsuk'" in str(told.value)
    assert "did you mean '134_Arsuk'?" in str(told.value)
    assert "did you mean '049_jakobshavn'?" in str(told.value)
    assert "'090_petermann'" not in str(told.value)


def test_ten_thousand_unknown_names_are_told_in_a_few_lines() -> None:
    """Looking for near matches takes time that a hostile list would take for ever."""
    names = tuple(f"none{number}" for number in range(10_000))

    with pytest.raises(BadSelection) as told:
        select_regions(_ALL, Selection(names))

    assert len(str(told.value).splitlines()) == 21
    assert "9980 more" in str(told.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("arsuk", ["134_Arsuk"]),
        ("34_Arsuk", ["134_Arsuk"]),
        ("135_Arsuk", ["134_Arsuk"]),
        ("Jakobshaven", ["049_jakobshavn"]),
        ("", []),
        ("qqq", []),
    ],
)
def test_near_matches_are_what_people_mean(name: str, expected: list[str]) -> None:
    """Case and number are what goes wrong most."""
    assert near_matches(name, ["049_jakobshavn", "090_petermann", "134_Arsuk"]) == expected


def test_near_matches_are_three_at_most() -> None:
    """More are not read."""
    assert len(near_matches("glacier", [region.name for region in _ALL])) == 3


def test_filters_apply_one_after_the_other() -> None:
    """Area, index, names, and last what is left out: an index counts what the area leaves."""
    selection = Selection(
        names=("012_glacier12", "011_glacier11", "050_glacier50"),
        positions=Slice(0, 3),
        ignored=("012_glacier12",),
        min_area_km2=100.0,
        max_area_km2=130.0,
    )

    chosen = select_regions(_ALL, selection)

    assert [region.name for region in chosen.regions] == ["011_glacier11"]
    assert any("'050_glacier50' is left out" in warning for warning in chosen.warnings)


def test_the_area_filter_is_half_open() -> None:
    """Two runs with a common limit share no region."""
    assert _numbers(Selection(min_area_km2=20.0, max_area_km2=40.0)) == [2, 3]


@pytest.mark.parametrize(
    "selection",
    [
        Selection(("001_glacier1",), ignored=("001_glacier1",)),
        Selection(min_area_km2=1e9),
        Selection(("150_glacier150",), positions=Slice(0, 5)),
        Selection(ignored=("nobody",)),
    ],
)
def test_nothing_left_is_an_error(selection: Selection) -> None:
    """Success without a job is the worst answer."""
    with pytest.raises(BadSelection):
        select_regions(_ALL, selection)


@pytest.mark.parametrize(
    "name", ["", "_runs", "a/b", "..", "a b", "a\n", "é", "a" * 65, "-rf", "a.b", "a,b"]
)
def test_a_region_s_name_can_be_a_folder(name: str) -> None:
    """It becomes a path, a key, and an argument."""
    assert not is_region_name(name)


@pytest.mark.parametrize(
    ("tile", "good"),
    [("22WEB", True), ("01CAA", True), ("60XZV", True), ("61XAA", False), ("00XAA", False),
     ("22IAA", False), ("22WOB", False), ("22WEW", False), ("22web", False), ("22WEB ", False),
     ("", False), ("2222", False)],
)  # fmt: skip
def test_tile_names_are_of_the_grid(tile: str, good: bool) -> None:  # noqa: FBT001 - a table
    """Any other name matches no scene, and finds nothing in silence."""
    assert is_tile_name(tile) is good
