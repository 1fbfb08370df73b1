"""What is known of files: it saves reading, and may be lost at any time."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.ingester.syncing.entries import LocalEntry
from daemons.ingester.syncing.proofs import Proofs
from shared.fswatch.stability import FileIdentity


def entry(path: str = "audio/p/é.mp3") -> LocalEntry:
    """Make a file whose inode has 64 bits."""
    return LocalEntry(path, path, FileIdentity(1, 2**64 - 1, 7, -1), 9)


def test_what_is_remembered_outlives_the_process(tmp_path: Path) -> None:
    """Else every night would read the whole archive."""
    with Proofs(tmp_path / "proofs.sqlite") as proofs:
        proofs.remember([(entry("a"), "one"), (entry("c"), "three")])
        proofs.remember([(entry("a"), "two")])

    with Proofs(tmp_path / "proofs.sqlite") as proofs:
        assert proofs.recall([entry("a"), entry("b"), entry("c")]) == {"a": "two", "c": "three"}
        assert proofs.recall([]) == {}


@pytest.mark.parametrize(
    "changed",
    [
        replace(entry(), identity=replace(entry().identity, size=8)),
        replace(entry(), identity=replace(entry().identity, mtime_ns=0)),
        replace(entry(), identity=replace(entry().identity, inode=3)),
        replace(entry(), changed_ns=10),
    ],
    ids=["size", "mtime", "inode", "change time"],
)
def test_a_file_that_differs_in_anything_is_not_known(tmp_path: Path, changed: LocalEntry) -> None:
    """An editor may keep size and time; nobody can put the change time back."""
    with Proofs(tmp_path / "proofs.sqlite") as proofs:
        proofs.remember([(entry(), "etag")])

        assert proofs.recall([changed]) == {}
        assert proofs.recall([entry()]) == {entry().path: "etag"}


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_broken_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    """It only saves work, so it must never stop a site."""
    (tmp_path / "proofs.sqlite").write_bytes(content)

    with Proofs(tmp_path / "proofs.sqlite") as proofs:
        assert proofs.recall([entry()]) == {}
        proofs.remember([(entry(), "etag")])
        assert proofs.recall([entry()]) == {entry().path: "etag"}


def test_a_later_format_is_not_taken_for_ours(tmp_path: Path) -> None:
    """An older program after a newer one reads again what it cannot understand."""
    database = sqlite3.connect(tmp_path / "proofs.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()

    with Proofs(tmp_path / "proofs.sqlite") as proofs:
        proofs.remember([(entry(), "etag")])
        assert proofs.recall([entry()]) == {entry().path: "etag"}


def test_without_a_place_to_write_it_goes_on_without(tmp_path: Path) -> None:
    """A full or read-only state folder costs reading."""
    with Proofs(tmp_path / "missing" / "proofs.sqlite") as proofs:
        proofs.remember([(entry(), "etag")])
        assert proofs.recall([entry()]) == {}


@pytest.mark.parametrize("content", [None, b"no database at all" * 100, b""])
def test_read_only_it_leaves_what_it_cannot_use(tmp_path: Path, content: bytes | None) -> None:
    """A plan changes nothing, and asks for no more than to read."""
    path = tmp_path / "proofs.sqlite"
    if content is not None:
        path.write_bytes(content)

    with Proofs(path, read_only=True) as proofs:
        proofs.remember([(entry(), "etag")])
        assert proofs.recall([entry()]) == {}

    assert [each.read_bytes() for each in tmp_path.iterdir()] == (
        [content] if path.exists() else []
    )
    assert path.exists() == (content is not None)


def test_read_only_it_recalls_and_writes_not_even_beside_it(tmp_path: Path) -> None:
    """Else the plan for a large archive would read it all again; SQLite likes to lay files down."""
    path = tmp_path / "a ?#%" / "proofs.sqlite"
    path.parent.mkdir()
    with Proofs(path) as proofs:
        proofs.remember([(entry(), "etag")])
    before = path.stat().st_ctime_ns

    with Proofs(path, read_only=True) as proofs:
        proofs.remember([(entry("other"), "etag")])
        assert proofs.recall([entry(), entry("other")]) == {entry().path: "etag"}
        assert list(path.parent.iterdir()) == [path]

    assert path.stat().st_ctime_ns == before


def test_read_only_a_file_that_is_written_to_is_not_read(tmp_path: Path) -> None:
    """Half of what it knows is in a log beside it, which cannot be read without a trace."""
    path = tmp_path / "proofs.sqlite"
    with Proofs(path) as writing:
        writing.remember([(entry(), "old")])
    with Proofs(path) as writing:
        writing.remember([(entry(), "etag")])
        before = {each.name for each in tmp_path.iterdir()}

        with Proofs(path, read_only=True) as proofs:
            assert proofs.recall([entry()]) == {}

        assert {each.name for each in tmp_path.iterdir()} == before
        assert writing.recall([entry()]) == {entry().path: "etag"}
