"""The manifest of a project: what it says, and that a wrong one is never believed."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.glacier.transfer import manifest as module
from pipelines.glacier.transfer.manifest import (
    BadManifest,
    Entry,
    Manifest,
    parse_manifest,
    project_digest,
)
from pipelines.glacier.transfer.names import name_fault, parents_of
from tests.support.soak import repetitions

_HASH = "a" * 64
_ENTRIES = st.builds(
    Entry, st.integers(0, 1000), st.text("0123456789abcdef", min_size=64, max_size=64)
)
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda name: not name_fault(name) and "/" not in name
)


def _document(**changes: object) -> bytes:
    document: dict[str, Any] = json.loads(Manifest({"config.ini": Entry(3, _HASH)}).to_bytes())
    return json.dumps(document | changes).encode()


def _files(**files: object) -> bytes:
    return _document(files={name.replace("__", "/"): each for name, each in files.items()})


@settings(max_examples=repetitions(20, 1000))
@given(st.dictionaries(_NAMES, _ENTRIES, min_size=1, max_size=5))
def test_what_is_written_is_read_again(files: dict[str, Entry]) -> None:
    """Whoever loads a project sees what whoever synced it saw."""
    manifest = Manifest(files, "2024-08-01T12:00:00Z")

    read = parse_manifest(manifest.to_bytes())

    assert read == manifest
    assert read.digests == manifest.digests


def test_the_digest_is_that_of_the_sorted_lines() -> None:
    """Anybody can compute it again with sort and sha256sum."""
    files = {"b.py": Entry(1, "2" * 64), "a c.py": Entry(1, "1" * 64), "a": Entry(1, "f" * 64)}
    lines = f"a c.py {'1' * 64}\na {'f' * 64}\nb.py {'2' * 64}\n"

    assert project_digest(files) == sha256(lines.encode()).hexdigest()


def test_the_digest_tells_names_and_contents_apart() -> None:
    """A stale project must be noticed whatever has changed in it."""
    one = {"a.py": Entry(1, "1" * 64)}
    renamed, changed = {"b.py": Entry(1, "1" * 64)}, {"a.py": Entry(1, "2" * 64)}

    assert len({project_digest(each) for each in (one, renamed, changed, {**one, **renamed})}) == 4


def test_the_document_says_what_others_look_for() -> None:
    """Its format is a promise."""
    content = Manifest({"config.ini": Entry(3, _HASH)}, "2024-08-01T12:00:00Z").to_bytes()

    assert json.loads(content) == {
        "schema": 1,
        "created_at": "2024-08-01T12:00:00Z",
        "project_digest": project_digest({"config.ini": Entry(3, _HASH)}),
        "config_sha256": _HASH,
        "files": {"config.ini": {"size": 3, "sha256": _HASH}},
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no manifest"),
        (b"[]", "no manifest"),
        (b"{}", "no manifest"),
        (b"\xff", "no manifest"),
        (b"[" * 100_000, "no manifest"),
        (_document(schema=2), "schema '2'"),
        (_document(project_digest="0" * 64), "digests"),
        (_document(config_sha256="0" * 64), "digests"),
        (_document(files={}), "1 to 10000"),
        (_document(files=[]), "1 to 10000"),
        (_files(a=1), "no manifest"),
        (_files(a={"size": 1}), "no manifest"),
        (_files(a={"size": -1, "sha256": _HASH}), "no size"),
        (_files(a={"size": True, "sha256": _HASH}), "no size"),
        (_files(a={"size": 1.5, "sha256": _HASH}), "no size"),
        (_files(a={"size": 1, "sha256": "A" * 64}), "no SHA-256"),
        (_files(a={"size": 1, "sha256": None}), "no SHA-256"),
        (_files(a={"size": 1 << 40, "sha256": _HASH}), "bytes"),
        (
            _files(a={"size": 1, "sha256": _HASH}, a__b={"size": 1, "sha256": _HASH}),
            "both as a file and as a folder",
        ),
        (_document(files={"../x": {"size": 1, "sha256": _HASH}}), "'..'"),
        (_document(files={"/etc/x": {"size": 1, "sha256": _HASH}}), "absolute"),
    ],
)
def test_a_wrong_manifest_is_refused(content: bytes, said: str) -> None:
    """It decides which code runs, and anybody who may write into the bucket can write it."""
    with pytest.raises(BadManifest, match=said):
        parse_manifest(content)


def test_more_files_than_a_project_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest must not fill a handler's disk with a million files."""
    monkeypatch.setattr(module, "FILES_MAX", 2)
    files = {f"f{number}": Entry(1, _HASH) for number in range(3)}

    with pytest.raises(BadManifest, match="1 to 2 files"):
        parse_manifest(Manifest(files).to_bytes())


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "C:/x",
        "c:x",
        "a\\b",
        "a\nb",
        "a\0b",
        "a\u2028b",
        "\x1b[31m",
        "a\udcff",
        "x" * 256,
        "/".join(["x" * 200] * 6),
    ],
)
def test_a_name_that_could_come_out_elsewhere_is_not_used(path: str) -> None:
    """Keys come from outside, and names of files from whoever unpacked something here."""
    assert name_fault(path)


def test_a_name_and_its_prefix_must_fit_into_a_key() -> None:
    """S3 takes 1024 bytes in all."""
    path = "/".join(["x" * 200] * 5)

    assert name_fault(path) == ""
    assert name_fault(path, "p" * 30)


def test_folders_of_a_path_come_outermost_first() -> None:
    """A file of that name would be in the way."""
    assert parents_of("a/b/c") == ["a", "a/b"]
    assert parents_of("a") == []
