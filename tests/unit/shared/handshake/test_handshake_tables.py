import pytest

from shared.handshake.tables import parse_quality


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"rows=3\ncolumns=a,b\n", 3),
        (b"rows = 0\r\n", 0),
        (b"columns=a\nrows=12", 12),
        (b"note\nrows=1\n", 1),
        (b"rows=1\nrows=1\n", 1),
    ],
)
def test_a_quality_text_says_its_rows(body: bytes, rows: int) -> None:
    """As both sides have written it."""
    assert parse_quality(body).rows == rows


@pytest.mark.parametrize(
    "body",
    [b"", b"columns=a", b"rows=-1", b"rows=1.5", b"rows=1\nrows=2\n", b"rows=" + b"9" * 99,
     b"rows=\xd9\xa1", b"x" * 70_000],
)  # fmt: skip
def test_a_quality_text_without_rows_is_refused(body: bytes) -> None:
    """It is the word for whether a table is whole."""
    with pytest.raises(ValueError, match=r"rows|bytes|twice"):
        parse_quality(body)
