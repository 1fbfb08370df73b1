"""A client that sends exactly what a test says and hides nothing of the answer.

It blocks; asynchronous tests call it through `anyio.to_thread`.
"""

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from tests.support.strict_s3.access import ACCESS_KEY
from tests.support.strict_s3.ground import DEFAULT_REGION

_CODE = re.compile(rb"<Code>(.*?)</Code>")
_LIMIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def code(self) -> str:
        """The error code in the body, empty without one."""
        found = _CODE.search(self.body)
        return found[1].decode() if found else ""

    def text(self, element: str) -> str:
        """Return the text of the first element of that name."""
        found = re.search(f"<{element}>(.*?)</{element}>", self.body.decode(), re.DOTALL)
        assert found is not None, self.body
        return found[1].replace("&quot;", '"')


class RawClient:
    """Sends one request a connection, with a header that looks like a signature."""

    def __init__(
        self, url: str, *, access_key: str = ACCESS_KEY, aws_region: str = DEFAULT_REGION
    ) -> None:
        self._address = urlsplit(url).netloc
        self._authorization = (
            f"AWS4-HMAC-SHA256 Credential={access_key}/20260101/{aws_region}/s3/aws4_request, "
            "SignedHeaders=host, Signature=0"
        )

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str | None] | None = None,
    ) -> RawAnswer:
        """Send a request and read the whole answer; a header of None is left out.

        Raises:
            OSError, http.client.HTTPException: there was no whole answer.
        """
        sent: dict[str, str | None] = {
            "Authorization": self._authorization,
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "Content-Length": str(len(body)) if method in ("PUT", "POST") else None,
            **(headers or {}),
        }
        with self.connection() as line:
            line.putrequest(method, target, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    line.putheader(name, value)
            line.endheaders(body or None)
            answer = line.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return RawAnswer(answer.status, found, answer.read())

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """Open a connection for requests of another kind."""
        line = http.client.HTTPConnection(self._address, timeout=_LIMIT_SECONDS)
        try:
            yield line
        finally:
            line.close()

    def put(self, bucket: str, key: str, body: bytes, **headers: str | None) -> RawAnswer:
        """Put an object; `_` in the name of a header stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("PUT", target_of(bucket, key), body, named)


def target_of(bucket: str, key: str) -> str:
    """Write the request target of an object, every odd character percent-encoded."""
    return f"/{bucket}/{quote(key, safe='/~')}"
