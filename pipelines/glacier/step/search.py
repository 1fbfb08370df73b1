"""Search a STAC catalogue: every page, retried, and bounded whatever the server answers."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from warnings import catch_warnings, simplefilter

import pystac
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from rasterio.warp import transform
from requests import Response
from requests.exceptions import RequestException
from urllib3 import Retry

from pipelines.glacier.dates import Window
from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import CRS

Item: TypeAlias = Mapping[str, object]
"""A STAC item as JSON has it: nothing in it is certain."""

ITEMS_MAX = 100_000
_PAGES_MAX = 2_000
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 120.0
_RETRY_AFTER_SECONDS = 60
_PAGE_BYTES_MAX = 64 << 20
"""Five hundred items have some ten million."""
_PAGE_SECONDS = 300.0
_PIECE_BYTES = 1 << 16
_EDGE_POINTS = 8
"""An edge of a rectangle of the polar projection is bent in degrees."""
_RETRIED = (429, 500, 502, 503, 504)
_SHOWN_MAX = 300
_KEPT = ("id", "collection", "bbox", "geometry", "properties")


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for."""

    collection: str
    bounds: Bounds
    window: Window
    page_size: int = 100
    assets: tuple[str, ...] = ()
    """Those that are wanted of each item: what is said of a dozen others would fill the memory."""


@dataclass(frozen=True, slots=True)
class SearchRetries:
    """How often a request is repeated, and how soon."""

    times: int = 3
    back_off_seconds: float = 0.5


def search_items(
    url: str,
    query: Query,
    retries: SearchRetries = SearchRetries(),
) -> list[Item]:
    """Return the items of all pages; this blocks.

    Raises:
        StepFailed: the catalogue cannot be searched; an answer that is cut short is no answer.
    """
    with _clear(url):
        client = Client.open(url, stac_io=_bounded_io(retries))
        # A catalogue that does not say that it can be searched is asked all the same.
        client.add_conforms_to("ITEM_SEARCH")
        found = client.search(
            method="POST",
            collections=[query.collection],
            intersects=footprint(query.bounds),
            datetime=f"{query.window.first.isoformat()}/{query.window.last.isoformat()}",
            limit=query.page_size,
        )
        return [_slim(item, query.assets) for item in _collected(url, found.pages_as_dicts())]


def footprint(bounds: Bounds) -> dict[str, Any]:
    """Return a rectangle of EPSG:3413 as a GeoJSON polygon in degrees."""
    xs, ys = _outline(bounds)
    longitudes, latitudes = transform(CRS, "EPSG:4326", xs, ys)[:2]
    ring = [[float(x), float(y)] for x, y in zip(longitudes, latitudes, strict=True)]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _outline(bounds: Bounds) -> tuple[list[float], list[float]]:
    """Return points along the edges, counter-clockwise from the lower left corner."""
    corners = [
        (bounds.minx, bounds.miny),
        (bounds.maxx, bounds.miny),
        (bounds.maxx, bounds.maxy),
        (bounds.minx, bounds.maxy),
    ]
    points = [
        (x0 + (x1 - x0) * step / _EDGE_POINTS, y0 + (y1 - y0) * step / _EDGE_POINTS)
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True)
        for step in range(_EDGE_POINTS)
    ]
    return [x for x, _ in points], [y for _, y in points]


def _collected(url: str, pages: Iterator[dict[str, Any]]) -> Iterator[Item]:
    """Yield the items of all pages; some items may come twice, where pages shift meanwhile."""
    seen: set[tuple[str, ...]] = set()
    count = 0
    for page in pages:
        items = _features(url, page)
        names = tuple(str(item.get("id")) for item in items)
        if names in seen:
            raise StepFailed(f"catalogue {url!r} sends the same page again and again")
        seen.add(names)
        count += len(items)
        if len(seen) > _PAGES_MAX or count > ITEMS_MAX:
            raise StepFailed(f"catalogue {url!r} has more than {ITEMS_MAX} items; ask for less")
        yield from items


def _slim(item: Item, assets: Sequence[str]) -> Item:
    """Return what the step looks at; years of a region have tens of thousands of items."""
    found = item.get("assets")
    offered = found if isinstance(found, Mapping) else {}
    return {
        **{name: item[name] for name in _KEPT if name in item},
        "assets": {name: offered[name] for name in assets if name in offered},
    }


def _features(url: str, page: Mapping[str, object]) -> Sequence[Item]:
    features = page.get("features")
    if not isinstance(features, list) or not all(isinstance(each, dict) for each in features):
        raise StepFailed(f"catalogue {url!r} sent a page that is no collection of features")
    return features


@contextmanager
def _clear(url: str) -> Iterator[None]:
    """Say in one line what went wrong with a catalogue."""
    try:
        with catch_warnings():
            simplefilter("ignore")
            yield
    except (APIError, RequestException, pystac.STACError) as error:
        said = " ".join(str(error).split())[:_SHOWN_MAX] or type(error).__name__
        raise StepFailed(f"catalogue {url!r} cannot be searched: {said}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # The library trusts what it is sent: a list in the place of an object breaks it anywhere.
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:_SHOWN_MAX]}"
        raise StepFailed(f"catalogue {url!r} sent something that is no STAC: {said}") from error


def _bounded_io(retries: SearchRetries) -> StacApiIO:
    retry = Retry(
        total=retries.times,
        backoff_factor=retries.back_off_seconds,
        backoff_jitter=retries.back_off_seconds,
        status_forcelist=_RETRIED,
        # A search changes nothing, so that POST may be repeated.
        allowed_methods=None,
        raise_on_status=False,
        redirect=3,
        retry_after_max=_RETRY_AFTER_SECONDS,
    )
    stac_io = _WebOnly(max_retries=retry, timeout=(_CONNECT_SECONDS, _READ_SECONDS))
    stac_io.session.hooks["response"].append(_read_bounded)
    return stac_io


def _read_bounded(answer: Response, **_settings: object) -> None:
    """Read an answer before the library does, which would read on for ever."""
    begun = time.monotonic()
    pieces: list[bytes] = []
    size = 0
    for piece in answer.iter_content(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > _PAGE_BYTES_MAX or time.monotonic() - begun > _PAGE_SECONDS:
            answer.close()
            raise StepFailed(f"a page has more than {_PAGE_BYTES_MAX} bytes, or does not end")
    answer._content = b"".join(pieces)  # noqa: SLF001 - the library has no limit of its own


class _WebOnly(StacApiIO):
    """Follows links to the web alone; the library would open any other as a file."""

    def read_text(
        self,
        source: pystac.link.HREF,
        *args: Any,  # noqa: ANN401 - as the library declares it
        **kwargs: Any,  # noqa: ANN401 - as above
    ) -> str:
        """Read what a link leads to."""
        href = source.href if isinstance(source, pystac.Link) else str(source)
        if not href.startswith(("http://", "https://")):
            raise APIError(f"a link leads to {href[:_SHOWN_MAX]!r}, which is not on the web")
        text = super().read_text(source, *args, **kwargs)
        _refuse_strange_numbers(text)
        return text


def _refuse_strange_numbers(text: str) -> None:
    """Refuse NaN and infinity, which Python reads and JSON does not have."""

    def refuse(name: str) -> float:
        raise APIError(f"the answer holds {name}")

    if "NaN" in text or "Infinity" in text:
        json.loads(text, parse_constant=refuse)
