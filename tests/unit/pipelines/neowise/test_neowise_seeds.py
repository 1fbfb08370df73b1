from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.neowise.columns import SEED_SCHEMA
from pipelines.neowise.positions import load_positions
from pipelines.neowise.seeds import write_seed
from shared.errors import UsageError

CHUNK = b"row_id,in_ra,in_dec\n12345678901234567,359.5,-89.99\nb,0,90\n"


def _chunk(root: Path, content: bytes = CHUNK) -> Path:
    path = root / "positions_chunk_02104.csv"
    path.write_bytes(content)
    return path


def test_a_seed_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    """The other side may be the original."""
    written = write_seed(_chunk(tmp_path), "02104", tmp_path / "optical_seeds")

    assert written.path == tmp_path / "optical_seeds" / "chunk_02104" / "part-02104.parquet"
    table = pq.read_table(written.path, partitioning=None)
    assert table.schema.equals(SEED_SCHEMA)
    assert table.to_pylist() == [
        {
            "opt_ra_deg": 359.5,
            "opt_dec_deg": -89.99,
            "source_id": "12345678901234567",
            "row_id": "12345678901234567",
            "chunk_id": "02104",
        },
        {
            "opt_ra_deg": 0.0,
            "opt_dec_deg": 90.0,
            "source_id": "b",
            "row_id": "b",
            "chunk_id": "02104",
        },
    ]


def test_the_chunk_s_own_folder_is_not_nested_in_itself(tmp_path: Path) -> None:
    """People name either folder."""
    written = write_seed(_chunk(tmp_path), "02104", tmp_path / "chunk_02104")

    assert written.path == tmp_path / "chunk_02104" / "part-02104.parquet"


def test_bad_input_leaves_an_earlier_seed_alone(tmp_path: Path) -> None:
    """Nothing partial, nothing lost."""
    written = write_seed(_chunk(tmp_path), "02104", tmp_path)
    before = written.path.read_bytes()

    with pytest.raises(UsageError, match=r"positions_chunk_02104.csv': line 2, column 'in_dec'"):
        write_seed(_chunk(tmp_path, b"in_ra,in_dec\n1,x\n"), "02104", tmp_path)

    assert written.path.read_bytes() == before
    assert [path.name for path in written.path.parent.iterdir()] == [written.path.name]


def test_a_chunk_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One line, not a traceback."""
    with pytest.raises(UsageError, match=r"nowhere.csv' cannot be read: No such file"):
        write_seed(tmp_path / "nowhere.csv", "02104", tmp_path)


def _seed(root: Path, rows: list[dict[str, object]], schema: pa.Schema | None = None) -> Path:
    path = root / "part-02104.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


GOOD: dict[str, object] = {"opt_ra_deg": 1.0, "opt_dec_deg": 2.0, "source_id": "a"}
BAD = [
    ([GOOD, GOOD | {"opt_ra_deg": float("nan"), "source_id": "b"}], "row 2, column 'opt_ra_deg'"),
    ([GOOD | {"opt_dec_deg": -90.5}], "row 1, column 'opt_dec_deg': -90.5 is not from -90 to 90"),
    ([GOOD, GOOD | {"opt_dec_deg": None, "source_id": "b"}], "row 2, column 'opt_dec_deg': nan"),
    ([GOOD, GOOD | {"source_id": None}], "row 2, column 'source_id': there is no value"),
    ([GOOD, GOOD], "row 2, column 'source_id': 'a' is in row 1 too"),
    ([GOOD | {"opt_ra_deg": "north"}], "column 'opt_ra_deg': "),
    ([{"opt_ra_deg": 1.0, "source_id": "a"}], "has no column 'opt_dec_deg'"),
]


@pytest.mark.parametrize(("rows", "said"), BAD, ids=[said for _, said in BAD])
def test_a_bad_seed_is_named_by_row_and_column(
    tmp_path: Path, rows: list[dict[str, object]], said: str
) -> None:
    """Seeds come from other machines, and from other programs."""
    path = _seed(tmp_path, rows)

    with pytest.raises(UsageError, match=said) as caught:
        load_positions(tmp_path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 10, b"row_id,ra\n"])
def test_what_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    """Half a download."""
    (tmp_path / "part-02104.parquet").write_bytes(content)

    with pytest.raises(UsageError, match="is no usable Parquet file"):
        load_positions(tmp_path)


def test_identifiers_that_are_numbers_are_read_as_text(tmp_path: Path) -> None:
    """The original's seeds may have them so."""
    _seed(tmp_path, [GOOD | {"source_id": 12345678901234567}])

    assert load_positions(tmp_path).source_ids == ["12345678901234567"]


def test_all_parts_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    """Rows come out in seed order."""
    for name in ("b", "a"):
        folder = tmp_path / f"chunk_{name}"
        folder.mkdir()
        _seed(folder, [GOOD | {"source_id": name}])
    (tmp_path / "_metadata.parquet").write_bytes(b"not a part")

    assert load_positions(tmp_path).source_ids == ["a", "b"]


def test_an_empty_folder_is_no_seed(tmp_path: Path) -> None:
    """A mistyped folder must not look like a chunk without matches."""
    with pytest.raises(UsageError, match="holds no seed"):
        load_positions(tmp_path)
