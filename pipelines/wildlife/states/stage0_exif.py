"""Stage0Exif: which camera took each picture when and where, its clock repaired."""

from pydantic import TypeAdapter

from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.layout import PICTURE_ERRORS, PICTURES
from pipelines.wildlife.models.payload import Stage0Results
from pipelines.wildlife.models.pictures import PictureErrorLine, PictureLine
from pipelines.wildlife.stage0.clock_files.loading import load_clocks
from pipelines.wildlife.stage0.line import Run
from pipelines.wildlife.stage0.survey import Survey
from pipelines.wildlife.states.world import Event, World, parse_payload
from pipelines.wildlife.storage.lines import write_records
from shared.errors import PermanentError

_LINES = TypeAdapter(PictureLine)
_ERRORS = TypeAdapter(PictureErrorLine)


class NothingReadable(PermanentError):
    """Not one picture of the run can be read."""


async def run(event: Event, world: World) -> Event:
    """Add `stage0_results`, and to `warnings` what is odd about the clocks' files.

    Raises:
        NothingReadable: no picture is; why is in `stage0/errors.jsonl`.
        UsageError: the clocks' files have mistakes, each line is one.
    """
    given = parse_payload(event)
    target = parse_place(given.output_uri)
    known = await load_clocks(world.storage, world.settings.clocks_uri)
    survey = Survey(
        storage=world.storage,
        source=parse_place(given.input_uri),
        run=Run(
            session_id=given.session_id,
            started_at=given.started_at,
            clocks=known.clocks,
            coordinates=given.coordinates,
        ),
        limit=given.max_images,
        at_once=world.settings.requests_in_flight,
        progress=world.progress,
    )
    found = await survey.look()
    errors = target.join(PICTURE_ERRORS)
    await write_records(world.storage, errors, _ERRORS, found.errors)
    if not found.lines:
        raise NothingReadable(
            f"none of {len(found.errors)} pictures below {given.input_uri!r} can be read; "
            f"{errors!r} says why"
        )
    await write_records(world.storage, target.join(PICTURES), _LINES, found.lines)
    results = Stage0Results(
        output_uri=given.stage0_output_uri,
        processed_images=len(found.lines),
        exif_errors=len(found.errors),
        time_corrections=found.corrected,
        images_skipped=found.found - found.looked_at,
        cameras=found.cameras,
    )
    warnings = list(dict.fromkeys([*given.warnings, *known.warnings]))
    return {**event, "warnings": warnings, "stage0_results": results.model_dump(mode="json")}
