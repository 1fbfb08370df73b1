"""OpenAI's audio transcription, which costs money: never chosen unless it is named."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
import anyio

from daemons.ingester.speech.backend import (
    Piece,
    RecognitionFailed,
    RecognitionRefused,
    plain_prompt,
)
from daemons.ingester.speech.srt import decode_srt
from shared.errors import UsageError

NAME = "openai"
MODEL = "whisper-1"
REQUEST_BYTES_MAX = 25 * 1000 * 1000
"""What a request may hold, with a margin: the limit is given as 25 MB, which some read as MiB."""
_URL = "https://api.openai.com/v1/audio/transcriptions"
_ANSWER_BYTES_MAX = 16 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_OK, _TIMED_OUT, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 200, 408, 409, 429, 500
_OUT_OF_MONEY = "insufficient_quota"


@dataclass(frozen=True, slots=True)
class OpenAi:
    """The recogniser `openai`."""

    key: str = field(repr=False)
    url: str = _URL

    @property
    def name(self) -> str:
        """What it is called in settings."""
        return NAME

    async def check(self) -> None:
        """UsageError without a key; whether it is good is seen with the first request."""
        if not self.key:
            raise UsageError("openai has no key; set OPENAI_API_KEY")

    async def recognise(
        self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
    ) -> str:
        """Send a piece and wait for its transcript."""
        size = (await anyio.to_thread.run_sync(piece.audio.stat)).st_size
        if size > REQUEST_BYTES_MAX:
            raise RecognitionRefused(
                f"openai takes at most {REQUEST_BYTES_MAX} bytes; {piece.audio.name!r} has {size}"
            )
        progress()
        with _translated(limit_seconds), anyio.fail_after(limit_seconds):
            return await self._ask(piece, plain_prompt(prompt))

    async def _ask(self, piece: Piece, prompt: str) -> str:
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        with piece.audio.open("rb") as stream:
            form = aiohttp.FormData()
            form.add_field("model", MODEL)
            form.add_field("response_format", "srt")
            form.add_field("prompt", prompt)
            form.add_field("file", stream, filename="audio.mp3", content_type="audio/mpeg")
            async with (
                aiohttp.ClientSession(timeout=limits, trust_env=False) as session,
                session.post(
                    self.url,
                    data=form,
                    headers={"Authorization": f"Bearer {self.key}"},
                    allow_redirects=False,
                ) as answer,
            ):
                body = await _read(answer)
                _check_status(answer.status, body)
                return decode_srt(body)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _ANSWER_BYTES_MAX:
            raise RecognitionFailed(f"openai answered with more than {_ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _check_status(status: int, body: bytes) -> None:
    """Let 200 pass; what may be over soon is worth another attempt, anything else is not."""
    if status == _OK:
        return
    code = _error_code(body)
    message = f"openai answered {status}" + (f" ({code})" if code else "")
    again = status in (_TIMED_OUT, _CONFLICT, _TOO_MANY) or status >= _SERVER_ERROR
    if again and code != _OUT_OF_MONEY:
        raise RecognitionFailed(message)
    raise RecognitionRefused(message)


def _error_code(body: bytes) -> str:
    """Return the code of an error; its message may have part of the key in it."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return code[:60] if isinstance(code, str) and code.isidentifier() else ""


@contextmanager
def _translated(limit_seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise RecognitionFailed(f"openai took longer than {limit_seconds:g} s") from error
    except aiohttp.ClientError as error:
        raise RecognitionFailed(f"openai cannot be reached: {type(error).__name__}") from error
