import base64
import hashlib
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.s3 import pinned as pins
from shared.s3.pinned import (
    PinBroken,
    check_pin,
    checksum_of,
    crc64nvme,
    identity_of,
    joined_crc,
    open_folder,
    open_pinned,
    read_into,
    read_whole,
)
from shared.s3.store import PinnedFile

CONTENT = bytes(range(256)) * 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a file of three thousand bytes."""
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture
def pinned(path: Path) -> Iterator[PinnedFile]:
    """Pin it."""
    source = open_pinned(str(path))
    yield source
    os.close(source.descriptor)


def whole(source: PinnedFile) -> bytes:
    """Read all of it."""
    return bytes(read_whole(source, bytearray(source.identity.size)).body)


def descriptors() -> int:
    """Count what this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_pin_knows_which_file_it_is(path: Path, pinned: PinnedFile) -> None:
    """Device, inode, size and time: what a later look is compared with."""
    assert pinned.identity == identity_of(path.stat())
    assert pinned.identity.size == len(CONTENT)


def test_whole_file_is_read_with_its_checksum(pinned: PinnedFile) -> None:
    """The checksum is that of the very bytes that are sent."""
    piece = read_whole(pinned, bytearray(len(CONTENT)))

    assert piece.body == CONTENT
    assert piece.crc == crc64nvme(CONTENT)


def test_file_that_lost_its_path_breaks_the_pin(path: Path, pinned: PinnedFile) -> None:
    """The descriptor still reads it, but what the path names now is the content to send."""
    path.unlink()
    path.write_bytes(b"another")

    with pytest.raises(PinBroken):
        whole(pinned)


def test_rewriting_with_the_old_times_breaks_the_pin(path: Path, pinned: PinnedFile) -> None:
    """Size and modification time can be put back, the change time cannot."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(CONTENT[::-1])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(PinBroken):
        check_pin(pinned)


@pytest.mark.parametrize("change", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT[::-1]])
def test_changed_file_breaks_the_pin(path: Path, pinned: PinnedFile, change: bytes) -> None:
    """Cut, shortened, grown or rewritten: what was read is no state of the file."""
    path.write_bytes(change)

    with pytest.raises(PinBroken):
        whole(pinned)
    with pytest.raises(PinBroken):
        check_pin(pinned)
    with pytest.raises(PinBroken):
        checksum_of(pinned, "md5")


def test_reads_never_pass_the_size_first_seen(path: Path, pinned: PinnedFile) -> None:
    """A file that grows is not followed: the parts were counted from its first size."""
    with path.open("ab") as file:
        file.write(b"more")

    assert bytes(read_into(pinned, bytearray(16), len(CONTENT) - 16).body) == CONTENT[-16:]


def test_part_beyond_a_cut_breaks_the_pin(path: Path, pinned: PinnedFile) -> None:
    """A short part must never be sent as a whole one."""
    os.truncate(path, 100)

    with pytest.raises(PinBroken, match="ends at byte 100"):
        read_into(pinned, bytearray(100), 50)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_only_regular_files_are_pinned(tmp_path: Path, kind: str) -> None:
    """Opening a pipe must not wait for a writer, either."""
    target = tmp_path / kind
    if kind == "folder":
        target.mkdir()
    else:
        os.mkfifo(target)
    before = descriptors()

    with pytest.raises(PinBroken):
        open_pinned(str(target))

    assert descriptors() == before


def test_links_and_sockets_are_not_opened(tmp_path: Path, path: Path) -> None:
    """A link may lead anywhere on the machine."""
    link = tmp_path / "link"
    link.symlink_to(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))

        for target in (link, tmp_path / "socket", tmp_path / "missing"):
            with pytest.raises(OSError, match=r"."):
                open_pinned(str(target))


def test_file_is_found_from_its_open_folder(path: Path) -> None:
    """The folder may be renamed meanwhile; names are bytes or text."""
    folder = open_folder(path.parent.parent, [path.parent.name])
    path.parent.rename(path.parent.with_name("renamed"))
    try:
        for name in ("a.bin", b"a.bin"):
            source = open_pinned(name, directory=folder)
            assert whole(source) == CONTENT
            os.close(source.descriptor)
    finally:
        os.close(folder)


def test_no_part_of_the_way_may_be_a_link(tmp_path: Path) -> None:
    """Nothing outside the root is ever read; the root itself is the user's own word."""
    real = tmp_path / "real"
    (real / "inner").mkdir(parents=True)
    (tmp_path / "root").symlink_to(real)
    (real / "link").symlink_to(real / "inner")
    (real / "file").write_bytes(b"")
    before = descriptors()

    os.close(open_folder(tmp_path / "root", ["inner"]))
    for parts in (["link"], ["file"], ["missing"], ["inner", "missing"]):
        with pytest.raises(OSError, match=r"."):
            open_folder(tmp_path / "root", parts)

    assert descriptors() == before


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 1024 * 1024 + 1, 2 * 1024 * 1024 + 7])
def test_checksums_are_those_of_s3(tmp_path: Path, size: int) -> None:
    """Compared with other implementations, around the size of a piece."""
    content = os.urandom(size)
    path = tmp_path / "b"
    path.write_bytes(content)
    source = open_pinned(str(path))
    expected = {
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "sha1": b64(hashlib.sha1(content, usedforsecurity=False).digest()),
        "sha256": b64(hashlib.sha256(content).digest()),
        "crc32": b64(zlib.crc32(content).to_bytes(4, "big")),
        "crc64nvme": b64(crc64nvme(content).to_bytes(8, "big")),
    }
    try:
        assert {kind: checksum_of(source, kind) for kind in expected} == expected
    finally:
        os.close(source.descriptor)


def test_crc32c_check_value(tmp_path: Path) -> None:
    """The check value of RFC 3720's CRC."""
    path = tmp_path / "b"
    path.write_bytes(b"123456789")
    source = open_pinned(str(path))
    try:
        assert checksum_of(source, "crc32c") == b64(0xE3069283.to_bytes(4, "big"))
    finally:
        os.close(source.descriptor)


def b64(raw: bytes) -> str:
    """Write a checksum as S3 does."""
    return base64.b64encode(raw).decode()


def test_crc64_check_value() -> None:
    """The check value that the NVM Express specification gives."""
    assert crc64nvme(b"123456789") == 0xAE8B14860A799888


@given(st.binary(), st.binary())
def test_checksums_of_pieces_join(first: bytes, second: bytes) -> None:
    """The checksum of an object in parts is made of those of its parts."""
    joined = joined_crc(crc64nvme(first), crc64nvme(second), len(second))

    assert joined == crc64nvme(first + second)


def test_pinned_file_is_closed_after_the_block(tmp_path: Path) -> None:
    """A leaked descriptor a file ends a daemon within days."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    seen: list[PinnedFile] = []

    def read_and_fail() -> None:
        with pins.pinned(str(path)) as source:
            seen.append(source)
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block"):
        read_and_fail()
    [source] = seen
    assert source.identity.size == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(source.descriptor)
