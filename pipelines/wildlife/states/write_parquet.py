"""WriteParquet: the tables, the report, and the page that people look at.

What the states before have written comes by once more, row by row, and everything is made of the
same rows. The JSON report comes last: where it lies, the rest lies as well.
"""

import anyio.to_thread

from pipelines.wildlife import layout
from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.models.payload import FinalResults, Payload
from pipelines.wildlife.models.report import RunReport
from pipelines.wildlife.report.compose import Told, compose_report
from pipelines.wildlife.report.reading import read_crops, read_places, read_summary, read_zone
from pipelines.wildlife.report.tally import RowTally
from pipelines.wildlife.report_page.counting import FigureCounter
from pipelines.wildlife.report_page.figures import CROP_BYTES_MAX, Figures
from pipelines.wildlife.report_page.render import render_page
from pipelines.wildlife.settings import installed_version
from pipelines.wildlife.states.world import Event, World, parse_payload
from pipelines.wildlife.tables.details import Origin
from pipelines.wildlife.tables.making import TableMaker
from pipelines.wildlife.tables.sightings import Sighting
from pipelines.wildlife.tables.spool import open_spool

_UNKNOWN = "unknown"
_FILES, _FILES_WITH_DETAILS = 2, 4


async def run(event: Event, world: World) -> Event:
    """Add `final_results`."""
    began_at = world.now()
    given = parse_payload(event)
    target = parse_place(given.output_uri)
    summary = await read_summary(world.storage, target.join(layout.DETECTION_SUMMARY))
    detector = summary.detector if summary else _UNKNOWN
    origin = Origin(given.session_id, installed_version(), detector)
    tally, figures = await _write_tables(given, target, world, origin)
    files = _FILES_WITH_DETAILS if given.write_details else _FILES
    report = compose_report(
        Told(
            payload=given,
            prices=BOOKS[given.price_book],
            summary=summary,
            rows=tally,
            files_created=files,
            began_at=began_at,
            now=world.now(),
            pipeline_version=origin.pipeline_version,
        )
    )
    await _write_report(report, figures, target, world)
    results = FinalResults(
        parquet_uri=target.join(layout.CLUSTERS_TABLE),
        report_uri=target.join(layout.REPORT),
        weather_uri=given.weather_uri,
        files_created=files,
    )
    return {**event, "final_results": results.model_dump(mode="json")}


async def _write_tables(
    given: Payload, target: Place, world: World, origin: Origin
) -> tuple[RowTally, Figures]:
    """Put the tables, and return what was counted in passing."""
    tally = RowTally()
    counter = FigureCounter(await read_zone(world.storage, target.join(layout.PICTURES)))

    def see(sighting: Sighting) -> None:
        tally.add(sighting.row)
        counter.add(sighting.row, () if sighting.sample is None else (sighting.sample,))

    with open_spool() as spool:
        maker = TableMaker(world.storage, target, spool, origin)
        # What an earlier run left of the weather is not this run's: the step has failed since.
        await maker.load(weather=given.weather_results is not None, moments=given.write_details)
        await maker.put_clusters(see, world.progress)
        if given.write_details:
            await maker.put_details(include_humans=world.settings.include_humans)
    return tally, counter.figures()


async def _write_report(report: RunReport, figures: Figures, target: Place, world: World) -> None:
    storage = world.storage
    places = await read_places(storage, target.join(layout.PLACES))
    wanted = [sample.crop_uri for sample in figures.samples]
    crops = await read_crops(storage, wanted, below=str(target), bytes_max=CROP_BYTES_MAX)
    page = await anyio.to_thread.run_sync(render_page, report, figures, places, crops)
    kind = layout.Kind.RESULT
    await storage.write(target.join(layout.REPORT_PAGE), page.encode(), kind=kind)
    text = report.model_dump_json(indent=2) + "\n"
    await storage.write(target.join(layout.REPORT), text.encode(), kind=kind)
