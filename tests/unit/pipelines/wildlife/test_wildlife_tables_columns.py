"""The tables' columns follow their models, and cells come back as the values they were."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wildlife.models.detections import DetectionLine
from pipelines.wildlife.models.tables import DetectionRow, EventRow, ObservationRow
from pipelines.wildlife.models.weather import Weather
from pipelines.wildlife.tables.arrow import batch_of, schema_of
from pipelines.wildlife.tables.columns import (
    Kind,
    cells_of,
    columns_of,
    to_microseconds,
    to_moment,
    values_of,
)
from pipelines.wildlife.tables.parquet import Table, write_table
from tests.support.wildlife_sightings import make_row

_TEXTS = (
    "observation_id session_id camera_id species cluster_id cluster_name source_video"
    " weather_wind_dir_card weather_condition_code weather_source weather_station_id weather_status"
)
_MOMENTS = "start_time end_time weather_time"
_COUNTS = "frame_count individual_count"
_REQUIRED = (
    "observation_id session_id camera_id species start_time end_time duration_seconds"
    " max_confidence avg_confidence frame_count individual_count needs_review weather_status"
)


def test_the_sightings_table_has_the_types_of_its_contract() -> None:
    """Readers of `observations_v1` rely on each name, type and null."""
    schema = schema_of(ObservationRow, {"contract_version": "observations_v1"})

    types = {field.name: field.type for field in schema}
    expected = dict.fromkeys(types, pa.float64())
    expected |= dict.fromkeys(_TEXTS.split(), pa.string())
    expected |= dict.fromkeys(_MOMENTS.split(), pa.timestamp("us", tz="UTC"))
    expected |= dict.fromkeys(_COUNTS.split(), pa.int32()) | {"needs_review": pa.bool_()}
    assert types == expected
    assert {field.name for field in schema if not field.nullable} == set(_REQUIRED.split())
    assert schema.metadata == {b"contract_version": b"observations_v1"}
    assert {field.name for field in fields(Weather)} < set(types)


def test_the_tables_of_details_have_the_columns_of_their_contracts_in_order() -> None:
    """The order of the fields is that of the columns; a box is a record of four numbers."""
    events, detections = schema_of(EventRow, {}), schema_of(DetectionRow, {})

    assert events.names == [field.name for field in fields(EventRow)]
    assert detections.names == [field.name for field in fields(DetectionRow)]
    box = detections.field("bounding_box")
    assert not box.nullable
    assert [(part.name, part.type, part.nullable) for part in box.type] == [
        (name, pa.float64(), False) for name in ("x_min", "y_min", "x_max", "y_max")
    ]
    assert detections.field("sex").nullable
    assert detections.field("detection_method").type == pa.string()


def test_a_field_that_is_no_cell_is_refused() -> None:
    """A list in a model of rows would else be lost without a word."""
    with pytest.raises(TypeError, match="field 'bbox'"):
        columns_of(DetectionLine)


def test_a_null_where_the_contract_has_none_is_refused(tmp_path: Path) -> None:
    """A file that breaks its own schema must not be written."""
    table = Table(ObservationRow, {})
    rows = [make_row(latitude=61.0), make_row(species=None)]

    with pytest.raises(pa.ArrowInvalid, match="species"):
        list(write_table(tmp_path / "t.parquet", table, rows))

    assert batch_of(rows[:1], schema_of(ObservationRow, {})).column("latitude").to_pylist() == [61]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    name: str
    at: datetime
    seen_at: datetime | None
    sure: bool
    degrees: float | None


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 - given its zone below
    st.integers(-14, 14),
    st.booleans(),
)
def test_cells_come_back_as_the_values_they_were(plain: datetime, hours: int, sure: bool) -> None:  # noqa: FBT001 - drawn
    """What is spooled is what is written, to the microsecond, in UTC, nulls included."""
    moment = plain.replace(tzinfo=timezone(timedelta(hours=hours)))
    columns = columns_of(_Sample)
    sample = _Sample(name="n", at=moment, seen_at=None, sure=sure, degrees=-0.5)

    cells = cells_of(columns)(sample)
    values = values_of(columns)([int(cell) if cell is sure else cell for cell in cells])

    assert _Sample(**values) == sample
    assert values["at"].tzinfo is UTC
    assert [column.kind for column in columns].count(Kind.MOMENT) == 2
    assert to_moment(to_microseconds(moment)) == moment
