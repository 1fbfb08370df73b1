"""Making the tables of a run: manifests in, Parquet files out, both by way of storage."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio.to_thread

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.models import tables as models
from pipelines.wildlife.models.detections import DetectionLine, PredictionLine
from pipelines.wildlife.models.observations import ObservationLine
from pipelines.wildlife.models.pictures import PictureLine
from pipelines.wildlife.models.weather import WeatherLine
from pipelines.wildlife.storage.lines import read_batches
from pipelines.wildlife.storage.protocol import Storage
from pipelines.wildlife.tables import details, sightings
from pipelines.wildlife.tables.details import Origin
from pipelines.wildlife.tables.parquet import Table, write_table
from pipelines.wildlife.tables.sightings import Sighting
from pipelines.wildlife.tables.spool import Spool


class TableMaker:
    """Makes the tables of what lies below one output, and puts them there."""

    def __init__(self, storage: Storage, target: Place, spool: Spool, origin: Origin) -> None:
        self._storage = storage
        self._target = target
        self._spool = spool
        self._origin = origin
        self._loaded = 0

    async def load(self, *, weather: bool, moments: bool) -> None:
        """Load observations and their weather; `moments` is for those who put details as well."""
        lines = read_batches(self._storage, self._target.join(layout.OBSERVATIONS), ObservationLine)
        self._loaded = await sightings.load_observations(self._spool, lines, moments=moments)
        uri = self._target.join(layout.WEATHER)
        told = read_batches(self._storage, uri, WeatherLine) if weather else None
        await sightings.load_weather(self._spool, told)

    async def put_clusters(
        self, see: Callable[[Sighting], None], progress: Callable[[int, int], None]
    ) -> None:
        """Put `clusters.parquet`; `see` is called with each row, in their order, in a thread."""

        def rows() -> Iterator[models.ObservationRow]:
            for sighting in sightings.sightings(self._spool, self._origin.session_id):
                see(sighting)
                yield sighting.row

        about = self._about(models.OBSERVATIONS_CONTRACT)
        table = Table(models.ObservationRow, about, sightings.ORDER)
        total = self._loaded
        await self._put(layout.CLUSTERS_TABLE, table, rows(), lambda done: progress(done, total))

    async def put_details(self, *, include_humans: bool) -> None:
        """Put `events.parquet` and `detections.parquet`."""
        storage, target, spool = self._storage, self._target, self._spool
        pictures = read_batches(storage, target.join(layout.PICTURES), PictureLine)
        await details.load_pictures(spool, pictures)
        found = read_batches(storage, target.join(layout.DETECTIONS), DetectionLine)
        await details.load_detections(spool, found)
        called = read_batches(storage, target.join(layout.PREDICTIONS), PredictionLine)
        await details.load_predictions(spool, called)
        await anyio.to_thread.run_sync(
            lambda: details.join_details(spool, include_humans=include_humans)
        )
        events = Table(models.EventRow, self._about(models.EVENTS_CONTRACT), details.EVENTS_ORDER)
        await self._put(layout.EVENTS_TABLE, events, details.event_rows(spool, self._origin))
        boxes = Table(
            models.DetectionRow, self._about(models.DETECTIONS_CONTRACT), details.DETECTIONS_ORDER
        )
        await self._put(layout.DETECTIONS_TABLE, boxes, details.detection_rows(spool, self._origin))

    def _about(self, contract: str) -> Mapping[str, str]:
        return {
            "contract_version": contract,
            "session_id": self._origin.session_id,
            "pipeline_version": self._origin.pipeline_version,
        }

    async def _put(
        self,
        name: str,
        table: Table,
        rows: Iterable[object],
        told: Callable[[int], None] = lambda _done: None,
    ) -> None:
        with TemporaryDirectory(prefix="wildlife-table-") as folder:
            path = Path(folder, name)
            # A thread for each few thousand rows: between them the run can be ended.
            with closing(write_table(path, table, rows)) as steps:
                while (done := await anyio.to_thread.run_sync(next, steps, None)) is not None:
                    told(done)
            await self._storage.write_file(self._target.join(name), path, kind=layout.Kind.RESULT)
