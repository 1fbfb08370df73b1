import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.neowise.chunk_csv import BadChunk, ChunkRow, parse_chunk


def _only(text: str) -> ChunkRow:
    (row,) = parse_chunk(text.encode())
    return row


@pytest.mark.parametrize(
    "header",
    [
        "in_ra,in_dec",
        "opt_ra_deg,opt_dec_deg",
        "ra_deg,dec_deg",
        "ALPHA_J2000,DELTA_J2000",
        "ALPHAWIN_J2000,DELTAWIN_J2000",
        "X_WORLD,Y_WORLD",
        "ra,dec",
        "x,dec,in_dec,ra,in_ra",
    ],
)
def test_the_first_pair_of_position_columns_wins(header: str) -> None:
    """Catalogues of many makers come in; the last one has two pairs."""
    values = {"in_ra": "10.5", "in_dec": "-20", "ra": "1", "dec": "1"}
    names = header.split(",")
    pair = [values.get(name, text) for name, text in zip(names, ["10.5", "-20"] * 3, strict=False)]
    if header == "ra,dec":
        pair = ["10.5", "-20"]

    row = _only(f"{header}\n{','.join(pair)}\n")

    assert (row.ra_deg, row.dec_deg) == (10.5, -20.0)


@pytest.mark.parametrize(
    ("header", "values", "identifier"),
    [
        ("row_id,source_id,tile_id,NUMBER", "r,s,t,n", "r"),
        ("source_id,tile_id,image_id,NUMBER", "s,t,i,n", "s"),
        ("tile_id,image_id,NUMBER", "t,i,n", "t#n"),
        ("image_id,NUMBER", "i,n", "i#n"),
        ("NUMBER,tile", "n,t", "n"),
        ("tile_id,other", "t,o", "1"),
        ("row_id,other", "12345678901234567,o", "12345678901234567"),
    ],
)
def test_identifiers_come_from_the_first_choice_present(
    header: str, values: str, identifier: str
) -> None:
    """The answer is joined by them."""
    row = _only(f"ra,dec,{header}\n1,2,{values}\n")

    assert (row.source_id, row.row_id) == (identifier, identifier)


BAD = [
    ("", "line 1: the file is empty"),
    ("\n\n", "line 1: the file is empty"),
    ("ra,dec\n", "line 1: there is a header and no position"),
    ("ra,decl\n1,2\n", "line 1: no pair of position columns; allowed are in_ra,in_dec"),
    ("ra,dec,ra\n1,2,3\n", "line 1, column 'ra': the header has it twice"),
    ("ra,dec\n1,2\nx,2\n", "line 3, column 'ra': 'x' is not a number"),
    ("ra,dec\n1,\n", "line 2, column 'dec': '' is not a number"),
    ("ra,dec\n1,nan\n", "line 2, column 'dec': 'nan' is not a number"),
    ("ra,dec\n1_0,2\n", "line 2, column 'ra': '1_0' is not a number"),
    ("ra,dec\n1e999,2\n", "line 2, column 'ra': '1e999' is not from 0 to 360"),
    ("ra,dec\n360.1,2\n", "line 2, column 'ra': '360.1' is not from 0 to 360"),
    ("ra,dec\n-0.1,2\n", "line 2, column 'ra': '-0.1' is not from 0 to 360"),
    ("ra,dec\n1,90.0001\n", "line 2, column 'dec': '90.0001' is not from -90 to 90"),
    ("ra,dec\n1,2\n3\n", "line 3: 1 fields where the header has 2; the file may be cut off"),
    ("ra,dec\n1,2,3\n", "line 2: 3 fields where the header has 2"),
    ("ra,dec\n1,2\n3,4", "line 3: the last line has no end, so the file may be cut off"),
    ('ra,dec\n1,"2\n', "line 2: "),
    ("ra,dec\n1,2\n\0,4\n", "line 3: there is a NUL"),
    ("row_id,ra,dec\na,1,2\nb,1,2\na,3,4\n", "line 4, column 'row_id': 'a' is on line 2 too"),
    ("row_id,ra,dec\n ,1,2\n", "line 2, column 'row_id': the identifier is empty"),
    ("tile_id,NUMBER,ra,dec\nt,,1,2\n", "line 2, column 'NUMBER': the identifier is empty"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[said for _, said in BAD])
def test_bad_input_is_named_by_line_and_column(text: str, said: str) -> None:
    """An astronomer has thousands of these files and mends the one that is wrong."""
    with pytest.raises(BadChunk) as caught:
        parse_chunk(text.encode())

    assert str(caught.value).startswith(said)


def test_bytes_that_are_no_text_are_named_by_line() -> None:
    """The same for a file in another encoding, or a compressed one."""
    with pytest.raises(BadChunk, match="line 2: byte 0xff is not UTF-8"):
        parse_chunk(b"ra,dec\n1,\xff\n")


def test_what_spreadsheets_do_to_a_file_is_taken() -> None:
    """A byte order mark, quotes, spaces, Windows line ends and blank lines change no position."""
    row = _only('\ufeffrow_id, ra ,dec\r\n\r\n"a,b", 1.5 ,"+2"\r\n')

    assert row == ChunkRow(1.5, 2.0, "a,b", "a,b")


def test_lines_are_counted_across_quoted_line_ends() -> None:
    """The line in the message is the one an editor shows."""
    with pytest.raises(BadChunk, match="line 4, column 'dec'"):
        parse_chunk(b'row_id,ra,dec\n"a\nb",1,2\nc,1,x\n')


@settings(deadline=None)
@given(st.integers(1, 40))
def test_a_file_cut_off_anywhere_is_no_chunk(cut: int) -> None:
    """Half a coordinate is another place in the sky."""
    whole = b"in_ra,in_dec\n150.12345,2.54321\n150.22345,2.64321\n"

    with pytest.raises(BadChunk):
        parse_chunk(whole[:-cut] if not whole[:-cut].endswith(b"1\n") else b"")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_comes_in_is_a_chunk_or_one_line(content: bytes) -> None:
    """Everything from outside is hostile."""
    said = ""
    try:
        rows = len(parse_chunk(b"ra,dec\n" + content))
    except BadChunk as error:
        rows, said = 0, str(error)

    assert bool(rows) != bool(said)
    assert "\n" not in said
