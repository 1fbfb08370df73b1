"""The files in which clocks are noted: what is read, and that every mistake is told at once."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.stage0.clock.zones import localise
from pipelines.wildlife.stage0.clock_files.camera_settings import parse_camera_settings
from pipelines.wildlife.stage0.clock_files.camera_table import parse_camera_table
from pipelines.wildlife.stage0.clock_files.corrections import parse_corrections
from pipelines.wildlife.stage0.clock_files.loading import Known, load_clocks
from pipelines.wildlife.stage0.clock_files.mistakes import Mistakes
from pipelines.wildlife.stage0.exif.position import Position
from pipelines.wildlife.storage.bucket import BucketStorage
from shared.errors import UsageError
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets

_PLACE = "s3://bucket/metadata/exif_corrections/"
_HEADER = "camera_id,location,timezone,offset_seconds,clock_drift_ppm,notes"
_RECORD = {
    "correction_id": "c1",
    "camera_id": "cam01",
    "delta_seconds": 120,
    "effective_from": "2026-06-01T00:00:00Z",
    "effective_to": None,
    "rule_id": "r1",
    "created_at": "2026-06-02T00:00:00Z",
}


async def _load(files: Mapping[str, bytes | str]) -> Known:
    storage = BucketStorage(MemoryStore(MemoryBuckets("bucket")))
    for name, body in files.items():
        data = body.encode() if isinstance(body, str) else body
        uri = parse_place(_PLACE).join(name)
        await storage.write(uri, data, kind=Kind.MANIFEST)
    return await load_clocks(storage, _PLACE)


@pytest.mark.asyncio
async def test_each_file_may_be_missing() -> None:
    """Most people have one of them; with none the folder's name may be wrong."""
    known = await _load({})

    assert (known.warnings, known.clocks.error_of("cam01")) == (("clock_files_missing",), None)
    assert (await _load({"time_offsets.yaml": ""})).warnings == ()
    assert known.clocks.zone_of("cam01").name == "Europe/Stockholm"


@pytest.mark.asyncio
async def test_all_three_files_are_read() -> None:
    """Each has its own way to name a camera, a time and a zone."""
    records = json.dumps([_RECORD])
    known = await _load(
        {
            "current/corrections.json": records,
            "current/manifest.json": json.dumps({"sha256": sha256(records.encode()).hexdigest()}),
            "time_corrections.csv": f"{_HEADER}\ncam02,north,UTC,30,2.5,fast\n",
            "time_offsets.yaml": (
                "camera_corrections: {cam03: {offset_seconds: -5, timezone: Europe/Oslo}}\n"
                "camera_types: {cam04: legacy_system, cam05: mine}\n"
                "camera_systems: {mine: {default_offset: 4000, timezone: UTC}}\n"
                "camera_positions: {cam01: {latitude: 59.5, longitude: 0}}\n"
                "seasonal_adjustments: {summer: 3600}\n"
            ),
        }
    )

    clocks = known.clocks
    june = clocks.correction_at("cam01", datetime(2026, 6, 1, tzinfo=UTC))
    assert june is not None
    assert june.rule_id == "r1"
    found = [clocks.error_of(f"cam0{number}") for number in range(2, 6)]
    assert [(each.rule_id, each.offset_seconds) for each in found if each] == [
        ("csv:cam02", 30.0),
        ("camera:cam03", -5.0),
        ("system:legacy_system", -3600.0),
        ("system:mine", 4000.0),
    ]
    assert clocks.zone_of("cam03").name == "Europe/Oslo"
    summer = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - of a clock
    assert localise(summer, clocks.zone_of("cam04")).moment.hour == 11
    assert clocks.positions == {"cam01": Position(59.5, 0.0)}
    assert known.warnings == ("seasonal_adjustments_ignored", "large_clock_offset: system:mine")


@pytest.mark.asyncio
async def test_mistakes_of_all_files_are_told_at_once() -> None:
    """Whoever mends them wants to do it once."""
    files = {
        "current/corrections.json": json.dumps([{**_RECORD, "delta_seconds": "soon"}]),
        "time_corrections.csv": f"{_HEADER}\ncam 2,north,Mars/Olympus,86401,x,\n",
        "time_offsets.yaml": "camera_types: {cam04: unheard}\n",
    }

    with pytest.raises(UsageError) as caught:
        await _load(files)

    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    for line, part in zip(
        lines,
        ["0.delta_seconds", "camera_id", "timezone", "offset_seconds", "clock_drift", "'unheard'"],
        strict=True,
    ):
        assert part in line
        assert _PLACE in line


@pytest.mark.asyncio
async def test_corrections_that_are_not_those_of_their_manifest_are_refused() -> None:
    """Half a copy of a new version would repair half of the clocks."""
    files = {
        "current/corrections.json": json.dumps([_RECORD]),
        "manifest.json": json.dumps({"sha256": "0" * 64}),
    }

    with pytest.raises(UsageError, match=r"SHA-256.*copy both again"):
        await _load(files)


@pytest.mark.asyncio
async def test_corrections_without_a_manifest_are_taken_with_a_warning() -> None:
    """A file that was written by hand has none."""
    known = await _load({"current/corrections.json": json.dumps([_RECORD])})

    assert known.warnings == ("corrections_without_manifest",)
    assert "cam01" in known.clocks.corrections


