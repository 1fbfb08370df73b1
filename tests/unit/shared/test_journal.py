import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.journal import Journal, encode_entry, field_name, message_id, stderr_is_journal


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen as journald does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "socket"))
        receiver.settimeout(5)
        yield receiver


@pytest.fixture
def journal(journald: socket.socket) -> Iterator[Journal]:
    """Send to that journald."""
    sender = Journal(journald.getsockname())
    yield sender
    sender.close()


def decode_entry(data: bytes) -> dict[str, str]:
    """Read the native format as journald does."""
    fields: dict[str, str] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack("<Q", rest[:8])[0]
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


@given(st.dictionaries(st.from_regex("[A-Z]{1,9}", fullmatch=True), st.text()))
def test_no_value_can_forge_a_field(fields: dict[str, str]) -> None:
    """A file name with a newline and `PRIORITY=0` must not become an emergency."""
    decoded = decode_entry(encode_entry(fields))

    assert set(decoded) == set(fields)
    for name, value in fields.items():
        assert decoded[name] == value.encode("utf-8", "backslashreplace").decode()


@given(st.text())
def test_every_name_becomes_one_that_journald_takes(name: str) -> None:
    """Journald drops an entry's field without a word when its name is not to its liking."""
    fit = field_name(name)

    assert fit.isascii()
    assert fit[0].isalpha()
    assert fit == fit.upper()
    assert len(fit) <= 64
    assert fit not in {"MESSAGE", "PRIORITY", "MESSAGE_ID", "SYSLOG_IDENTIFIER"}


def test_an_event_keeps_its_message_id() -> None:
    """Catalogues and saved searches name the id; it must be the same on every machine."""
    assert message_id("pass_finished") == message_id("pass_finished")
    assert message_id("pass_finished") != message_id("pass_failed")
    assert message_id("pass_finished") == "140db087124a5b7b879269c83c6d0ced"


def test_an_entry_is_one_datagram(journald: socket.socket, journal: Journal) -> None:
    """Fields of two entries cannot mix."""
    assert journal.send({"MESSAGE": "a\nb", "CID": "02104"})

    assert decode_entry(journald.recv(4096)) == {"MESSAGE": "a\nb", "CID": "02104"}


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has memory files")
def test_a_large_entry_goes_as_a_sealed_file(journald: socket.socket, journal: Journal) -> None:
    """The log tail of a failed job is larger than any datagram may be."""
    text = "x" * 4_000_000

    assert journal.send({"MESSAGE": text})

    data, descriptors, _flags, _address = socket.recv_fds(journald, 16, 1)
    with os.fdopen(descriptors[0], "r+b") as file:
        assert not data
        file.seek(0)
        assert decode_entry(file.read()) == {"MESSAGE": text}
        with pytest.raises(PermissionError):
            os.ftruncate(file.fileno(), 0)


def test_a_missing_journal_is_said_not_raised(tmp_path: Path) -> None:
    """The caller writes to stderr then."""
    journal = Journal(str(tmp_path / "nothing"))

    assert not journal.send({"MESSAGE": "a"})


def test_stderr_is_the_journal_only_when_it_is_that_very_stream(tmp_path: Path) -> None:
    """A child with a redirected stderr inherits the variable, but not the stream."""
    with (tmp_path / "stream").open("wb") as stream:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

        assert stderr_is_journal(environ, stream.fileno())
        assert not stderr_is_journal({"JOURNAL_STREAM": "1:2"}, stream.fileno())
        assert not stderr_is_journal({}, stream.fileno())
        assert not stderr_is_journal(environ, 10_000)
