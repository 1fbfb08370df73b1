"""Tables of which raw tiles each scene was made of, to the byte."""

import pytest

from pipelines.glacier.step.sentinel2.lineage import combined_text, parse_row, row_text

EARLY, LATE = "S2B_MSIL2A_20240801T143749_N0511_R039", "S2A_MSIL2A_20240802T143749_N0511_R039"


def test_own_table_is_one_line_without_an_end() -> None:
    """Later steps read it so."""
    assert row_text(EARLY, ["a_B08.tif", "b_B08.tif"]) == f"{EARLY},a_B08.tif,b_B08.tif"


def test_region_table_has_numbers_above_and_rows_of_one_length_in_time_order() -> None:
    """Readers of tables refuse rows that are longer than the header."""
    text = combined_text([(LATE, "c"), (EARLY, "a", "b")])

    assert text == f"0,1,2\n{EARLY},a,b\n{LATE},c,\n"


def test_no_rows_make_no_table() -> None:
    """An empty file would be taken for one that was cut off."""
    assert combined_text([]) == ""


def test_row_survives_being_written_and_read() -> None:
    """The region's table is made of what was read back."""
    assert parse_row(row_text(EARLY, ["a", "b"])) == (EARLY, "a", "b")
    assert parse_row(row_text(EARLY, ["a"]) + "\n") == (EARLY, "a")


@pytest.mark.parametrize("text", ["", "\n", ",a", "a,b\nc,d", 'a,"b', "a\0b", "," * 2000])
def test_what_is_no_row_is_left_out(text: str) -> None:
    """The tables come back from a bucket that others can write into."""
    assert parse_row(text) is None
