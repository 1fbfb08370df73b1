"""A STAC catalogue on loopback with the rasters it leads to, served in ranges, and its bad days.

    with StacServer() as stac:
        stac.publish(scene)
        stac.faults[scene.asset_path] = [status(503), truncated(1000)]

Of several faults under a path each happens once; then the path is well again.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import shapely
from aiohttp.web import BaseRequest, Response, StreamResponse

from tests.support.glacier_scenes import Scene, cog_bytes
from tests.support.serving import Served, ServerThread, plain

Asset: TypeAlias = bytes | Path
Fault: TypeAlias = Callable[[BaseRequest, bytes], Awaitable[StreamResponse]]
"""Answers a request; takes what should have been sent, whole."""

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    span: str = ""
    """Its Range header."""


@dataclass(slots=True)
class StacServer(Served):
    """Answers the root document and searches, page by page, and hands out assets."""

    items: list[dict[str, Any]] = field(default_factory=list)
    assets: dict[str, Asset] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    page_size: int = 1000
    """At most so many items a page, whatever is asked for."""
    asked: list[Asked] = field(default_factory=list)
    sent_bytes: int = 0
    """Of assets."""
    conforms: bool = True
    """Whether the root document says what the server can do."""
    _thread: ServerThread = field(init=False)

    def __post_init__(self) -> None:
        """Have a thread to serve in."""
        self._thread = ServerThread(self._answer, name="stac")

    @property
    def url(self) -> str:
        """Where its root document is."""
        return self._thread.url + "/v1"

    def href(self, path: str) -> str:
        """Return the URL of an asset."""
        return self._thread.url + path

    def publish(self, scene: Scene, *, block: int = 128) -> None:
        """Add a scene: its item, and its raster."""
        self.assets[scene.asset_path] = cog_bytes(scene.place, scene.pixels, block=block)
        self.items.append(scene.item(self.href(scene.asset_path)))

    def searches(self) -> list[Mapping[str, Any]]:
        """Return what was searched for, a request each."""
        return [each.body for each in self.asked if each.path == "/v1/search"]

    def fetched(self, path: str) -> list[str]:
        """Return the ranges of each GET of an asset."""
        return [each.span for each in self.asked if each.path == path and each.method == "GET"]

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        path = unquote(request.path)
        raw = await request.read()
        self.asked.append(
            Asked(
                request.method,
                path,
                json.loads(raw) if raw else {},
                request.headers.get("Range", ""),
            )
        )
        waiting = self.faults.get(path)
        if waiting:
            asset = self.assets.get(path, b"")
            return await waiting.pop(0)(request, asset if isinstance(asset, bytes) else b"")
        if path in {"/v1", "/v1/"}:
            return _as_json(self._root())
        if path == "/v1/search" and request.method == "POST":
            return _as_json(self._page(json.loads(raw)))
        if path in self.assets:
            return await self._asset(request, self.assets[path])
        return plain(404, "no such thing")

    def _root(self) -> dict[str, Any]:
        core = "https://api.stacspec.org/v1.0.0"
        root = {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "stand-in",
            "description": "A catalogue for tests.",
            "links": [
                {"rel": "self", "href": self.url, "type": "application/json"},
                {"rel": "root", "href": self.url, "type": "application/json"},
                {"rel": "search", "href": f"{self.url}/search", "method": "POST"},
            ],
        }
        if self.conforms:
            root["conformsTo"] = [f"{core}/core", f"{core}/item-search"]
        return root

    def _page(self, body: Mapping[str, Any]) -> dict[str, Any]:
        matching = [item for item in self.items if _matches(item, body)]
        first = int(body.get("token", 0))
        size = min(self.page_size, int(body.get("limit", self.page_size)))
        links = []
        if first + size < len(matching):
            merged = {**body, "token": first + size}
            links = [
                {"rel": "next", "href": f"{self.url}/search", "method": "POST", "body": merged}
            ]
        features = matching[first : first + size]
        return {"type": "FeatureCollection", "features": features, "links": links}

    async def _asset(self, request: BaseRequest, asset: Asset) -> StreamResponse:
        size = len(asset) if isinstance(asset, bytes) else asset.stat().st_size
        begin, end = _span(request.headers.get("Range", ""), size)
        headers = {"Accept-Ranges": "bytes", "Content-Type": "image/tiff"}
        if request.headers.get("Range"):
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        answer = StreamResponse(status=206 if "Content-Range" in headers else 200, headers=headers)
        answer.content_length = end - begin
        await answer.prepare(request)
        if request.method == "HEAD":
            return answer
        for start in range(begin, end, _PIECE):
            piece = _read(asset, start, min(_PIECE, end - start))
            self.sent_bytes += len(piece)
            await answer.write(piece)
        return answer


def status(code: int, text: str = "not now", content_type: str = "text/plain") -> Fault:
    """Answer with a status and a text."""

    async def fault(_request: BaseRequest, _whole: bytes) -> StreamResponse:
        return plain(code, text, content_type)

    return fault


def xml_page() -> Fault:
    """Answer 200 with the page that stores send for what went wrong."""
    text = '<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>'
    return status(200, text, "application/xml")


def truncated(kept: int) -> Fault:
    """Promise the whole and hang up after some bytes."""

    async def fault(request: BaseRequest, whole: bytes) -> StreamResponse:
        answer = StreamResponse()
        answer.content_length = len(whole)
        await answer.prepare(request)
        await answer.write(whole[:kept])
        assert request.transport is not None
        request.transport.close()
        return answer

    return fault


def shortened(kept: int) -> Fault:
    """Send some bytes as if they were the whole."""

    async def fault(_request: BaseRequest, whole: bytes) -> StreamResponse:
        return Response(body=whole[:kept], content_type="image/tiff")

    return fault


def document(body: object) -> Fault:
    """Answer with some JSON."""

    async def fault(_request: BaseRequest, _whole: bytes) -> StreamResponse:
        return _as_json(body)

    return fault


def _as_json(body: object) -> Response:
    return Response(text=json.dumps(body), content_type="application/json")


def _matches(item: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    collections: Sequence[str] = body.get("collections", [])
    if collections and item.get("collection") not in collections:
        return False
    if not _in_window(item, str(body.get("datetime", ""))):
        return False
    wanted = body.get("intersects")
    if wanted is None:
        return True
    return bool(
        shapely.intersects(
            shapely.from_geojson(json.dumps(wanted)),
            shapely.from_geojson(json.dumps(item["geometry"])),
        )
    )


def _in_window(item: Mapping[str, Any], window: str) -> bool:
    if not window:
        return True
    first, last = (date.fromisoformat(part[:10]) for part in window.split("/"))
    return first <= date.fromisoformat(str(item["properties"]["datetime"])[:10]) <= last


def _span(header: str, size: int) -> tuple[int, int]:
    """Return the first byte of a range and the one after its last."""
    found = _RANGE.fullmatch(header)
    if found is None:
        return 0, size
    begin, end = found.groups()
    if not begin:
        return max(0, size - int(end)), size
    return int(begin), min(size, int(end) + 1) if end else size


def _read(asset: Asset, start: int, count: int) -> bytes:
    if isinstance(asset, bytes):
        return asset[start : start + count]
    with asset.open("rb") as stream:
        stream.seek(start)
        return stream.read(count)
