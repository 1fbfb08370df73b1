"""A service that detects: what its answers and its troubles lead to."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from aiohttp.web import BaseRequest, Response

from pipelines.wildlife.detect.detector import Picture, PictureFailed
from pipelines.wildlife.detect.http_detector import (
    DetectorUnavailable,
    HttpDetector,
    check_address,
    open_http,
)
from pipelines.wildlife.detect.judging import RawDetection
from pipelines.wildlife.detect.opening import open_detector
from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.storage.folder import FolderStorage
from shared.aws import secrets
from shared.errors import UsageError
from shared.retry import RetryPolicy
from tests.support.serving import ServerThread
from tests.support.wildlife_detecting import Forest, picture_line

_ANSWER = json.dumps([{"label": "fox", "confidence": 0.5, "bbox": [1, 2, 3, 4]}]).encode()


@dataclass(slots=True)
class _Service:
    """Gives the answers that it was told, the last one for ever."""

    answers: tuple[tuple[int, bytes], ...] = ()
    asked: list[BaseRequest] = field(default_factory=list)

    async def answer(self, request: BaseRequest) -> Response:
        await request.read()
        self.asked.append(request)
        status, body = self.answers[min(len(self.asked), len(self.answers)) - 1]
        headers = {"Retry-After": "0", "Location": "/elsewhere"}
        return Response(status=status, body=body, headers=headers)

    def will(self, *answers: tuple[int, bytes]) -> None:
        """Answer these, one after the other."""
        self.answers = answers


@pytest.fixture
def served() -> Iterator[tuple[_Service, str]]:
    """Return a service and its address."""
    service = _Service()
    with ServerThread(service.answer, name="detector") as server:
        yield service, f"{server.url}/detect?token=t0ken"


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[HttpDetector]:
    policy = RetryPolicy(attempts=3, base_seconds=0)
    async with open_http(url, "", connections=2, policy=policy) as detector:
        yield detector


def _picture() -> Picture:
    async def read() -> bytes:
        return b"pixels"

    return Picture(picture_line("file:///a.jpg", b"pixels"), "", read)


@pytest.mark.asyncio
async def test_a_service_that_is_busy_is_asked_again(served: tuple[_Service, str]) -> None:
    """A model behind a queue says 429 and means later."""
    service, url = served
    service.will((429, b""), (503, b""), (200, _ANSWER))

    async with _opened(url) as detector:
        found = await detector.detect(_picture())

    assert found == [RawDetection("fox", 0.5, (1.0, 2.0, 3.0, 4.0))]
    assert len(service.asked) == 3
    assert "Authorization" not in service.asked[0].headers


@pytest.mark.asyncio
async def test_a_service_that_stays_ill_ends_the_job(served: tuple[_Service, str]) -> None:
    """A night of pictures without animals would look like a night without animals."""
    service, url = served
    service.will((500, b""))

    async with _opened(url) as detector:
        with pytest.raises(DetectorUnavailable, match="answered 500") as caught:
            await detector.detect(_picture())

    assert len(service.asked) == 3
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (415, b"", "refused"),
        (400, b"", "refused"),
        (200, b"<html>", "bad_answer"),
        (200, b"{}", "bad_answer"),
        (200, b" " * (4 * 1024 * 1024 + 1), "bad_answer"),
    ],
)
@pytest.mark.asyncio
async def test_an_answer_that_is_none_costs_the_picture(
    served: tuple[_Service, str], status: int, body: bytes, error: str
) -> None:
    """The service is well, and has no answer to this one."""
    service, url = served
    service.will((status, body))

    async with _opened(url) as detector:
        with pytest.raises(PictureFailed) as caught:
            await detector.detect(_picture())

    assert (caught.value.error, len(service.asked)) == (error, 1)


@pytest.mark.parametrize("status", [301, 401, 403, 404])
@pytest.mark.asyncio
async def test_a_service_that_does_not_want_us_is_a_mistake_of_ours(
    served: tuple[_Service, str], status: int
) -> None:
    """No picture goes to where a redirect leads, and no attempt mends a key."""
    service, url = served
    service.will((status, b""))

    async with _opened(url) as detector:
        with pytest.raises(UsageError, match=f"answered {status}; mend model_uri"):
            await detector.detect(_picture())

    assert len(service.asked) == 1


@pytest.mark.asyncio
async def test_nobody_at_the_address_is_trouble_that_may_pass() -> None:
    """A service that is being started again is not there for a moment."""
    async with _opened("http://127.0.0.1:9/") as detector:
        with pytest.raises(DetectorUnavailable, match="cannot be reached"):
            await detector.detect(_picture())


def test_a_key_goes_over_encrypted_ways_or_stays_here() -> None:
    """Whoever reads the key uses the service on our account."""
    for url in ("https://far/", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"):
        check_address(url, with_key=True)
    check_address("http://far/", with_key=False)
    with pytest.raises(UsageError, match="https://"):
        check_address("http://127.0.0.1.far/", with_key=True)


@pytest.mark.asyncio
async def test_a_key_comes_from_a_secret(
    served: tuple[_Service, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The definition of a job is readable by many; the secret is not."""
    service, url = served
    service.will((200, _ANSWER))
    asked: list[str] = []

    async def read_secret(name: str, **_options: object) -> dict[str, str]:
        asked.append(name)
        return {"detector_key": "k3y"}

    monkeypatch.setattr(secrets, "read_secret", read_secret)
    forest = Forest(FolderStorage(), parse_place("file:///nowhere/"))
    settings = forest.settings(detector="http", model_uri=url, api_keys_secret="dev/keys")

    async with open_detector(settings, forest.storage, anyio.CapacityLimiter(1)) as opened:
        await opened.detector.detect(_picture())

    assert asked == ["dev/keys"]
    assert service.asked[0].headers["Authorization"] == "Bearer k3y"
    assert "k3y" not in repr(opened)
