"""An empty bucket and an empty search on loopback, so that a handler's whole run needs no AWS.

The bucket knows what a run does with it: small objects, conditions on writes, listings. It checks
no signature and keeps everything in memory; the search finds no scene, ever. With both, a run comes
from its event to its record, and answers `no_data`.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from aiohttp import web

from pipelines.glacier.deploy.probes.loopback import serving

_OBJECT_BYTES_MAX = 8 << 20
_OBJECTS_MAX = 1000
_CHECKSUM = "x-amz-checksum-"
_LINK_CLASSES = ("core", "item-search")


@dataclass(frozen=True, slots=True)
class _Object:
    content: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class EmptyServices:
    """Both, and what a run has stored."""

    port: int = 0
    objects: dict[str, _Object] = field(default_factory=dict)
    """By `/bucket/key`."""

    def s3_url(self, host: str) -> str:
        """Return the endpoint for S3, as somebody on `host`'s network reaches it."""
        return f"http://{host}:{self.port}"

    def stac_url(self, host: str) -> str:
        """Return the address of the search."""
        return f"http://{host}:{self.port}/-/stac"

    def application(self) -> web.Application:
        """Return what answers both."""
        app = web.Application(client_max_size=_OBJECT_BYTES_MAX)
        app.router.add_get("/-/stac", self._catalogue)
        app.router.add_get("/-/stac/", self._catalogue)
        app.router.add_route("*", "/-/stac/search", self._search)
        app.router.add_get("/{bucket}", self._list)
        app.router.add_get("/{bucket}/", self._list)
        app.router.add_get("/{bucket}/{key:.+}", self._get)
        app.router.add_put("/{bucket}/{key:.+}", self._put)
        return app

    async def _catalogue(self, request: web.Request) -> web.Response:
        here = f"http://{request.host}/-/stac"
        return web.json_response(
            {
                "type": "Catalog",
                "id": "empty",
                "description": "no scene at all",
                "stac_version": "1.0.0",
                "conformsTo": [f"https://api.stacspec.org/v1.0.0/{name}" for name in _LINK_CLASSES],
                "links": [
                    {"rel": "self", "href": here},
                    {"rel": "root", "href": here},
                    {
                        "rel": "search",
                        "href": f"{here}/search",
                        "type": "application/geo+json",
                        "method": "POST",
                    },
                ],
            }
        )

    async def _search(self, _request: web.Request) -> web.Response:
        document = {"type": "FeatureCollection", "features": [], "links": []}
        return web.json_response(document, content_type="application/geo+json")

    async def _list(self, request: web.Request) -> web.Response:
        bucket, prefix = request.match_info["bucket"], request.query.get("prefix", "")
        begin = f"/{bucket}/"
        keys = [path.removeprefix(begin) for path in sorted(self.objects) if path.startswith(begin)]
        found = [key for key in keys if key.startswith(prefix)]
        contents = "".join(self._listed(begin, key) for key in found)
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(found)}</KeyCount><MaxKeys>1000</MaxKeys>"
            f"<IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        )
        return web.Response(text=text, content_type="application/xml")

    def _listed(self, begin: str, key: str) -> str:
        stored = self.objects[f"{begin}{key}"]
        return (
            f"<Contents><Key>{escape(key)}</Key><Size>{len(stored.content)}</Size>"
            f"<ETag>{escape(stored.headers['ETag'])}</ETag>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
        )

    async def _get(self, request: web.Request) -> web.Response:
        stored = self.objects.get(request.path)
        if stored is None:
            return _refusal(404, "NoSuchKey", with_body=request.method == "GET")
        return web.Response(body=stored.content, headers=stored.headers)

    async def _put(self, request: web.Request) -> web.Response:
        found = self.objects.get(request.path)
        wanted = request.headers.get("If-Match")
        if found and request.headers.get("If-None-Match") == "*":
            return _refusal(412, "PreconditionFailed")
        if wanted is not None and (found is None or found.headers["ETag"] != wanted):
            return _refusal(412 if found else 404, "PreconditionFailed" if found else "NoSuchKey")
        if len(self.objects) >= _OBJECTS_MAX:
            return _refusal(507, "InsufficientStorage")
        content = await request.read()
        checksums = {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower().startswith(_CHECKSUM)
        }
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        headers = {"ETag": f'"{etag}"', **checksums}
        self.objects[request.path] = _Object(content, headers)
        return web.Response(headers=headers)


@asynccontextmanager
async def open_services() -> AsyncIterator[EmptyServices]:
    """Serve both on one free port of loopback for the length of a block."""
    services = EmptyServices()
    async with serving(services.application()) as services.port:
        yield services


def _refusal(status: int, code: str, *, with_body: bool = True) -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>" if with_body else None
    return web.Response(status=status, text=text, content_type="application/xml")
