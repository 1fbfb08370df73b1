from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.neowise import leaf as leaf_module
from pipelines.neowise.catalogue import Catalogue, Leaf
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.leaf import Stopped, make_region, promising_groups, read_leaf
from pipelines.neowise.matching import Matches
from pipelines.neowise.sphere import Floats
from shared.errors import UsageError
from tests.support.neowise import SCHEMA, detection, local_catalogue, write_rows

RA, DEC = 150.0, 2.0
ARCSEC = 1 / 3600


def _read(catalogue: Catalogue, ra: float = RA, dec: float = DEC) -> Matches:
    here = np.array([ra]), np.array([dec])
    (leaf,) = catalogue.leaves("year1", int(pixels_of(*here)[0]))
    return read_leaf(catalogue, leaf, make_region(*here, 5.0))


def _cntrs(found: Matches) -> list[int]:
    return found.detections.column("cntr").to_pylist()  # type: ignore[no-any-return]


FAILING = [
    {"qual_frame": 0},
    {"qual_frame": -1},
    {"qual_frame": None},
    {"qi_fact": 0.0},
    {"qi_fact": float("nan")},
    {"saa_sep": 0.0},
    {"saa_sep": None},
    {"w1snr": 4.999},
    {"w1snr": None},
    {"mjd": 59198.0001},
    {"mjd": None},
    {"moon_masked": "01"},
    {"moon_masked": "000"},
    {"moon_masked": ""},
    {"moon_masked": None},
    {"cntr": None},
]


@pytest.mark.parametrize("change", FAILING, ids=str)
@pytest.mark.parametrize("beside_a_good_one", [True, False])
def test_what_fails_a_gate_is_no_match(
    tmp_path: Path, change: dict[str, object], *, beside_a_good_one: bool
) -> None:
    """Nearer than the good one, and it must not be taken; alone, statistics rule it out or not."""
    rows = [detection(RA, DEC, 1, **change)]
    if beside_a_good_one:
        rows.append(detection(RA, DEC + 3 * ARCSEC, 2))
    write_rows(tmp_path, rows)

    assert _cntrs(_read(local_catalogue(tmp_path))) == ([2] if beside_a_good_one else [])


PASSING = [{"w1snr": 5.0}, {"mjd": 59198.0}, {"w2snr": None}, {"source_id": None}]


@pytest.mark.parametrize("change", PASSING, ids=str)
def test_what_just_passes_is_a_match(tmp_path: Path, change: dict[str, object]) -> None:
    """The edge of a gate belongs to it, and columns without a gate say nothing."""
    write_rows(tmp_path, [detection(RA, DEC, 1, **change)])

    assert _cntrs(_read(local_catalogue(tmp_path))) == [1]


@pytest.mark.parametrize(
    ("kind", "free", "masked"),
    [
        (pa.string(), "00", "10"),
        (pa.string(), "0", "1"),
        (pa.large_string(), "00", "01"),
        (pa.int64(), 0, 1),
        (pa.int8(), 0, 11),
        (pa.dictionary(pa.int8(), pa.string()), "00", "11"),
    ],
)
def test_the_moon_is_said_in_many_ways(
    tmp_path: Path, kind: pa.DataType, free: object, masked: object
) -> None:
    """Text in some years, a number in others; written is always `00`."""
    index = SCHEMA.get_field_index("moon_masked")
    rows = [
        detection(RA, DEC, 1, moon_masked=masked),
        detection(RA, DEC + ARCSEC, 2, moon_masked=free),
        detection(RA, DEC + ARCSEC / 2, 3, moon_masked=None),
    ]
    write_rows(tmp_path, rows, schema=SCHEMA.set(index, pa.field("moon_masked", kind)))

    found = _read(local_catalogue(tmp_path))

    assert _cntrs(found) == [2]
    assert found.detections.column("moon_masked").to_pylist() == ["00"]


@pytest.mark.parametrize("missing", SCHEMA.names)
def test_a_missing_column_is_named_with_its_file(tmp_path: Path, missing: str) -> None:
    """Somebody must look at that file, and at no other."""
    schema = pa.schema([field for field in SCHEMA if field.name != missing])
    row = {name: value for name, value in detection(RA, DEC, 1).items() if name != missing}
    catalogue = local_catalogue(tmp_path)
    (path,) = write_rows(tmp_path, [row | {"ra": RA, "dec": DEC}], schema=schema)

    with pytest.raises(UsageError) as caught:
        _read(catalogue)

    assert str(caught.value) == f"catalogue file {str(path)!r} has no column {missing!r}"


@pytest.mark.parametrize("keep", [0, 4, 100, -20])
def test_a_damaged_file_is_named(tmp_path: Path, keep: int) -> None:
    """Half a download, or nothing of it."""
    catalogue = local_catalogue(tmp_path)
    (path,) = write_rows(tmp_path, [detection(RA, DEC, number) for number in range(50)])
    content = path.read_bytes()
    path.write_bytes(content[:keep])

    with pytest.raises(UsageError, match=r"no usable Parquet file|cannot be decoded") as caught:
        _read(catalogue)

    assert str(path) in str(caught.value)


def test_nan_coordinates_match_nothing(tmp_path: Path) -> None:
    """They are in the catalogue, and statistics do not mention them."""
    nan = float("nan")
    write_rows(tmp_path, [detection(RA, DEC, 1), detection(nan, DEC, 2), detection(RA, nan, 3)])

    assert _cntrs(_read(local_catalogue(tmp_path))) == [1]


