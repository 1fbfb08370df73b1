import json
from pathlib import Path

import pytest
from aiohttp import BodyPartReader
from aiohttp.web import BaseRequest, Response, StreamResponse

from daemons.ingester.speech import openai
from daemons.ingester.speech.backend import RecognitionFailed, RecognitionRefused
from daemons.ingester.speech.openai import OpenAi
from shared.errors import SuiteError
from tests.support.podcast_web import PodcastWeb
from tests.support.serving import plain
from tests.support.speaking import piece

SRT = "1\n00:00:00,500 --> 00:00:01,250\nHéllo.\n"


async def ask(web: PodcastWeb, folder: Path, limit_seconds: float = 20) -> str:
    """Have one piece recognised by the server on loopback."""
    recogniser = OpenAi("sk-secret", f"http://127.0.0.1:{web.port}/v1/audio/transcriptions")
    return await recogniser.recognise(
        piece(folder), prompt="Hard Fork.", limit_seconds=limit_seconds, progress=lambda: None
    )


@pytest.mark.asyncio
async def test_a_piece_is_sent_with_prompt_and_model(tmp_path: Path) -> None:
    """The fields of the contract, and the file's own bytes."""
    fields: dict[str, bytes] = {}

    async def answer(request: BaseRequest) -> StreamResponse:
        fields["authorization"] = request.headers["Authorization"].encode()
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            fields[str(part.name)] = bytes(await part.read())
        return Response(text=SRT)

    with PodcastWeb() as web:
        web.pages["/v1/audio/transcriptions"] = [answer]
        text = await ask(web, tmp_path)

    assert text == SRT
    assert fields == {
        "authorization": b"Bearer sk-secret",
        "model": b"whisper-1",
        "response_format": b"srt",
        "prompt": b"Hard Fork.",
        "file": b"sound",
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code", "kind", "message"),
    [
        (401, "invalid_api_key", RecognitionRefused, r"^openai answered 401 \(invalid_api_key\)$"),
        (400, "", RecognitionRefused, r"^openai answered 400$"),
        (302, "", RecognitionRefused, "302"),
        (429, "rate_limit_exceeded", RecognitionFailed, "rate_limit_exceeded"),
        (429, "insufficient_quota", RecognitionRefused, "insufficient_quota"),
        (503, "sk-secret leaked", RecognitionFailed, r"^openai answered 503$"),
    ],
)
async def test_only_what_may_pass_is_tried_again(
    tmp_path: Path, status: int, code: str, kind: type[SuiteError], message: str
) -> None:
    """An empty account is empty at the next chunk too; nothing of the key is repeated."""

    async def answer(request: BaseRequest) -> StreamResponse:
        await request.read()
        return plain(status, json.dumps({"error": {"code": code, "message": "sk-secret"}}))

    with PodcastWeb() as web:
        web.pages["/v1/audio/transcriptions"] = [answer]
        with pytest.raises(kind, match=message) as caught:
            await ask(web, tmp_path)

    assert "sk-" not in str(caught.value)


@pytest.mark.asyncio
async def test_an_answer_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes and in time."""
    monkeypatch.setattr(openai, "_ANSWER_BYTES_MAX", 10)

    async def endless(request: BaseRequest) -> StreamResponse:
        await request.read()
        return plain(200, "x" * 11)

    with PodcastWeb() as web:
        web.pages["/v1/audio/transcriptions"] = [endless]
        with pytest.raises(RecognitionFailed, match="more than 10 bytes"):
            await ask(web, tmp_path)
        with pytest.raises(RecognitionFailed, match="took longer than 0 s"):
            await ask(web, tmp_path, limit_seconds=0)


@pytest.mark.asyncio
async def test_nobody_there_is_worth_another_attempt(tmp_path: Path) -> None:
    """The line may be down for a moment."""
    recogniser = OpenAi("sk-secret", "http://127.0.0.1:9/")

    with pytest.raises(RecognitionFailed, match="cannot be reached"):
        await recogniser.recognise(
            piece(tmp_path), prompt="", limit_seconds=5, progress=lambda: None
        )


@pytest.mark.asyncio
async def test_what_is_too_large_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be refused after all of it went up."""
    monkeypatch.setattr(openai, "REQUEST_BYTES_MAX", 4)

    with PodcastWeb() as web, pytest.raises(RecognitionRefused, match="at most 4 bytes"):
        await ask(web, tmp_path)

    assert web.seen == []
