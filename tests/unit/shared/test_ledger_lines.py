import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger_lines import LedgerLines, NotALedger

CID = re.compile(r"[0-9]{5}")
CIDS = st.integers(0, 30).map(lambda number: f"{number:05d}")


def read(content: bytes) -> LedgerLines:
    """Take in one content."""
    lines = LedgerLines(CID)
    lines.take(content)
    return lines


@pytest.mark.parametrize(
    ("content", "found", "ignored"),
    [
        (b"", [], []),
        (b"\n\n", [], []),
        (b"02104\n", ["02104"], []),
        (b"02104\n00001\n02104\n", ["02104", "00001"], []),
        (b"\r\n 02104 \r\n\t00001\r\n", ["02104", "00001"], []),
        (b"\xef\xbb\xbf02104\n", ["02104"], []),
        (b"\xef\xbb\xbf02104", ["02104"], []),
        (b"02104\n00001", ["02104", "00001"], []),
        (b"02104\n0000", ["02104"], [(2, "0000")]),
        (b"02104\n0000\0\0\0\0", ["02104"], [(2, "0000")]),
        (b"02104\n\0\0\0\0", ["02104"], []),
        (b"02104\0\0\0\0", ["02104"], []),
        (b"02104\n00\n00001\n", ["02104", "00001"], [(2, "00")]),
        (b"02104\nsee Ann\n00001\n", ["02104", "00001"], [(2, "see Ann")]),
        (b"021", [], [(1, "021")]),
        (b"021\n0\n02\n", [], [(1, "021"), (2, "0"), (3, "02")]),
    ],
)
def test_what_counts(content: bytes, found: list[str], ignored: list[tuple[int, str]]) -> None:
    """People, editors, scripts and crashes all leave their marks on a ledger."""
    lines = read(content)

    assert lines.identifiers() == set(found)
    assert len(lines) == len(set(found))
    assert all(identifier in lines for identifier in found)
    assert "" not in lines
    assert list(lines.ignored()) == ignored


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"cid": "02104"}\n',
        b"row_id,in_ra,in_dec\n1,10.5,20.5\n",
        b"1\n2\n3\n4\n",  # a ledger without leading zeros, longer than crashes explain
        b"02104\nx\ny\n",
        b"02104 00001 00002\n",
        b"\xff\xfe0\x002\x001\x000\x004\x00\n\x00",
        b"02104\n\xff\n",
        b"02104\n\xff",
    ],
)
def test_another_kind_of_file_is_no_empty_ledger(content: bytes) -> None:
    """Taken for empty, everything would be sent again."""
    with pytest.raises(NotALedger):
        read(content)


def test_a_large_wrong_file_is_refused_quickly_with_one_line() -> None:
    """The message shows a piece, not a gigabyte."""
    with pytest.raises(NotALedger) as caught:
        read(b"x" * 1000 + b"\n" + b"7\n" * 200_000)

    assert len(str(caught.value)) < 300
    assert "200001 of 200001" not in str(caught.value)
    assert "line 1 is 'xxxx" in str(caught.value)


@given(st.lists(CIDS), st.data())
def test_growth_in_pieces_is_the_same_as_all_at_once(cids: list[str], data: st.DataObject) -> None:
    """A refresh in the middle of somebody's write must neither lose nor invent anything."""
    content = "".join(f"{cid}\n" for cid in cids).encode()
    lines = LedgerLines(CID)
    size = 0
    while size < len(content):
        size = data.draw(st.integers(size + 1, len(content)))
        assert lines.continues(content)
        lines.take(content[:size])
        whole = set(cids[: size // 6])
        assert lines.identifiers() == whole | ({cids[size // 6]} if size % 6 == 5 else set())

    assert lines.identifiers() == set(cids)
    assert lines.identifiers() == read(content).identifiers()


@given(st.binary(max_size=40), st.binary(max_size=40), st.lists(CIDS, max_size=3))
def test_own_lines_count_as_if_they_had_been_read(
    before: bytes, after: bytes, cids: list[str]
) -> None:
    """What memory says after an append is what the file says."""
    lines = LedgerLines(CID)
    content = before
    try:
        lines.take(content)
    except NotALedger:
        return
    for cid in cids:
        data = lines.encoded(cid)
        lines.take_own(data)
        content += data

    try:
        again = read(content)
    except NotALedger:
        return
    assert lines.identifiers() == again.identifiers()
    assert lines.ignored() == again.ignored()
    assert lines.continues(content + after)
    if content:
        assert not lines.continues(content[:-1])
        assert not lines.continues(bytes([content[0] ^ 1]) + content[1:])
