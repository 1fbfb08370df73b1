"""WriteParquet from manifests to files, on a bucket in memory."""

import json
from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.wildlife import layout
from pipelines.wildlife.models.tables import EventRow, ObservationRow
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states import write_parquet
from pipelines.wildlife.states.world import World
from pipelines.wildlife.storage.lines import BadLine
from pipelines.wildlife.storage.protocol import Missing
from pipelines.wildlife.tables import parquet
from pipelines.wildlife.tables.arrow import schema_of
from shared.s3.uri import S3Uri
from tests.support.wildlife_run import (
    NOON,
    OUTPUT,
    STARTED,
    Ground,
    LeftBehind,
    make_event,
    make_member,
    make_observation,
    make_weather,
)

_MINUTE = timedelta(minutes=1)


@pytest.mark.asyncio
async def test_sightings_come_sorted_each_with_its_own_weather() -> None:
    """The order and the join are what readers of the table rely on, whatever came in when."""
    late = {"start_time": NOON + _MINUTE, "end_time": NOON + _MINUTE}
    ground = Ground(
        LeftBehind(
            observations=[
                make_observation(1, **late),
                make_observation(2, camera_id="cam02"),
                make_observation(3, species="hare"),
                make_observation(4),
            ],
            weather=[
                make_weather(4, weather_temp_c=4.0),
                make_weather(1, weather_temp_c=1.0),
                make_weather(2, weather_temp_c=None, weather_status=WeatherStatus.NO_DATA),
                make_weather(9),
            ],
        )
    )

    await ground.write()

    table = await ground.table()
    assert table.column("observation_id").to_pylist() == [f"obs-{n:016x}" for n in (4, 3, 2, 1)]
    assert table.column("weather_temp_c").to_pylist() == [4.0, None, None, 1.0]
    assert table.column("weather_status").to_pylist() == ["ok", "not_run", "no_data", "ok"]
    assert table.column("start_time").to_pylist()[-1] == NOON + _MINUTE
    assert table.column("session_id").unique().to_pylist() == ["run-test"]
    assert ground.told == [(4, 4)]


@pytest.mark.asyncio
async def test_the_file_says_what_it_is() -> None:
    """Contract, session and version are in the file itself, and zstd is what packs it."""
    ground = Ground(LeftBehind(observations=[make_observation(1)], weather=[]))

    await ground.write()

    file = pq.ParquetFile(BytesIO(await ground.body(layout.CLUSTERS_TABLE)))
    told = file.schema_arrow.metadata
    assert told[b"contract_version"] == b"observations_v1"
    assert told[b"session_id"] == b"run-test"
    assert told[b"pipeline_version"]
    group = file.metadata.row_group(0)
    assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}
    assert [group.sorting_columns[n].column_index for n in range(3)] == [4, 2, 3]


@pytest.mark.asyncio
async def test_no_sighting_makes_a_table_with_its_whole_schema() -> None:
    """An empty card ends well, with files that every reader can open."""
    ground = Ground(LeftBehind(weather=[]))

    await ground.write(write_details=True)

    table = await ground.table()
    about = {name.decode(): told.decode() for name, told in (table.schema.metadata or {}).items()}
    assert table.num_rows == 0
    assert table.schema.equals(schema_of(ObservationRow, about), check_metadata=True)
    events = await ground.table(layout.EVENTS_TABLE)
    assert (events.num_rows, events.schema.names) == (0, schema_of(EventRow, {}).names)
    assert (await ground.report()).observations.total_observations == 0


@pytest.mark.asyncio
async def test_the_output_names_what_was_written() -> None:
    """The execution's output is made of this; the whole event stays beside it."""
    ground = Ground(LeftBehind(observations=[make_observation(1)], weather=[]))

    result = await ground.write()
    detailed = await ground.write(write_details=True)

    assert result["final_results"] == {
        "parquet_uri": "s3://bucket/out/clusters.parquet",
        "report_uri": "s3://bucket/out/run_report.json",
        "weather_uri": "s3://bucket/out/weather/",
        "files_created": 2,
    }
    assert detailed["final_results"]["files_created"] == 4
    assert {**result, "final_results": None} == {**make_event(OUTPUT), "final_results": None}


@pytest.mark.asyncio
async def test_the_same_manifests_give_the_same_bytes() -> None:
    """Run again, a state changes nothing but the times of generation."""
    lines = [make_observation(n, start_time=NOON - n * _MINUTE) for n in range(30)]
    first = Ground(LeftBehind(observations=lines, weather=[make_weather(n) for n in range(30)]))
    again = Ground(
        LeftBehind(observations=lines[::-1], weather=[make_weather(n) for n in range(30)][::-1])
    )

    await first.write()
    await again.write(now=STARTED + _MINUTE)

    name = layout.CLUSTERS_TABLE
    assert await first.body(name) == await again.body(name)
    reports = [json.loads(await ground.body(layout.REPORT)) for ground in (first, again)]
    for report in reports:
        del report["generated_at"]
        for timed in ("runtime_seconds", "runtime_human"):
            del report["execution_summary"][f"actual_{timed}"]
        del report["execution_summary"]["cost_efficiency_dkk_per_second"]
    assert reports[0] == reports[1]


