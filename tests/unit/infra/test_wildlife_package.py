"""The functions' packages: what is in them, what is not, and that they change with it alone."""

import zipfile
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

from infra.wildlife_package import (
    STATES,
    TABLES,
    chosen_requirements,
    is_needed,
    own_metadata,
    source_files,
    suite_version,
    write_zip,
)
from pipelines.wildlife.states.index import FUNCTIONS

LOCKED = Path(__file__).resolve().parents[3] / "requirements" / "wildlife.txt"


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("pyarrow/parquet/core.py", True),
        ("pyarrow/libarrow.so.2600", True),
        ("pyarrow/libarrow_python.so.2600", True),
        ("pyarrow/libarrow_python.so", False),
        ("pyarrow/libarrow_python.so.2600.1.0", False),
        ("pyarrow/libarrow_flight.so.2600", False),
        ("pyarrow/_s3fs.cpython-312-x86_64-linux-gnu.so", False),
        ("pyarrow/_fs.cpython-312-x86_64-linux-gnu.so", True),
        ("pyarrow/include/arrow/api.h", False),
        ("pyarrow/tests/test_array.py", False),
        ("uvloop/includes/__init__.py", True),
        ("botocore/data/s3/2006-03-01/service-2.json.gz", True),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("botocore/data/endpoints.json", True),
        ("PIL/Image.py", True),
    ],
)
def test_what_no_function_uses_is_left_out(name: str, needed: bool) -> None:  # noqa: FBT001 - a table's row
    """Unpruned, the libraries are larger than what Lambda takes; too much pruned, none loads."""
    assert is_needed(name) is needed


def test_only_tables_are_written_with_parquet() -> None:
    """The largest library makes five functions slow to start for nothing."""
    text = LOCKED.read_text()
    names = {
        package: {
            line.partition("==")[0]
            for line in chosen_requirements(package, text).split("\n")
            if "==" in line
        }
        for package in (STATES, TABLES)
    }

    assert names[TABLES] - names[STATES] == {"pyarrow"}
    assert {"pillow", "pyyaml", "aiobotocore", "uvloop"} <= names[STATES]
    assert "openpyxl" not in names[TABLES]
    assert chosen_requirements(STATES, text).count("--hash") > 100, "each is named by its content"


def test_every_states_handler_is_in_it() -> None:
    """A function without its handler fails at its first call."""
    names = {name for name, _ in source_files()}

    assert "index.py" in names
    assert {f"pipelines/wildlife/handlers/{module}.py" for module in FUNCTIONS.values()} <= names
    assert "pipelines/wildlife/state_machine.asl.json" in names
    assert not any("__pycache__" in name or name.startswith("daemons") for name in names)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Else every deployment would replace every function."""
    one, two = tmp_path / "a.py", tmp_path / "b.so"
    one.write_text("a")
    two.write_text("b")

    write_zip(tmp_path / "first.zip", [("a.py", one), ("b.so", two)])
    one.touch()
    write_zip(tmp_path / "second.zip", [("b.so", two), ("a.py", one)])

    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert modes == {"a.py": 0o100644, "b.so": 0o100755}


def test_a_function_knows_its_version(tmp_path: Path) -> None:
    """Each weather service is told it, and the report has it; a function has no installation."""
    name, source = own_metadata(tmp_path)
    write_zip(tmp_path / "states.zip", [(name, source)])

    (found,) = distributions(name="towpath", path=[str(tmp_path / "states.zip")])

    assert found.version == suite_version() == version("towpath")
