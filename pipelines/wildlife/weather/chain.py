"""Opening those who are asked for weather, once there is something to ask.

Rule: no key is read and no connection made for a run that has no question.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import anyio
import structlog
from aiohttp import ClientSession
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.document.places import Place
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.storage.protocol import Storage
from pipelines.wildlife.weather import frost, locationforecast, smhi
from pipelines.wildlife.weather.cache import Cache
from pipelines.wildlife.weather.choice import ATTRIBUTIONS, ON_THE_NET, Name, plan_chain
from pipelines.wildlife.weather.client import Counter, Manner, ProviderClient, open_session
from pipelines.wildlife.weather.configuration import client_id_of, configured
from pipelines.wildlife.weather.frost import Frost
from pipelines.wildlife.weather.locationforecast import Locationforecast
from pipelines.wildlife.weather.provider import Provider
from pipelines.wildlife.weather.smhi import Smhi
from pipelines.wildlife.weather.static import read_static
from shared.aws.secrets import SecretUnusable, read_secret

log: FilteringBoundLogger = structlog.get_logger()

_CLIENT_ID = "frost_client_id"
_SECRET_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Link:
    """A provider and what is remembered of it."""

    provider: Provider
    cache: Cache
    attribution: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Who is asked, first to last."""

    links: Sequence[Link] = ()
    locked_out: bool = False
    """Whether somebody is missing whose key could not be had."""
    counter: Counter = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where answers are remembered, and since when."""

    storage: Storage
    place: Place
    now: datetime


@asynccontextmanager
async def open_chain(settings: RunSettings, ground: Ground, manner: Manner) -> AsyncIterator[Chain]:
    """Open everybody who is asked; UsageError for a file that cannot be used."""
    names = [*plan_chain(configured(settings))]
    client_id, locked_out = "", False
    if Name.FROST in names:
        client_id, locked_out = await _find_client_id(settings)
        if not client_id:
            names.remove(Name.FROST)
            locked_out = locked_out or Name.FROST in settings.weather
    counter = Counter()
    async with AsyncExitStack() as stack:
        opener = _Opener(settings, ground, manner, counter, client_id)
        if ON_THE_NET.intersection(names):
            session = open_session(settings.weather_contact.strip(), manner)
            opener.session = await stack.enter_async_context(session)
        links = [await opener.open(name) for name in names]
        yield Chain(links, locked_out, counter)


async def _find_client_id(settings: RunSettings) -> tuple[str, bool]:
    """Return the client id, and whether it could not be looked up."""
    if found := client_id_of(settings):
        return found, False
    try:
        with anyio.fail_after(_SECRET_SECONDS):
            fields = await read_secret(
                settings.api_keys_secret,
                aws_region=settings.aws_region,
                profile=settings.profile,
                endpoint_url=settings.endpoint_url,
            )
    except (SecretUnusable, TimeoutError) as error:
        reason = str(error) or "it took too long"
        log.error("weather_key_unread", reason=reason)  # noqa: TRY400 - its words are enough
        return "", True
    return fields.get(_CLIENT_ID, "").strip(), False


class _Opener:
    """Makes providers out of settings; those on the net share a session."""

    session: ClientSession

    def __init__(
        self,
        settings: RunSettings,
        ground: Ground,
        manner: Manner,
        counter: Counter,
        client_id: str,
    ) -> None:
        self._settings = settings
        self._ground = ground
        self._manner = manner
        self._counter = counter
        self._client_id = client_id

    async def open(self, name: Name) -> Link:
        """Return one provider with what is remembered of it."""
        ground, settings = self._ground, self._settings
        cache = Cache(ground.storage, ground.place, name, ground.now)
        if name is Name.STATIC and settings.weather_file is not None:
            static = await read_static(settings.weather_file, settings.max_station_km)
            return Link(static, cache, static.attribution)
        return Link(self._on_the_net(name, cache), cache, ATTRIBUTIONS[name])

    def _on_the_net(self, name: Name, cache: Cache) -> Provider:
        settings, now = self._settings, self._ground.now
        if name is Name.FROST:
            headers = frost.identification(self._client_id)
            client = self._client(name, frost.NO_SUCH, headers)
            return Frost(client, settings.frost_url, settings.max_station_km)
        if name is Name.SMHI:
            client = self._client(name, smhi.NO_SUCH)
            return Smhi(client, settings.smhi_url, settings.max_station_km, now)
        client = self._client(name, locationforecast.NO_SUCH)
        return Locationforecast(client, settings.locationforecast_url, cache, now)

    def _client(
        self, name: Name, no_such: Collection[int], headers: Mapping[str, str] | None = None
    ) -> ProviderClient:
        return ProviderClient(
            name, self.session, self._counter, self._manner, headers=headers, no_such=no_such
        )
