from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.neowise.closest import canonical_row_id, write_closest
from pipelines.neowise.columns import SEED_SCHEMA, SIDECAR_SCHEMA
from shared.errors import UsageError

HEADER = (
    "row_id,in_ra,in_dec,cntr,ra,dec,mjd,w1snr,w2snr,qual_frame,qi_fact,saa_sep,moon_masked,"
    "sep_arcsec\n"
)


def _seed(root: Path, rows: Sequence[tuple[str, str, float]], cid: str = "02104") -> Path:
    folder = root / "optical_seeds" / f"chunk_{cid}"
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(
        [
            {
                "opt_ra_deg": ra,
                "opt_dec_deg": -2.5,
                "source_id": source,
                "row_id": row,
                "chunk_id": cid,
            }
            for source, row, ra in rows
        ],
        schema=SEED_SCHEMA,
    )
    pq.write_table(table, folder / f"part-{cid}.parquet")
    return folder


def _match(source: str, ra: float = 10.0, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "opt_source_id": source,
        "opt_ra_deg": ra,
        "opt_dec_deg": -2.5,
        "source_id": "s1",
        "cntr": 9_007_199_254_740_993,
        "ra": ra + 1 / 3,
        "dec": -2.5,
        "mjd": 57000.123456789,
        "w1snr": 10.1,
        "w2snr": None,
        "qual_frame": 10,
        "qi_fact": 1.0,
        "saa_sep": 20.5,
        "moon_masked": "00",
        "sep_arcsec": 1.25,
        "healpix_k5": 7,
    }
    return row | changes


def _sidecar(
    root: Path, rows: Sequence[dict[str, object]], schema: pa.Schema = SIDECAR_SCHEMA
) -> Path:
    path = root / "neowise_se_flags_ALL.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path


def test_the_table_has_the_columns_and_forms_that_people_read(tmp_path: Path) -> None:
    """Byte for byte: the other side compares."""
    seeds = _seed(tmp_path, [("a", "17.0", 10.0)])

    (written,) = write_closest(
        _sidecar(tmp_path, [_match("a")]), seeds, tmp_path / "out", row_id_float=True
    )

    assert written.table.name == "positions02104_closest.csv"
    assert written.table.read_text() == HEADER + (
        "17,10,-2.5,9007199254740993,10.33333333,-2.5,57000.12346,10.10000038,,10,1,20.5,00,1.25\n"
    )
    columns = HEADER.rstrip("\n")
    assert written.report.name == "positions02104_closest.qc.txt"
    assert written.report.read_text() == f"rows=1\ncolumns={columns}\n"


def test_no_matches_give_a_header_and_a_report(tmp_path: Path) -> None:
    """An empty answer is an answer."""
    (written,) = write_closest(
        _sidecar(tmp_path, []), _seed(tmp_path, [("a", "a", 10.0)]), tmp_path / "out"
    )

    assert written.table.read_text() == HEADER
    assert written.report.read_text().startswith("rows=0\n")


def test_rows_come_in_the_order_of_the_seeds_and_only_the_chunk_s_own(tmp_path: Path) -> None:
    """The sidecar table may hold more than this chunk, in any order."""
    seeds = _seed(tmp_path, [("b", "rb", 11.0), ("x", "rx", 12.0), ("a", "ra", 10.0)])
    sidecar = _sidecar(tmp_path, [_match("a"), _match("other"), _match("b", 11.0)])

    (written,) = write_closest(sidecar, seeds, tmp_path / "out")

    rows = written.table.read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["rb", "ra"]


def test_chunks_whose_identifiers_are_row_numbers_are_told_apart_by_place(tmp_path: Path) -> None:
    """Row 1 is in every chunk."""
    _seed(tmp_path, [("1", "1", 10.0)], "00001")
    _seed(tmp_path, [("1", "1", 11.0)], "00002")
    sidecar = _sidecar(tmp_path, [_match("1", 11.0, cntr=2), _match("1", 10.0, cntr=1)])

    written = write_closest(sidecar, tmp_path / "optical_seeds", tmp_path / "out")

    found = [one.table.read_text().splitlines()[1].split(",")[3] for one in written]
    assert found == ["1", "2"]


