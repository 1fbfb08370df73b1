"""`towpath wildlife export` as people type it."""

import csv
import io
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook
from pydantic import TypeAdapter

from pipelines.wildlife.commands.export import main
from pipelines.wildlife.models.observations import ObservationLine, TimelineEntry
from pipelines.wildlife.models.tables import ObservationRow
from pipelines.wildlife.sheet.rows import guarded, quality_of
from shared.cli import run_command
from tests.support.wildlife_sightings import START, make_row

Export: TypeAlias = Callable[..., tuple[int, bytes, str]]

_EVIL = '=HYPERLINK("http://evil.example/";"deer")'


@pytest.fixture
def export(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Export:
    """Run the command, and return its status, output and complaints."""

    def call(*argv: str) -> tuple[int, bytes, str]:
        status = run_command("wildlife export", main, argv)
        said = capfdbinary.readouterr()
        return status, said.out, said.err.decode()

    return call


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What a run left: three sightings, of which one has a crop and one an evil name."""
    rows = [
        make_row(1, cluster_name="Sølund", max_confidence=0.91, individual_count=2),
        make_row(2, species="fox", max_confidence=0.55, camera_id="cam02"),
        make_row(3, species="boar", cluster_name=_EVIL, max_confidence=0.3, source_video=_EVIL),
    ]
    folder = tmp_path / "out"
    (folder / "stage2").mkdir(parents=True)
    _write_table(folder / "clusters.parquet", rows)
    lines = TypeAdapter(ObservationLine).dump_json(_line(rows[0])) + b"\n"
    (folder / "stage2" / "observations.jsonl").write_bytes(lines)
    return folder


def _write_table(path: Path, rows: list[ObservationRow]) -> None:
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    pq.write_table(table, path)


def _line(row: ObservationRow) -> ObservationLine:
    timeline = [
        TimelineEntry(timestamp=START, confidence=share, frame_number=None, crop_path=crop)
        for share, crop in ((0.6, "s3://b/dim.jpg"), (0.91, "s3://b/best.jpg"), (0.95, None))
    ]
    names = set(ObservationLine.__dataclass_fields__) & set(ObservationRow.__dataclass_fields__)
    facts = {name: getattr(row, name) for name in names}
    return ObservationLine(**facts, detection_timeline=timeline)


def test_a_run_becomes_a_sheet(results: Path, export: Export) -> None:
    """Columns, qualities and pictures as the contract has them; no cell is a formula."""
    status, out, _ = export("--run", results.as_uri())

    assert status == 0
    assert out.startswith(b"\xef\xbb\xbfDato,"), "Excel knows UTF-8 by this mark"
    evil = f"'{_EVIL}"
    assert list(csv.reader(io.StringIO(out.decode("utf-8-sig")))) == [
        ["Dato", "Tid", "Sted", "Art", "Antal", "Kvalitet", "Billede"],
        ["2026-10-03", "00:00:00", "Sølund", "roe_deer", "2", "Høj", "s3://b/best.jpg"],
        ["2026-10-03", "00:00:00", "cam02", "fox", "1", "Medium", ""],
        ["2026-10-03", "00:00:00", evil, "boar", "1", "Lav", evil],
    ]


def test_a_workbook_has_dates_numbers_and_texts(results: Path, export: Export) -> None:
    """Who sorts by date or adds up animals needs no conversion, and a name stays a name."""
    target = results.parent / "sheet.xlsx"

    status, _, said = export(
        *("--output-uri", results.as_uri(), "--form", "xlsx", "--to", str(target)),
        *("--zone", "Europe/Copenhagen"),
    )

    assert (status, said) == (0, f"towpath wildlife export: wrote {target}\n")
    sheet = load_workbook(target)["Observationer"]
    first, last = sheet[2], sheet[4]
    assert first[0].value == datetime(2026, 10, 3)  # noqa: DTZ001 - a sheet knows no zones
    assert first[1].value == (START + timedelta(hours=2)).time()
    assert (first[4].value, first[4].data_type) == (2, "n")
    assert (last[2].value, last[2].data_type) == (_EVIL, "s")


def test_a_run_without_a_table_is_named(tmp_path: Path, export: Export) -> None:
    """A prefix that is mistyped must not become an empty sheet."""
    status, out, said = export("--run", (tmp_path / "nothing").as_uri())

    assert (status, out) == (2, b"")
    assert "nothing/clusters.parquet' is not there; name the output_uri of a run" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--form", "xlsx"), "--form xlsx is no text; say with --to FILE where it goes"),
        (("--zone", "../../etc/passwd"), "'../../etc/passwd' is not known"),
        (("--to", "/nowhere/sheet.csv"), "--to '/nowhere/sheet.csv' cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(
    results: Path, export: Export, argv: tuple[str, ...], said: str
) -> None:
    """In a line, and with the status of a mistake."""
    status, out, heard = export("--run", results.as_uri(), *argv)

    assert (status, out) == (2, b"")
    assert said in heard


@pytest.mark.parametrize("body", [b"", b"PAR1 this is no table PAR1"])
def test_a_broken_table_is_no_sheet(results: Path, export: Export, body: bytes) -> None:
    """Half a sheet that looks whole would be believed."""
    (results / "clusters.parquet").write_bytes(body)
    target = results.parent / "sheet.csv"

    status, _, said = export("--run", results.as_uri(), "--to", str(target))

    assert status not in {0, 2}
    assert "the table cannot be read" in said
    assert not target.exists()


@pytest.mark.parametrize(
    ("confidence", "word"),
    [(1.0, "Høj"), (0.7, "Høj"), (0.69, "Medium"), (0.4, "Medium"), (0, "Lav")],
)
def test_quality_is_a_word(confidence: float, word: str) -> None:
    """The limits are the contract's."""
    assert quality_of(confidence) == word


@pytest.mark.parametrize("text", ["=1+1", "+45", "-1", "@SUM(A1)", "  =1", "\uff1d1"])
def test_no_text_is_reckoned(text: str) -> None:
    """Whoever names a folder must not be able to run something on who opens the sheet."""
    assert guarded(text) == f"'{text}"
    assert guarded(f"a{text}") == f"a{text}"
