"""One provider over HTTP: identified, slow enough, bounded, and left alone when it says so.

| what comes back                                   | what follows                                 |
|---------------------------------------------------|----------------------------------------------|
| 200; 203, which warns of an old version           | the answer                                   |
| 304 to a conditional question                     | the answer, without a body                   |
| a status by which this provider says "no such"    | None                                         |
| 429                                               | tried again after `Retry-After`, all others  |
|                                                   | wait as well                                 |
| 408, 5xx, no answer, cut off, too slow            | tried again, 3 times in all                  |
| 401, 403                                          | WeatherRefused, and nothing is asked any more|
| any other status, a redirect, an unusable body    | WeatherNonsense                              |

A provider that has failed so several times in a row is not asked any more in this run: the time is
better spent with the next one. No redirect is followed, for a key travels with each question.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import aiohttp
import anyio
import anyio.to_thread
import structlog
from structlog.typing import FilteringBoundLogger
from yarl import URL

from pipelines.wildlife.settings import installed_version
from pipelines.wildlife.weather.bodies import Reader
from pipelines.wildlife.weather.errors import (
    WeatherError,
    WeatherNonsense,
    WeatherRefused,
    WeatherUnavailable,
)
from pipelines.wildlife.weather.pace import Pace
from shared.retry import RetryBudget, RetryPolicy, retrying

log: FilteringBoundLogger = structlog.get_logger()
Found = TypeVar("Found")

_CHUNK_BYTES = 64 * 1024
_OK, _OLD_VERSION, _NOT_MODIFIED = 200, 203, 304
_TIMED_OUT, _TOO_MANY, _SERVER_ERROR = 408, 429, 500
_REFUSED = frozenset({401, 403})
_DAY_SECONDS = 86_400.0
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Manner:
    """How politely and how patiently providers are asked."""

    interval_seconds: float = 1.0
    """Between the beginnings of two requests to one provider."""
    at_once: int = 4
    answer_seconds: float = 30.0
    long_answer_seconds: float = 180.0
    """For an archive of decades, of which every line has to come."""
    connect_seconds: float = 10.0
    failures_in_a_row: int = 3
    pace: Callable[[float], Pace] = Pace
    policy: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(attempts=3, base_seconds=1.0, ceiling_seconds=60.0)
    )


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Found]):
    """An answer."""

    body: Found | None
    """None where what we have is still good."""
    headers: Mapping[str, str]


@dataclass(slots=True)
class Counter:
    """How many requests were sent, to all providers together."""

    calls: int = 0


class ProviderClient:
    """Asks one provider; `open_session` gives what it asks with."""

    def __init__(
        self,
        provider: str,
        session: aiohttp.ClientSession,
        counter: Counter,
        manner: Manner,
        *,
        headers: Mapping[str, str] | None = None,
        no_such: Collection[int] = (404,),
    ) -> None:
        self._provider = provider
        self._session = session
        self._counter = counter
        self._manner = manner
        self._headers = dict(headers or {})
        self._no_such = frozenset(no_such)
        self._pace = manner.pace(manner.interval_seconds)
        self._slots = anyio.CapacityLimiter(manner.at_once)
        self._budget = RetryBudget()
        self._failures = 0
        self._left_alone: WeatherError | None = None

    async def fetch(
        self,
        url: str,
        reader: Callable[[], Reader[Found]],
        *,
        headers: Mapping[str, str] | None = None,
        long: bool = False,
    ) -> Fetched[Found] | None:
        """Ask for a URL, which is complete and quoted; None where there is no such data.

        Raises:
            WeatherUnavailable, WeatherRefused, WeatherNonsense: see the table above.
        """
        asked = {**self._headers, **(headers or {})}
        limit = self._manner.long_answer_seconds if long else self._manner.answer_seconds
        try:
            found = await retrying(
                lambda _attempt: self._once(url, reader(), asked, limit),
                policy=self._manner.policy,
                budget=self._budget,
                slot=self._slots,
            )
        except WeatherError as error:
            self._note(error)
            raise
        self._failures = 0
        return found

    async def _once(
        self, url: str, reader: Reader[Found], headers: Mapping[str, str], limit: float
    ) -> Fetched[Found] | None:
        self._check_alone()
        await self._pace.turn()
        # Another one may have been refused while this one waited.
        self._check_alone()
        self._counter.calls += 1
        with self._translated():
            async with self._asked(url, headers, limit) as answer:
                if answer.status in self._no_such:
                    return None
                self._check_status(answer, conditional="If-Modified-Since" in headers)
                if answer.status == _NOT_MODIFIED:
                    return Fetched(None, dict(answer.headers))
                async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
                    reader.feed(piece)
                # Reading megabytes of JSON keeps a processor busy for longer than a loop may stand.
                body = await anyio.to_thread.run_sync(reader.result)
                return Fetched(body, dict(answer.headers))

    @asynccontextmanager
    async def _asked(
        self, url: str, headers: Mapping[str, str], limit: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        with anyio.fail_after(limit):
            async with self._session.get(
                URL(url, encoded=True), headers=headers, allow_redirects=False
            ) as answer:
                yield answer

    def _check_status(self, answer: aiohttp.ClientResponse, *, conditional: bool) -> None:
        status = answer.status
        if status == _OK or (status == _NOT_MODIFIED and conditional):
            return
        if status == _OLD_VERSION:
            log.warning("weather_version_deprecated", provider=self._provider, url=_shown(answer))
            return
        if status in _REFUSED:
            raise WeatherRefused(self._provider, f"refuses us with {status}")
        if status == _TOO_MANY:
            wait = retry_after_seconds(answer.headers.get("Retry-After", ""), datetime.now(UTC))
            self._pace.hold(wait)
            raise WeatherUnavailable(self._provider, "has had too many requests", retry_after=wait)
        if status == _TIMED_OUT or status >= _SERVER_ERROR:
            raise WeatherUnavailable(self._provider, f"answered {status}")
        raise WeatherNonsense(self._provider, f"answered {status} to {_shown(answer)!r}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientPayloadError, TimeoutError) as error:
            reason = f"did not answer to the end ({type(error).__name__})"
            raise WeatherUnavailable(self._provider, reason) from error
        except aiohttp.InvalidURL as error:
            raise WeatherNonsense(self._provider, "has no such address") from error
        except (aiohttp.ClientError, OSError) as error:
            words = ascii(" ".join(str(error).split())[:_SHOWN])[1:-1]
            raise WeatherUnavailable(self._provider, f"cannot be reached: {words}") from error
        except ValueError as error:
            words = ascii(" ".join(str(error).split())[:_SHOWN])[1:-1]
            raise WeatherNonsense(self._provider, f"answered nonsense: {words}") from error

    def _check_alone(self) -> None:
        if self._left_alone is not None:
            raise _again(self._left_alone)

    def _note(self, error: WeatherError) -> None:
        if self._left_alone is not None:
            return
        self._failures += 1
        for_good = isinstance(error, WeatherRefused) or (
            error.retry_after > self._manner.policy.ceiling_seconds
        )
        if for_good or self._failures >= self._manner.failures_in_a_row:
            self._left_alone = error
            log.warning("weather_provider_left_alone", provider=self._provider, reason=str(error))


@asynccontextmanager
async def open_session(contact: str, manner: Manner) -> AsyncIterator[aiohttp.ClientSession]:
    """Open what all providers are asked with; it says who we are and whom to turn to."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit_per_host=manner.at_once),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent(contact), "Accept-Encoding": "gzip"},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=manner.connect_seconds, sock_read=manner.answer_seconds
        ),
        trust_env=False,
    ) as session:
        yield session


def user_agent(contact: str) -> str:
    """Return who we are to providers."""
    return f"towpath-wildlife/{installed_version()} {contact}"


def retry_after_seconds(text: str, now: datetime) -> float:
    """Read a Retry-After, be it seconds or a date; 0 for anything else."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit():
        return min(float(plain[:9]), _DAY_SECONDS)
    if (at := read_date(plain)) is None:
        return 0.0
    return min(max((at - now).total_seconds(), 0.0), _DAY_SECONDS)


def read_date(text: str) -> datetime | None:
    """Read a date of a header; None for anything else."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _again(error: WeatherError) -> WeatherError:
    """Return the error anew as one that is not tried again."""
    kind = WeatherRefused if isinstance(error, WeatherRefused) else WeatherNonsense
    return kind(error.provider, f"is left alone: it {error.reason}")


def _shown(answer: aiohttp.ClientResponse) -> str:
    return str(answer.url.with_query(None))[:_SHOWN]
