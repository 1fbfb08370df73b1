"""`towpath wildlife export`: the sightings of a run as a sheet."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import anyio.to_thread
from pydantic import TypeAdapter

from pipelines.wildlife.commands.call import add_account
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.layout import CLUSTERS_TABLE, OBSERVATIONS
from pipelines.wildlife.models.observations import ObservationLine
from pipelines.wildlife.sheet.reading import read_seen
from pipelines.wildlife.sheet.rows import pictures_of, to_cells
from pipelines.wildlife.sheet.writing import write_csv, write_workbook
from pipelines.wildlife.storage.lines import read_records
from pipelines.wildlife.storage.opening import open_storage
from pipelines.wildlife.storage.protocol import Missing, Storage
from shared.engine import EngineOptions
from shared.errors import ExitStatus
from shared.files import open_durably
from shared.flags import OneLineParser
from shared.lifecycle import run
from shared.log import configure_logging

SUMMARY = "write the sightings of a run as a sheet"

_DESCRIPTION = """
    Write the sightings of a run that has ended as a sheet with the columns Dato, Tid, Sted, Art,
    Antal, Kvalitet and Billede: CSV, or a workbook of Excel.

    Kvalitet is Høj from a confidence of 0.7, Medium from 0.4, else Lav. Billede is the best crop.
"""
_LINE = TypeAdapter(ObservationLine)


def main(argv: Sequence[str]) -> int:
    """Write one sheet."""
    options = _parser().parse_args(list(argv))
    if options.form == "xlsx" and options.to is None:
        raise InvalidInput("--form xlsx is no text; say with --to FILE where it goes")
    place = options.run
    configure_logging("wildlife")

    async def export() -> ExitStatus:
        asked = EngineOptions(
            aws_region=options.aws_region,
            profile=options.profile,
            endpoint_url=options.endpoint_url,
            in_flight=1,
        )
        with tempfile.TemporaryDirectory(prefix="wildlife-") as folder:
            table = Path(folder, "table")
            async with open_storage([str(place)], asked) as storage:
                await _fetch(storage, place, table)
                pictures = await _pictures(storage, place)
            await anyio.to_thread.run_sync(_write, table, pictures, options)
        return ExitStatus.DONE

    return run(export)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser("towpath wildlife export", _DESCRIPTION)
    parser.add_argument(
        *("--run", "--output-uri"),
        required=True,
        type=_place,
        metavar="URI",
        dest="run",
        help="where the run's results are: its output_uri, s3:// or file://",
    )
    parser.add_argument(
        "--form", choices=("csv", "xlsx"), default="csv", help="kind of sheet (default: csv)"
    )
    parser.add_argument(
        "--to", type=Path, metavar="FILE", help="where the sheet goes (default: standard output)"
    )
    parser.add_argument(
        "--delimiter", choices=(",", ";"), default=",", help="between CSV cells (default: ,)"
    )
    parser.add_argument(
        "--zone",
        type=_zone,
        default="UTC",
        metavar="NAME",
        help="whose dates and times, as Europe/Copenhagen (default: UTC)",
    )
    add_account(parser)
    return parser


def _place(text: str) -> Place:
    try:
        return parse_place(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; allowed: {error}") from error


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    # A name is a path below a folder, and may be none that can be opened.
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(
            f"{name!r} is not known; allowed: a name as Europe/Copenhagen"
        ) from error


async def _fetch(storage: Storage, place: Place, table: Path) -> None:
    uri = place.join(CLUSTERS_TABLE)
    try:
        with table.open("wb") as stream:
            async for piece in storage.stream(uri):
                await anyio.to_thread.run_sync(stream.write, piece)
    except Missing as error:
        raise InvalidInput(
            f"{uri!r} is not there; name the output_uri of a run that has ended well"
        ) from error


async def _pictures(storage: Storage, place: Place) -> dict[str, str]:
    """Return the best crop of each observation; a table without its manifest has no pictures."""
    found: dict[str, str] = {}
    try:
        async for line in read_records(storage, place.join(OBSERVATIONS), _LINE):
            found.update(pictures_of([line]))
    except Missing:
        sys.stderr.write("towpath wildlife export: warning: no observations.jsonl, no pictures\n")
    return found


def _write(table: Path, pictures: dict[str, str], options: argparse.Namespace) -> None:
    if options.to is None:
        _write_sheet(sys.stdout.buffer, table, pictures, options)
        return
    try:
        with open_durably(options.to, replace=True) as stream:
            _write_sheet(stream, table, pictures, options)
    except OSError as error:
        raise InvalidInput(
            f"--to {str(options.to)!r} cannot be written: {(error.strerror or str(error)).lower()}"
        ) from error
    sys.stderr.write(f"towpath wildlife export: wrote {options.to}\n")


def _write_sheet(
    stream: BinaryIO, table: Path, pictures: dict[str, str], options: argparse.Namespace
) -> None:
    rows = (to_cells(seen, pictures, options.zone) for seen in read_seen(table))
    if options.form == "xlsx":
        write_workbook(stream, rows)
    else:
        write_csv(stream, rows, options.delimiter)
