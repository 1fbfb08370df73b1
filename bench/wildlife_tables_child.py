"""The children of `bench.wildlife_tables`, each a process of its own, so that memory is its own.

    python -m bench.wildlife_tables_child make FOLDER ROWS
    python -m bench.wildlife_tables_child state|straightforward|compare FOLDER

`make` writes the manifests of a run with so many sightings. `state` runs WriteParquet on them.
`straightforward` reads both files, joins them in a dictionary, sorts the list and makes a table of
it. `compare` says what is different in their tables, nothing where they are the same.

pyarrow loads pandas where it is installed, as for development; a function is spared its 60 MiB.
"""

import asyncio
import json
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.wildlife import layout
from pipelines.wildlife.models.tables import ObservationRow
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states import write_parquet
from pipelines.wildlife.states.world import World
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.tables.arrow import schema_of

_START = datetime(2026, 6, 1, tzinfo=UTC)
_SPECIES = ("badger", "boar", "fox", "hare", "moose", "red_deer", "roe_deer")
_CAMERAS, _PLACES = 10, 40
_SESSION = "run-bench"
_ORDER = ("start_time", "camera_id", "species")
_MOMENTS = ("start_time", "end_time", "weather_time")


def main(argv: Sequence[str]) -> None:
    """Do what the first argument says in the folder of the second."""
    way, folder = argv[0], Path(argv[1])
    if way == "make":
        _make(folder, int(argv[2]))
    elif way == "state":
        asyncio.run(_run_state(folder))
    elif way == "straightforward":
        _write_straightforward(folder)
    else:
        print(_difference(folder))


def _make(folder: Path, rows: int) -> None:
    chosen = random.Random(rows)  # noqa: S311 - the same rows each time, no secret
    for name in (layout.OBSERVATIONS, layout.PICTURES, layout.WEATHER):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / layout.PLACES).write_text('{"type": "FeatureCollection", "features": []}')
    (folder / layout.PICTURES).write_text('{"timezone": "Europe/Stockholm"}\n')
    with (
        (folder / layout.OBSERVATIONS).open("w") as observations,
        (folder / layout.WEATHER).open("w") as weather,
    ):
        for number in range(rows):
            place = chosen.randrange(_PLACES)
            # In no order: a table that is only copied would not be sorted.
            start = _START + timedelta(seconds=chosen.randrange(3 * rows))
            line = _observation(chosen, number, place, start)
            told = _weather(chosen, str(line["observation_id"]), place, start)
            observations.write(json.dumps(line) + "\n")
            weather.write(json.dumps(told) + "\n")


def _observation(
    chosen: random.Random, number: int, place: int, start: datetime
) -> dict[str, object]:
    camera = f"cam{place % _CAMERAS:02}"
    seconds = chosen.randrange(600)
    confidence = round(chosen.uniform(0.5, 1), 4)
    member = {
        "timestamp": start.isoformat(),
        "confidence": confidence,
        "frame_number": None,
        "crop_path": f"file:///none/{layout.crop_name(camera, f'evt-{number:016x}', 0)}",
    }
    return {
        "observation_id": f"obs-{chosen.getrandbits(64):016x}",
        "camera_id": camera,
        "species": chosen.choice(_SPECIES),
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(seconds=seconds)).isoformat(),
        "duration_seconds": float(seconds),
        "max_confidence": confidence,
        "avg_confidence": confidence,
        "frame_count": 1,
        "individual_count": 1,
        "source_video": None,
        "needs_review": confidence < 0.8,  # noqa: PLR2004 - as the step before has it
        "latitude": 61 + place / 1000,
        "longitude": 14 + place / 1000,
        "cluster_id": f"clu-{place:012x}",
        "cluster_name": f"Unknown_Cluster_{place}",
        "detection_timeline": [member],
    }


def _weather(
    chosen: random.Random, observation_id: str, place: int, hour: datetime
) -> dict[str, object]:
    return {
        "observation_id": observation_id,
        "weather_temp_c": round(chosen.uniform(-20, 25), 1),
        "weather_humidity_pc": float(chosen.randrange(101)),
        "weather_precip_mm": chosen.choice([0.0, 0.0, 0.0, 1.2]),
        "weather_wind_ms": round(chosen.uniform(0, 15), 1),
        "weather_time": hour.isoformat(),
        "weather_source": "smhi",
        "weather_station_id": str(place),
        "weather_station_km": float(place),
        "weather_status": "ok",
    }


async def _run_state(folder: Path) -> None:
    world = World(storage=FolderStorage(), settings=RunSettings(), local=True)
    print((await write_parquet.run(_event(folder), world))["final_results"])


def _event(folder: Path) -> dict[str, object]:
    """Return a payload as the states before leave it."""
    output = f"file://{folder}/"
    return {
        "input_uri": "file:///none/",
        "output_uri": output,
        "session_id": _SESSION,
        "budget_dkk": 25.0,
        "use_spot": True,
        "max_images": 50_000,
        "price_book": "reference",
        "max_job_duration": 3600,
        "weather_days_back": 7,
        "started_at": _START.isoformat(),
        "images_found": 50_000,
        "estimated_images": 50_000,
        "seconds_per_image": 0.7,
        "compute_mode": "hybrid",
        "max_runtime_min": 60,
        "estimated_cost_dkk": 3.5,
        "estimated_total_dkk": 5.4,
        "cost_breakdown": {},
        "worst_case_dkk": 6.0,
        "budget_remaining_dkk": 19.6,
        "stage0_output_uri": f"{output}stage0/",
        "intermediate_uri": f"{output}stage1/",
        "weather_uri": f"{output}weather/",
        "job_queue": "local",
        "batch_state_timeout_s": 9000,
        "weather_results": {
            "weather_uri": f"{output}weather/",
            "observations_enriched": 0,
            "weather_observations": 0,
            "days_back": 7,
            "provider": "smhi",
            "weather_calls": 0,
            "cache_hits": 0,
            "by_status": {},
        },
    }


def _write_straightforward(folder: Path) -> None:
    with (folder / layout.WEATHER).open() as lines:
        weather = {told["observation_id"]: told for told in map(json.loads, lines)}
    schema = schema_of(ObservationRow, {})
    with (folder / layout.OBSERVATIONS).open() as lines:
        rows = [_joined(json.loads(line), weather, schema.names) for line in lines]
    rows.sort(key=lambda row: [row[name] for name in _ORDER])
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, folder / "straightforward.parquet", compression="zstd")


def _joined(
    row: dict[str, object], weather: dict[str, dict[str, object]], names: Sequence[str]
) -> dict[str, object]:
    whole = {**row, **weather[str(row["observation_id"])], "session_id": _SESSION}
    whole |= {name: datetime.fromisoformat(str(whole[name])) for name in _MOMENTS}
    return {name: whole.get(name) for name in names}


def _difference(folder: Path) -> str:
    """Compare both tables in the order of ids; and see that ours has its own."""
    ours, other = (
        pq.read_table(folder / name).replace_schema_metadata()
        for name in (layout.CLUSTERS_TABLE, "straightforward.parquet")
    )
    if ours.num_rows != other.num_rows:
        return f"{ours.num_rows} rows in the place of {other.num_rows}"
    if any(
        not ours.column(name).equals(other.column(name)) for name in ("start_time", "camera_id")
    ):
        return "not in its order"
    same = ours.sort_by("observation_id").equals(other.sort_by("observation_id"))
    return "" if same else "rows differ"


if __name__ == "__main__":
    main(sys.argv[1:])
