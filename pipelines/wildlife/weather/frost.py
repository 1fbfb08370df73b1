"""The provider frost: stations of MET Norway and what they measured, by the hour."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta

from pipelines.wildlife.weather.bodies import Whole
from pipelines.wildlife.weather.choice import Name
from pipelines.wildlife.weather.client import ProviderClient
from pipelines.wildlife.weather.frost_answers import (
    observations_query,
    parse_observations,
    parse_sources,
    sources_query,
)
from pipelines.wildlife.weather.hours import batches
from pipelines.wildlife.weather.places import Position, Station
from pipelines.wildlife.weather.provider import Provider, Reports, Stations
from pipelines.wildlife.weather.questions import Question

NO_SUCH = frozenset({404, 412})
"""What frost answers where it has no data that fit."""
_GAP = timedelta(days=3)
"""Hours that nobody asked for come more cheaply than another request."""
_LONGEST = timedelta(days=30)
"""Ten elements by the hour make about 7,000 values in it, well below what frost gives at once."""


class Frost(Provider):
    """Asks frost.met.no."""

    name = Name.FROST
    remembered = True

    def __init__(self, client: ProviderClient, url: str, max_km: float) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._max_km = max_km

    def serves(self, question: Question) -> bool:
        """Answer anything."""
        del question
        return True

    async def stations(self, position: Position, hours: Sequence[datetime]) -> Stations:
        """Ask for the stations near a position that have a thermometer."""
        found = await self._client.fetch(
            self._url + sources_query(position, hours),
            lambda: Whole(lambda body: parse_sources(body, position, self._max_km)),
        )
        return Stations((found.body if found else None) or ())

    def batches(self, hours: Sequence[datetime]) -> Sequence[Sequence[datetime]]:
        """Put hours together that lie a few days apart at most."""
        return batches(hours, gap=_GAP, longest=_LONGEST)

    async def reports(self, station: Station, hours: Sequence[datetime]) -> Reports:
        """Ask for a span of time of one station."""
        found = await self._client.fetch(
            self._url + observations_query(station.id, hours),
            lambda: Whole(lambda body: parse_observations(body, station.id)),
        )
        return Reports((found.body if found else None) or ())


def identification(client_id: str) -> dict[str, str]:
    """Return the header that tells frost who asks: the client id as user, no password."""
    return {"Authorization": f"Basic {b64encode(f'{client_id}:'.encode()).decode()}"}
