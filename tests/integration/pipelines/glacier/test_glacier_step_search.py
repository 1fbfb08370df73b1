"""Searches of a catalogue on loopback: all pages, what is asked, and what a bad one may not do."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pipelines.glacier.dates import Window
from pipelines.glacier.step import search as search_module
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.search import Item, Query, SearchRetries, search_items
from tests.support.glacier_scenes import BOUNDS
from tests.support.glacier_sentinel2 import whole
from tests.support.glacier_stac import Fault, StacServer, document, status

QUERY = Query("sentinel-2-l2a", BOUNDS, Window(date(2024, 8, 1), date(2024, 8, 31)), page_size=2)
AT_ONCE = SearchRetries(times=2, back_off_seconds=0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[StacServer]:
    """The catalogue, once for all tests."""
    with StacServer() as stac:
        yield stac


@pytest.fixture
def stac(server: StacServer) -> StacServer:
    """The catalogue with five scenes, one a day."""
    server.items.clear()
    server.faults.clear()
    server.asked.clear()
    server.conforms = True
    for day in range(1, 6):
        scene = whole(sensed=f"2024080{day}T143749")
        server.items.append(scene.item(server.href(scene.asset_path)))
    return server


def search(stac: StacServer) -> list[Item]:
    """Search without waiting between attempts."""
    return search_items(stac.url, QUERY, AT_ONCE)


def test_all_pages_are_read(stac: StacServer) -> None:
    """A month of a region has more scenes than a page."""
    found = search(stac)

    assert [str(item["id"])[10:18] for item in found] == [f"2024080{day}" for day in range(1, 6)]
    assert len(stac.searches()) == 3


def test_search_asks_for_collection_days_and_region(stac: StacServer) -> None:
    """Both days are included, and the region is asked for in degrees."""
    search(stac)

    asked = stac.searches()[0]
    assert asked["collections"] == ["sentinel-2-l2a"]
    assert asked["limit"] == 2
    first, last = asked["datetime"].split("/")
    assert (first[:10], last[:10]) == ("2024-08-01", "2024-08-31")
    ring = asked["intersects"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert all(-49 < x < -47 and 60 < y < 62 for x, y in ring)


def test_catalogue_that_declares_nothing_is_searched(stac: StacServer) -> None:
    """Not every catalogue says what it conforms to."""
    stac.conforms = False

    assert len(search(stac)) == 5


def test_answer_that_may_change_is_asked_for_again(stac: StacServer) -> None:
    """Catalogues are busy at times; a search may be repeated as often as one likes."""
    stac.faults["/v1/search"] = [status(503), status(429)]

    assert len(search(stac)) == 5


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ([status(404)], "cannot be searched"),
        ([status(503)] * 3, "cannot be searched"),
        ([document([1])], "no STAC"),
        ([document({"features": {"a": 1}})], "no collection of features"),
        ([document({"features": [1]})], "no collection of features"),
        ([status(200, "<html>", "text/html")], "no STAC"),
        ([status(200, '{"features": [NaN]}', "application/json")], "NaN"),
    ],
)
def test_search_that_fails_is_no_empty_answer(
    stac: StacServer, fault: list[Fault], said: str
) -> None:
    """No scenes is a result; it must never come of a page of HTML."""
    stac.faults["/v1/search"] = fault

    with pytest.raises(StepFailed, match=said):
        search(stac)


def test_failure_on_a_later_page_fails_the_search(stac: StacServer) -> None:
    """Half of the scenes would look like all of them."""
    page = {"features": stac.items[:2], "links": [{"rel": "next", "href": stac.href("/gone")}]}
    stac.faults["/v1/search"] = [document(page)]

    with pytest.raises(StepFailed, match="cannot be searched"):
        search(stac)


def test_pages_that_go_in_circles_end(stac: StacServer) -> None:
    """A server that forgets where it was would keep us for ever."""
    link = {"rel": "next", "href": f"{stac.url}/search", "method": "POST", "body": {"limit": 2}}
    page = document({"features": stac.items[:2], "links": [link]})
    stac.faults["/v1/search"] = [page, page, page]

    with pytest.raises(StepFailed, match="again and again"):
        search(stac)


@pytest.mark.parametrize("scheme", ["file://", ""])
def test_page_that_leads_to_a_file_is_refused(
    stac: StacServer, tmp_path: Path, scheme: str
) -> None:
    """The library opens links that are no URLs: a catalogue could have any file of ours parsed."""
    secret = tmp_path / "secret.json"
    secret.write_text('{"features": [{"id": "secret"}]}')
    link = {"rel": "next", "href": f"{scheme}{secret}"}
    stac.faults["/v1/search"] = [document({"features": stac.items[:2], "links": [link]})]

    with pytest.raises(StepFailed, match="not on the web"):
        search(stac)


def test_page_without_an_end_is_refused(stac: StacServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would read until there is no memory."""
    monkeypatch.setattr(search_module, "_PAGE_BYTES_MAX", 100_000)
    stac.faults["/v1/search"] = [status(200, " " * 200_000)]

    with pytest.raises(StepFailed, match="more than 100000 bytes"):
        search(stac)


def test_catalogue_that_is_not_there_is_named() -> None:
    """Nobody listens at port 1."""
    with pytest.raises(StepFailed, match=r"catalogue 'http://127\.0\.0\.1:1/v1' cannot be"):
        search_items("http://127.0.0.1:1/v1", QUERY, SearchRetries(0, 0.0))