@pytest.mark.asyncio
async def test_many_large_corrections_are_few_warnings() -> None:
    """They travel with the payload of the run, which has a limit."""
    large = {**_RECORD, "delta_seconds": 4000}
    records = [{**large, "correction_id": f"c{n}", "rule_id": f"r{n}"} for n in range(30)]

    known = await _load({"current/corrections.json": json.dumps(records)})

    assert len(known.warnings) == 22
    assert known.warnings[-1] == "large_clock_offset: and 10 more"


def test_commas_in_notes_are_part_of_them() -> None:
    """Nobody quoted them, and what comes behind must still be found."""
    text = f"{_HEADER},last_sync\ncam01,north,,30,0,two, or three,2026-06-01T00:00:00Z\n"

    found = parse_camera_table(text.encode())

    assert found["cam01"].offset_seconds == 30.0
    assert found["cam01"].last_sync == datetime(2026, 6, 1, tzinfo=UTC)


def test_a_table_from_a_spreadsheet_is_read() -> None:
    """Such programs begin with a mark and end lines with two characters."""
    text = f"\ufeff{_HEADER}\r\ncam01,north,Europe/Stockholm,-5,,\r\n\r\n"

    assert parse_camera_table(text.encode())["cam01"].offset_seconds == -5.0


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "is empty"),
        ("camera_id,offset\n", "lacks the column 'timezone'"),
        (f"{_HEADER},colour\n", "has the column 'colour'"),
        (f"{_HEADER},notes\n", "has a column twice"),
        (f"{_HEADER}\ncam01,,,1,,\ncam01,,,2,,\n", "line 3 is about 'cam01' again"),
        (f"{_HEADER}\ncam01,,,nan,,\n", "line 2.offset_seconds"),
        (f"{_HEADER}\ncam01,,,-86401,,\n", "line 2.offset_seconds"),
        (f"{_HEADER}\n,,,1,,\n", "line 2.camera_id is required"),
        (f"{_HEADER}\ncam01,,../../etc/passwd,1,,\n", "line 2.timezone"),
        (f"{_HEADER}\ncam01,,Europe,1,,\n", "line 2.timezone"),
        (f"{_HEADER},last_sync\ncam01,,,1,,x,2026-06-01T00:00:00\n", "line 2.last_sync"),
        ("\0\xff", "lacks the column"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(text: str, mistake: str) -> None:
    """A clock that is repaired wrongly is worse than one that is not."""
    with pytest.raises(Mistakes, match=mistake.replace(".", r"\.")):
        parse_camera_table(text.encode())


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("camera_corrections: {cam01: {offset_seconds: 86401}}", "offset_seconds = 86401"),
        ("camera_corrections: {cam01: {offset_seconds: true}}", "offset_seconds = True"),
        ("camera_corrections: {cam01: {}}", "offset_seconds is required"),
        ("camera_corections: {}", "camera_corections is not known"),
        ("camera_systems: {x: {dst_handling: maybe}}", "dst_handling = 'maybe'"),
        ("camera_positions: {cam01: {latitude: .nan, longitude: 0}}", "latitude = nan"),
        ("camera_positions: {cam01: {latitude: 91, longitude: 0}}", "latitude = 91"),
        ("camera_corrections: {a: {offset_seconds: 1}, a: {offset_seconds: 2}}", "twice"),
        ("- 1", "the whole"),
        ("a: !!python/object/apply:os.system [ls]", "is no YAML"),
        ("[" * 5000, "opens more than 20 brackets"),
        ("#" * 300_000, "is longer than"),
        ("- " * 5000, "is no YAML"),
        ("2026-99-99", "is no YAML"),
    ],
)
def test_what_is_wrong_with_settings_is_named(text: str, mistake: str) -> None:
    """A misspelt key would leave a clock as it is, without a word."""
    with pytest.raises(Mistakes, match=mistake):
        parse_camera_settings(text.encode())


@pytest.mark.parametrize(
    ("records", "mistake"),
    [
        ("{", "the whole"),
        ("[{}]", "0.camera_id is required"),
        ([{**_RECORD, "delta_seconds": "NaN"}], "0.delta_seconds"),
        ([{**_RECORD, "created_at": "2026-06-02T00:00:00"}], "0.created_at"),
        ([{**_RECORD, "effective_to": "2026-06-01T00:00:00Z"}], "end it later"),
        ([_RECORD, _RECORD], "2 times"),
    ],
)
def test_what_is_wrong_with_corrections_is_named(records: object, mistake: str) -> None:
    """They come from a bucket that others write to."""
    text = records if isinstance(records, str) else json.dumps(records)

    with pytest.raises(Mistakes, match=mistake.replace(".", r"\.")):
        parse_corrections(text.encode())


def test_a_correction_may_be_of_years() -> None:
    """A camera without a battery begins again in the year of its making."""
    decade = 10 * 365 * 86_400
    text = json.dumps([{**_RECORD, "delta_seconds": decade}])

    assert parse_corrections(text.encode())[0].delta_seconds == decade


def test_empty_settings_know_the_usual_types() -> None:
    """A map from cameras to types is all that has to be written."""
    assert parse_camera_settings(b"").systems.keys() == {
        "trail_camera",
        "gps_camera",
        "legacy_system",
    }


def test_aliases_of_aliases_are_refused() -> None:
    """A file of a few lines must not fill the memory of a function."""
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 7)]

    with pytest.raises(Mistakes, match="aliases say too much"):
        parse_camera_settings("\n".join([*lines, "camera_types: *l6"]).encode())
    fast = "camera_corrections: {cam01: &fast {offset_seconds: 60}, cam02: *fast}"
    assert len(parse_camera_settings(fast.encode()).entries) == 2
