from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons.watcher.outputs import BadOutput, open_outputs
from shared.handshake.layout import closest_name, quality_name
from shared.s3.pinned import crc64nvme
from shared.s3.wire import encode_crc
from tests.support.watching import result

CID = "02104"
TABLE, QUALITY = closest_name(CID), quality_name(CID)
LIMIT = 100_000


def lay(folder: Path, **contents: bytes | None) -> None:
    """Write a good result, with other contents for the table, the qc.txt or more files."""
    files = dict(result(CID, 3))
    names = {"table": TABLE, "quality": QUALITY}
    for key, body in contents.items():
        name = names.get(key, key.replace("_dot_", "."))
        files.pop(name, None)
        if body is not None:
            files[name] = body
    for name, body in files.items():
        (folder / name).write_bytes(body)


def test_a_good_result_goes_quality_first_and_table_last(tmp_path: Path) -> None:
    """Whoever sees the table can rely on all the rest."""
    lay(tmp_path, b_dot_txt=b"two", a_dot_txt=b"one")

    with ExitStack() as stack:
        outputs = open_outputs(tmp_path, CID, limit=LIMIT, stack=stack)

    assert [output.file.name for output in outputs.files] == [QUALITY, "a.txt", "b.txt", TABLE]
    body = result(CID, 3)[TABLE]
    assert outputs.files[-1].file.crc64nvme == encode_crc(crc64nvme(body))
    assert outputs.rows == 3


def test_no_match_is_a_result(tmp_path: Path) -> None:
    """A chunk beyond the catalogue's depth has an empty table, and is done."""
    lay(tmp_path, table=b"row_id,ra\n", quality=b"rows=0\ncolumns=row_id,ra\n")

    with ExitStack() as stack:
        assert open_outputs(tmp_path, CID, limit=LIMIT, stack=stack).rows == 0


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"table": None}, "was not written"),
        ({"quality": None}, "was not written"),
        ({"table": b""}, "not even a header"),
        ({"table": b"\n"}, "not even a header"),
        ({"table": b"a,b\n1,2\n"}, "there must be a 'row_id'"),
        ({"table": b"row_id,b\n1,2\n3\n4,5\n"}, "line 3: 1 cells where the header has 2"),
        ({"table": b"row_id,b\n1,2\n"}, "says rows=3"),
        ({"table": b"row_id,b\n1,\xff\n"}, "no table"),
        ({"table": b'row_id,b\n1,"2\n'}, "no table"),
        ({"table": b"a" * 70_000}, "more than 65536 bytes"),
        ({"table": b"a,b\n" * 40_000}, "allowed are 100000"),
        ({"quality": b""}, "rows='' is no number"),
        ({"quality": b"rows=3\nrows=4\n"}, "says 'rows' twice"),
        ({"quality": b"rows=-3\n"}, "rows='-3' is no number"),
        ({"quality": b"rows=3" + b" " * 70_000}, "allowed are 65536"),
        ({f"f{number}": b"" for number in range(100)}, "more than 100 files"),
    ],
)
def test_what_is_no_result_is_not_pushed(
    tmp_path: Path, contents: dict[str, bytes | None], said: str
) -> None:
    """A step that failed and said nothing of it was the costliest defect of the scripts."""
    lay(tmp_path, **contents)

    with ExitStack() as stack, pytest.raises(BadOutput, match=said):
        open_outputs(tmp_path, CID, limit=LIMIT, stack=stack)


def test_links_and_odd_names_are_left(tmp_path: Path) -> None:
    """Nothing outside the folder is pushed, under no name."""
    folder = tmp_path / "out"
    folder.mkdir()
    lay(folder)
    (tmp_path / "secret").write_text("of somebody else")
    (folder / "link.txt").symlink_to(tmp_path / "secret")
    (folder / ".hidden").write_text("")
    (folder / "deep").mkdir()
    (folder / "new\nline").write_text("")

    with ExitStack() as stack:
        outputs = open_outputs(folder, CID, limit=LIMIT, stack=stack)

    assert [output.file.name for output in outputs.files] == [QUALITY, TABLE]
    assert outputs.left == (".hidden", "deep", "link.txt", "new\nline")


def test_a_table_that_is_a_link_is_no_result(tmp_path: Path) -> None:
    """A step could otherwise publish any file that it may read."""
    lay(tmp_path)
    (tmp_path / "real").write_bytes((tmp_path / TABLE).read_bytes())
    (tmp_path / TABLE).unlink()
    (tmp_path / TABLE).symlink_to(tmp_path / "real")

    with ExitStack() as stack, pytest.raises(BadOutput, match="cannot be read"):
        open_outputs(tmp_path, CID, limit=LIMIT, stack=stack)