@pytest.mark.asyncio
async def test_results_are_tagged_as_results() -> None:
    """The lifecycle rules of the bucket go by the tags."""
    ground = Ground(LeftBehind(observations=[make_observation(1)], weather=[]))

    await ground.write(write_details=True)

    names = (
        *(layout.CLUSTERS_TABLE, layout.EVENTS_TABLE, layout.DETECTIONS_TABLE),
        *(layout.REPORT, layout.REPORT_PAGE),
    )
    for name in names:
        tags = await ground.store.tags(S3Uri("bucket", f"out/{name}"))
        assert tags == {"Project": "WildlifePipeline", "kind": "result"}


@pytest.mark.asyncio
@pytest.mark.parametrize("written", [True, False])
async def test_weather_that_failed_leaves_nulls_and_a_status(*, written: bool) -> None:
    """What an earlier run left is not this run's weather, and a run needs none to end."""
    weather = [make_weather(1)] if written else None
    ground = Ground(LeftBehind(observations=[make_observation(1)], weather=weather))
    caught = {"Error": "States.Timeout", "Cause": "late"}

    await ground.write(weather_results=None, weather_error=caught)

    table = await ground.table()
    assert table.column("weather_status").to_pylist() == ["not_run"]
    assert table.column("weather_temp_c").to_pylist() == [None]
    assert (await ground.report()).status == "partial"


@pytest.mark.asyncio
async def test_weather_that_vanished_is_weather_that_was_not_run() -> None:
    """Somebody tidied up between the states; the sightings are still worth a table."""
    ground = Ground(LeftBehind(observations=[make_observation(1)]))

    await ground.write()

    assert (await ground.table()).column("weather_status").to_pylist() == ["not_run"]


@pytest.mark.asyncio
async def test_sightings_that_vanished_fail_the_state() -> None:
    """A table without rows would say that nothing was seen."""
    ground = Ground(LeftBehind())
    await ground.left.put(ground.storage, OUTPUT)
    await ground.store.delete(S3Uri("bucket", f"out/{layout.OBSERVATIONS}"))
    world = World(storage=ground.storage, settings=RunSettings())

    with pytest.raises(Missing):
        await write_parquet.run(make_event(OUTPUT), world)


@pytest.mark.asyncio
async def test_a_number_that_is_none_names_its_line() -> None:
    """A NaN would become a null in a column that has none."""
    ground = Ground(LeftBehind(observations=[make_observation(1)], weather=[]))
    await ground.left.put(ground.storage, OUTPUT)
    uri = OUTPUT.join(layout.OBSERVATIONS)
    body = (await ground.storage.read(uri)).replace(
        b'"duration_seconds":0.0', b'"duration_seconds":NaN'
    )
    await ground.storage.write(uri, body, kind=layout.Kind.MANIFEST)
    world = World(storage=ground.storage, settings=RunSettings())

    with pytest.raises(BadLine, match="line 1: duration_seconds"):
        await write_parquet.run(make_event(OUTPUT), world)


@pytest.mark.asyncio
async def test_many_rows_are_written_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is held but a group: what is written does not depend on how it was cut."""
    lines = [make_observation(n, start_time=NOON + (n * 7 % 25) * _MINUTE) for n in range(25)]
    ground = Ground(LeftBehind(observations=lines, weather=[]))
    await ground.write()
    whole = await ground.table()
    monkeypatch.setattr(parquet, "_BATCH_ROWS", 3)
    monkeypatch.setattr(parquet, "_GROUP_ROWS", 9)

    await ground.write()

    file = pq.ParquetFile(BytesIO(await ground.body(layout.CLUSTERS_TABLE)))
    assert [file.metadata.row_group(n).num_rows for n in range(3)] == [9, 9, 7]
    assert file.read().equals(whole)
    assert [done for done, _ in ground.told[1:]] == [3, 6, 9, 12, 15, 18, 21, 24, 25]


@pytest.mark.asyncio
async def test_the_best_crops_reach_the_page_and_nothing_from_elsewhere_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A manifest may name any object; only the run's own crops are shown to people."""
    stolen = "s3://bucket/private/face.jpg"
    crop = OUTPUT.join(layout.crop_name("cam01", "evt-1", 0))
    worse = OUTPUT.join(layout.crop_name("cam01", "evt-0", 0))
    gone = OUTPUT.join(layout.crop_name("cam01", "evt-2", 0))
    ground = Ground(
        LeftBehind(
            observations=[
                make_observation(
                    1,
                    detection_timeline=[
                        make_member(confidence=0.99),
                        make_member(worse, confidence=0.8),
                        make_member(crop),
                    ],
                ),
                make_observation(2, detection_timeline=[make_member(stolen)]),
                make_observation(3, detection_timeline=[make_member(gone)]),
            ],
            weather=[],
        )
    )
    for uri in (stolen, worse, crop):
        await ground.storage.write(uri, b"bytes of " + uri.encode(), kind=layout.Kind.CROP)
    shown: list[Mapping[str, bytes]] = []

    def render(*told: Any) -> str:
        shown.append(told[-1])
        return "<!doctype html>"

    monkeypatch.setattr(write_parquet, "render_page", render)

    await ground.write()

    assert shown == [{crop: b"bytes of " + crop.encode()}]
    assert await ground.body(layout.REPORT_PAGE) == b"<!doctype html>"
