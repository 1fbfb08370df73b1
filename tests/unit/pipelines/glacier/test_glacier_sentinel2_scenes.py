"""Which items and files make which acquisitions, and in which order their tiles are merged."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.glacier.dates import Window
from pipelines.glacier.step.sentinel2.products import (
    Product,
    parse_file_name,
    parse_product_uri,
    sensing_time,
)
from pipelines.glacier.step.sentinel2.scenes import (
    Tile,
    choose_files,
    choose_tiles,
    plan_acquisitions,
)

TILES = ("22VFP", "22VEP", "21VXJ")
AUGUST = Window(date(2024, 8, 1), date(2024, 8, 31))
NAME = "S2B_MSIL2A_20240801T143749_N0511_R039_T22VFP_20240801T201519"


def named(
    tile: str = "22VFP",
    *,
    sensed: str = "20240801T143749",
    baseline: str = "N0511",
    discriminator: str = "20240801T201519",
) -> str:
    """Return the name of a product."""
    return f"S2B_MSIL2A_{sensed}_{baseline}_R039_T{tile}_{discriminator}"


def item(name: str = NAME, **changes: Any) -> dict[str, Any]:
    """Return an item with the fields that are looked at."""
    tile = name.split("_")[5][1:]
    properties = {"datetime": "2024-08-01T14:37:49Z", "s2:product_uri": f"{name}.SAFE"}
    whole = {
        "id": f"S2B_{tile}_20240801_0_L2A",
        "properties": properties,
        "assets": {"nir": {"href": "https://example.org/B08.tif"}},
    }
    return {**whole, **changes}


def tile(name: str, href: str = "https://example.org/B08.tif") -> Tile:
    """Return a tile that a search found."""
    return Tile(Product(name), "2024", href)


def test_tokens_of_a_name_are_taken_apart() -> None:
    """The first 37 characters are what tiles of one pass share; the rest decides the place."""
    product = parse_file_name(f"{NAME}_B08.tif")

    assert product is not None
    assert product.acquisition == "S2B_MSIL2A_20240801T143749_N0511_R039"
    assert len(product.acquisition) == 37
    assert (product.tile, product.zone) == ("22VFP", "22")
    assert product.file_name == f"{NAME}_B08.tif"
    assert sensing_time(product.acquisition) == "20240801T143749"


@pytest.mark.parametrize(
    "name",
    [
        "",
        None,
        7,
        NAME[:-1],
        f"{NAME}/../../etc",
        f"../{NAME}",
        f"{NAME}\n",
        NAME.replace("T22VFP", "T22/FP"),
        NAME.replace("S2B", "S3B"),
        NAME.replace("2024", "２０２４"),  # noqa: RUF001 - digits of another script
    ],
)
def test_anything_but_a_product_name_is_none(name: object) -> None:
    """The name becomes a path and a key: what a catalogue sends is not trusted."""
    assert parse_product_uri(name) is None


@pytest.mark.parametrize("name", ["", "B08.tif", NAME, f"{NAME}_B04.tif", f".{NAME}_B08.tif"])
def test_other_files_are_no_raw_tiles(name: str) -> None:
    """Drafts and files of other programs lie in the folder as well."""
    assert parse_file_name(name) is None


def test_items_of_other_tiles_are_nothing() -> None:
    """A footprint that touches the region is not enough: the list of tiles decides."""
    chosen = choose_tiles([item(named("22WEB")), item()], TILES, AUGUST)

    assert [each.product.name for each in chosen.tiles] == [NAME]
    assert chosen.broken == ()


def test_year_of_the_folder_is_that_of_the_items_date() -> None:
    """At the turn of the year the sensing time and the date of an item may differ."""
    night = item(named(sensed="20231231T235959"))
    night["properties"]["datetime"] = "2024-01-01T00:00:04Z"
    window = Window(date(2023, 12, 1), date(2024, 1, 31))

    (chosen,) = choose_tiles([night], TILES, window).tiles

    assert chosen.year == "2024"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"properties": None}, "properties"),
        ({"properties": []}, "properties"),
        ({"properties": {"datetime": None, "s2:product_uri": NAME}}, "date"),
        ({"properties": {"datetime": "2024-02-30T00:00:00Z"}}, "date"),
        ({"properties": {"datetime": "2024-08-01T00:00:00Z"}}, "product name"),
        (
            {"properties": {"datetime": "2024-08-01", "s2:product_uri": named("22VEP")}},
            "product name of tile '22VFP'",
        ),
        ({"assets": {}}, "'nir'"),
        ({"assets": {"nir": {"href": ""}}}, "address"),
        ({"assets": {"nir": {"href": 4}}}, "address"),
    ],
)
def test_item_that_cannot_be_used_is_told(changes: dict[str, Any], reason: str) -> None:
    """Leaving it out in silence would look like a day without a pass."""
    chosen = choose_tiles([item(**changes)], TILES, AUGUST)

    assert chosen.tiles == ()
    (broken,) = chosen.broken
    assert broken.id == "S2B_22VFP_20240801_0_L2A"
    assert reason in broken.reason


def test_days_outside_the_window_are_nothing() -> None:
    """Some catalogues answer with more than they were asked for."""
    late = item()
    late["properties"]["datetime"] = "2024-09-01T00:00:00Z"

    assert choose_tiles([late], TILES, AUGUST).tiles == ()


def test_product_that_two_items_give_is_taken_once() -> None:
    """Catalogues list a product again when they have processed its metadata again."""
    again = item(id="S2B_22VFP_20240801_1_L2A", assets={"nir": {"href": "https://example.org/2"}})

    (chosen,) = choose_tiles([item(), again], TILES, AUGUST).tiles

    assert chosen.href == "https://example.org/B08.tif"


@given(st.permutations([0, 1, 2, 3]))
def test_tiles_are_merged_zone_by_zone_in_the_regions_order(order: list[int]) -> None:
    """The first valid pixel wins, so the order decides the result; that of the search must not."""
    listed = ("22VFP", "21VXJ", "22VEP", "21VXK")
    found = [tile(named(listed[number])) for number in order]

    (acquisition,) = plan_acquisitions(found, (), listed, latest_only=False).acquisitions

    assert [each.product.tile for each in acquisition.tiles] == ["22VFP", "22VEP", "21VXJ", "21VXK"]
    assert [len(zone) for zone in acquisition.zones] == [2, 2]


def test_acquisitions_are_in_the_order_of_their_times_across_missions() -> None:
    """Names of S2A sort before those of S2B, whenever they were taken."""
    early = tile(named(sensed="20240801T143749"))
    late = tile(named(sensed="20240802T143749").replace("S2B", "S2A"))

    plan = plan_acquisitions([late, early], (), TILES, latest_only=False)

    assert [sensing_time(each.id)[:8] for each in plan.acquisitions] == ["20240801", "20240802"]


@pytest.mark.parametrize("latest_only", [False, True])
def test_pass_that_was_processed_twice_is_told(*, latest_only: bool) -> None:
    """Two baselines of one pass differ in their values: somebody has to know of both."""
    found = [tile(named(baseline=baseline)) for baseline in ("N0511", "N0500")]

    plan = plan_acquisitions(found, (), TILES, latest_only=latest_only)

    kept = [each.id.split("_")[3] for each in plan.acquisitions]
    assert kept == (["N0511"] if latest_only else ["N0500", "N0511"])
    (warning,) = plan.warnings
    assert "N0500" in warning
    assert "N0511" in warning


def test_tile_on_the_disk_completes_what_was_found() -> None:
    """Scenes of another run, fetched and not processed, belong to the same acquisition."""
    on_disk = choose_files(
        [("2024", f"{named('22VEP')}_B08.tif"), ("2024", f"{NAME}_B08.tif")], TILES
    )

    (acquisition,) = plan_acquisitions([tile(NAME)], on_disk, TILES, latest_only=False).acquisitions

    assert [(each.product.tile, bool(each.href)) for each in acquisition.tiles] == [
        ("22VFP", True),
        ("22VEP", False),
    ]


def test_files_of_other_tiles_and_names_are_left_alone() -> None:
    """Where regions share the folder of raw tiles, most in it is another's."""
    files = [("2024", f"{named('22WEB')}_B08.tif"), ("2024", "notes.txt")]

    assert choose_files(files, TILES) == ()
