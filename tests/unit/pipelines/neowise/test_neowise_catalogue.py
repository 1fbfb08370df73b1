from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.neowise.catalogue import Catalogue, CatalogueAccess, leaf_folder, open_catalogue
from shared.errors import EndpointRefused, SuiteError, UsageError
from tests.support.neowise import local_catalogue


def test_leaves_lie_where_the_archive_has_them() -> None:
    """The layout is somebody else's and fixed."""
    assert leaf_folder("year7", 5121) == (
        "year7/neowiser-healpix_k5-year7.parquet/healpix_k0=5/healpix_k5=5121"
    )


def test_a_leaf_that_is_not_there_is_normal(tmp_path: Path) -> None:
    """Nothing was observed."""
    assert local_catalogue(tmp_path).leaves("year1", 17) == []


def test_only_data_files_are_leaves(tmp_path: Path) -> None:
    """Writers leave other things beside them."""
    folder = tmp_path / leaf_folder("year1", 17)
    folder.mkdir(parents=True)
    for name in ("b.parquet", "a.snappy.parquet", "_metadata", "_x.parquet", ".b.parquet", "c.txt"):
        (folder / name).touch()
    (folder / "d.parquet").mkdir()

    names = [Path(leaf.path).name for leaf in local_catalogue(tmp_path).leaves("year1", 17)]

    assert names == ["a.snappy.parquet", "b.parquet"]


@pytest.mark.parametrize("present", [["year1"], ["year1", "year2", "year3"]])
def test_years_may_be_missing(tmp_path: Path, present: list[str]) -> None:
    """The newest is announced before it is there."""
    local_catalogue(tmp_path, *present)

    open_catalogue(CatalogueAccess(str(tmp_path)), ["year1", "year2"]).check()


@pytest.mark.parametrize("root", ["s3://", "s3://UPPER/x", "s3://a_b/c"])
def test_a_root_that_cannot_be_is_refused(root: str) -> None:
    """Before anything is asked of anybody."""
    with pytest.raises(UsageError, match="--catalogue: "):
        open_catalogue(CatalogueAccess(root), ["year1"])


SAID = [
    (OSError(5, "Input/output error"), EndpointRefused),
    (PermissionError(13, "Permission denied"), EndpointRefused),
    (OSError("When reading: AWS Error ACCESS_DENIED during GetObject operation"), EndpointRefused),
    (OSError("AWS Error NETWORK_CONNECTION: curlCode: 7"), EndpointRefused),
    (OSError("Corrupt snappy compressed data."), UsageError),
    (pa.ArrowInvalid("Parquet magic bytes not found in footer"), UsageError),
]


@pytest.mark.parametrize(("raised", "kind"), SAID, ids=[str(raised) for raised, _ in SAID])
def test_what_is_the_store_s_fault_is_told_from_what_is_the_file_s(
    tmp_path: Path, raised: Exception, kind: type[SuiteError]
) -> None:
    """The one is tried again for ever, the other needs a person."""

    def fail() -> None:
        with Catalogue._translated(local_catalogue(tmp_path), "x/part0.parquet"):
            raise raised

    with pytest.raises(kind, match=r"x/part0\.parquet"):
        fail()