def _groups(
    tmp_path: Path, rows: list[dict[str, object]], ra: Floats, dec: Floats, size: int = 10
) -> list[int]:
    (path,) = write_rows(tmp_path, rows, row_group_rows=size)
    catalogue = local_catalogue(tmp_path)
    with catalogue.open(Leaf(str(path), "year1")) as file:
        return list(promising_groups(file, make_region(ra, dec, 5.0)))


def test_row_groups_beyond_a_gate_are_not_read(tmp_path: Path) -> None:
    """Whole years lie behind the last day, and reading them is most of the bytes."""
    rows = [dict(detection(RA, DEC, number, mjd=59190.0 + number)) for number in range(30)]

    assert _groups(tmp_path, rows, np.array([RA]), np.array([DEC])) == [0]


def test_row_groups_that_no_circle_touches_are_not_read(tmp_path: Path) -> None:
    """A leaf is sorted by place: the statistics say where its groups are."""
    rows = [dict(detection(RA, 1.9 + number / 300, number)) for number in range(60)]

    groups = _groups(tmp_path, rows, np.array([RA, RA]), np.array([1.91, 2.05]))

    assert groups == [0, 4]


@pytest.mark.parametrize(
    ("ra", "row_ra"), [(0.0, 359.9995), (359.9999, 0.0005), (0.0001, 0.0009), (360.0, 0.001)]
)
def test_statistics_do_not_hide_what_lies_across_ra_zero(
    tmp_path: Path, ra: float, row_ra: float
) -> None:
    """The shorter way round counts."""
    write_rows(tmp_path, [detection(row_ra, 12.0, 1)])
    catalogue = local_catalogue(tmp_path)
    (leaf,) = catalogue.leaves("year1", int(pixels_of(np.array([row_ra]), np.array([12.0]))[0]))

    found = read_leaf(catalogue, leaf, make_region(np.array([ra]), np.array([12.0]), 5.0))

    assert _cntrs(found) == [1]


@pytest.mark.parametrize("dec", [89.99, -89.99, 89.9995, 90.0, 80.0])
def test_statistics_do_not_hide_what_lies_near_a_pole(tmp_path: Path, dec: float) -> None:
    """Five arcseconds are all of RA there."""
    side = 1.0 if dec > 0 else -1.0
    across = dec if abs(dec) < 89.999 else side * (180.0 - abs(dec) - 2 * ARCSEC)
    row_ra = 10.0 if abs(dec) < 89.999 else 190.0
    across = side * min(abs(across), 180.0 - abs(across))
    place = (row_ra, across)
    write_rows(tmp_path, [detection(*place, 1)])
    catalogue = local_catalogue(tmp_path)
    (leaf,) = catalogue.leaves("year1", int(pixels_of(np.array([row_ra]), np.array([across]))[0]))
    ra = 10.0 + 1.3 * ARCSEC / np.cos(np.radians(dec)) if abs(dec) < 89.999 else 10.0

    found = read_leaf(catalogue, leaf, make_region(np.array([ra]), np.array([dec]), 5.0))

    assert _cntrs(found) == [1]


def test_no_more_rows_are_held_than_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leaf of the real catalogue has a million rows, and sixteen are read at once."""
    monkeypatch.setattr(leaf_module, "BATCH_ROWS", 64)
    seen: list[int] = []
    read = leaf_module._batches

    def counted(*arguments: object) -> object:
        for batch in read(*arguments):  # type: ignore[arg-type]  # passed on as they came
            seen.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(leaf_module, "_batches", counted)
    rows = [detection(RA, DEC + number * ARCSEC / 1000, number) for number in range(2000)]
    write_rows(tmp_path, rows, row_group_rows=500)

    found = _read(local_catalogue(tmp_path))

    assert _cntrs(found) == [0]
    assert sum(seen) == 2 * 2000
    assert max(seen) <= 64


def test_batches_and_row_groups_keep_their_rows_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row counted from the wrong place is another detection's data."""
    monkeypatch.setattr(leaf_module, "BATCH_ROWS", 16)
    dec: Floats = np.linspace(DEC, DEC + 119 * 11 * ARCSEC, 120)
    ra = np.full(120, RA)
    rows = [
        detection(RA, float(dec[number]), number, mjd=50000.0 + number, w1snr=4 + number % 5)
        for number in range(120)
    ]
    (path,) = write_rows(tmp_path, rows, row_group_rows=60)
    catalogue = local_catalogue(tmp_path)

    found = read_leaf(catalogue, Leaf(str(path), "year1"), make_region(ra, dec + ARCSEC, 5.0))

    expected = [number for number in range(120) if number % 5]
    assert found.position.tolist() == _cntrs(found) == expected
    assert found.detections.column("mjd").to_pylist() == [50000.0 + one for one in expected]
    assert found.detections.column("dec").to_pylist() == dec[expected].tolist()


def test_a_reader_stops_between_two_row_groups(tmp_path: Path) -> None:
    """The first failure ends the run; nobody waits for a million rows."""
    write_rows(tmp_path, [detection(RA, DEC, number) for number in range(30)], row_group_rows=10)
    catalogue = local_catalogue(tmp_path)
    here = np.array([RA]), np.array([DEC])
    (leaf,) = catalogue.leaves("year1", int(pixels_of(*here)[0]))
    answers = iter([True, False])

    with pytest.raises(Stopped):
        read_leaf(catalogue, leaf, make_region(*here, 5.0), lambda: next(answers))