@pytest.mark.parametrize(("kind", "value"), [(pa.int64(), 0), (pa.string(), "0")])
def test_the_moon_is_written_with_two_characters(
    tmp_path: Path, kind: pa.DataType, value: object
) -> None:
    """Another sidecar step may have written a number."""
    index = SIDECAR_SCHEMA.get_field_index("moon_masked")
    schema = SIDECAR_SCHEMA.set(index, pa.field("moon_masked", kind))
    sidecar = _sidecar(tmp_path, [_match("a", moon_masked=value)], schema)

    (written,) = write_closest(sidecar, _seed(tmp_path, [("a", "a", 10.0)]), tmp_path / "out")

    assert ",00,1.25\n" in written.table.read_text()


ROW_IDS = [
    ("17.0", "17"),
    ("17", "17"),
    ("0017", "17"),
    ("1.70e1", "17"),
    ("0.1", "0.1"),
    ("1234567890123456", "1234567890123456"),
    ("12345678901234567", "12345678901234567"),
    ("10000000000000001", "10000000000000001"),
    ("12345678901234560", "12345678901234560"),
    ("0.10000000000000001", "0.10000000000000001"),
    ("a#17", "a#17"),
    ("nan", "nan"),
    ("inf", "inf"),
    ("1e999", "1e999"),
    (" 17", " 17"),
    ("1_7", "1_7"),
    ("", ""),
    ("\u0661\u0667", "\u0661\u0667"),
    ("0x11", "0x11"),
]


@pytest.mark.parametrize(("text", "form"), ROW_IDS)
def test_row_ids_are_canonical_only_where_they_stay_the_same_number(text: str, form: str) -> None:
    """Identifiers of 17 digits survive."""
    assert canonical_row_id(text) == form


@settings(deadline=None)
@given(st.integers(10**16, 10**18).map(str) | st.from_regex(r"[A-Za-z0-9#.]{1,12}", fullmatch=True))
def test_a_canonical_row_id_is_canonical(text: str) -> None:
    """What is formatted twice stays as it is, and long integers are never touched."""
    form = canonical_row_id(text)

    assert canonical_row_id(form) == form
    assert form == text or float(form) == float(text)
    assert form == text or not (text.isdigit() and len(text) > 16)


def test_row_ids_are_left_alone_without_the_option(tmp_path: Path) -> None:
    """The option is the original's."""
    (written,) = write_closest(
        _sidecar(tmp_path, [_match("a")]), _seed(tmp_path, [("a", "17.0", 10.0)]), tmp_path / "out"
    )

    assert written.table.read_text().splitlines()[1].startswith("17.0,")


def test_a_sidecar_table_without_a_column_is_named(tmp_path: Path) -> None:
    """Another program may have made it."""
    schema = SIDECAR_SCHEMA.remove(SIDECAR_SCHEMA.get_field_index("mjd"))
    row = {name: value for name, value in _match("a").items() if name != "mjd"}

    with pytest.raises(UsageError, match=r"neowise_se_flags_ALL.parquet' has no column 'mjd'"):
        write_closest(
            _sidecar(tmp_path, [row], schema), _seed(tmp_path, [("a", "a", 10.0)]), tmp_path / "out"
        )

    assert not (tmp_path / "out").exists()


def test_a_folder_that_names_no_cid_is_refused(tmp_path: Path) -> None:
    """The result's name is made of it."""
    (tmp_path / "seeds").mkdir()

    with pytest.raises(UsageError, match="does not say which CID it is"):
        write_closest(_sidecar(tmp_path, []), tmp_path / "seeds", tmp_path / "out")
