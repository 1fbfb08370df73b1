from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.effects import (
    Contents,
    Digest,
    Remote,
    Written,
    check_effects,
    digest_of,
    remote_of,
)
from tests.support.raw_http import RawClient
from tests.support.strict_s3.server import BUCKET, StrictS3

OLD, NEW = b"old", b"new"


def is_hidden(path: Path) -> bool:
    """Know the entries that a daemon renames out of the way."""
    return path.name.startswith(".towpath-")


def laid_out(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write a tree."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.mark.parametrize(
    ("produced", "objects", "disk"),
    [
        pytest.param({"d/a": [OLD, NEW]}, {"d/a": NEW}, {}, id="in-s3"),
        pytest.param({"d/a": [OLD, NEW]}, {"d/a": OLD}, {"d/a": NEW}, id="still-on-disk"),
        pytest.param({"d/a": [NEW]}, {}, {"d/.towpath-a": NEW}, id="hidden-beside"),
        pytest.param({"d/a": [NEW]}, {"d/a": NEW}, {"d/a": NEW}, id="on-both-sides"),
        pytest.param({}, {}, {}, id="nothing"),
    ],
)
def test_good_effects_pass(
    tmp_path: Path,
    produced: Mapping[str, Contents],
    objects: Mapping[str, bytes],
    disk: Mapping[str, bytes],
) -> None:
    """Every state that a crash may leave behind without loss is allowed."""
    root = laid_out(tmp_path, disk)

    check_effects(produced, Remote(objects), root, is_hidden=is_hidden)


@pytest.mark.parametrize(
    ("produced", "objects", "disk", "message"),
    [
        pytest.param({"a": [OLD, NEW]}, {"a": OLD}, {}, "lost: 'a'", id="newest-lost"),
        pytest.param({"a": [NEW]}, {}, {"a": NEW[:2]}, "lost: 'a'", id="truncated-on-disk"),
        pytest.param({"d/a": [NEW]}, {}, {".towpath-a": NEW}, "lost: 'd/a'", id="hidden-elsewhere"),
        pytest.param({"a": [NEW]}, {"a": NEW, "b": OLD}, {}, "never produced: 'b'", id="strange"),
        pytest.param({"a": [NEW]}, {"a": b"ne"}, {"a": NEW}, "never produced: 'a'", id="partial"),
    ],
)
def test_bad_effects_are_named(
    tmp_path: Path,
    produced: Mapping[str, Contents],
    objects: Mapping[str, bytes],
    disk: Mapping[str, bytes],
    message: str,
) -> None:
    """A check that cannot fail proves nothing."""
    root = laid_out(tmp_path, disk)

    with pytest.raises(AssertionError, match=message):
        check_effects(produced, Remote(objects), root, is_hidden=is_hidden)


@pytest.mark.parametrize(
    ("series", "writes", "fault"),
    [
        pytest.param([NEW], [NEW], None, id="once"),
        pytest.param([OLD, NEW], [OLD, NEW], None, id="each-once"),
        pytest.param([NEW, OLD, NEW], [NEW, OLD, NEW], None, id="produced-twice"),
        pytest.param([NEW], [NEW, NEW], "repeated: 'a'", id="twice"),
        pytest.param([NEW], [OLD, NEW], "never produced: 'a'", id="was-never-there"),
    ],
)
def test_writes_are_counted(
    tmp_path: Path, series: list[bytes], writes: list[bytes], fault: str | None
) -> None:
    """One content is sent once, however often the daemon was killed."""
    remote = Remote({"a": series[-1]}, [Written("a", digest_of(body)) for body in writes])

    if fault is None:
        check_effects({"a": series}, remote, tmp_path)
    else:
        with pytest.raises(AssertionError, match=fault):
            check_effects({"a": series}, remote, tmp_path)


def test_long_reports_are_cut(tmp_path: Path) -> None:
    """A thousand lost files fit on a screen."""
    produced = {f"k{number}": [NEW] for number in range(1000)}

    with pytest.raises(AssertionError, match=r"1000 broken effects(.|\n)*and 980 more"):
        check_effects(produced, Remote({}), tmp_path)


def test_strict_s3_is_checked_by_its_history(
    strict_s3: StrictS3, raw: RawClient, tmp_path: Path
) -> None:
    """An object that was removed again counts as written, and as not there."""
    raw.put(BUCKET, "a", NEW)
    raw.put(BUCKET, "b", OLD)
    raw.call("DELETE", f"/{BUCKET}/b")
    remote = remote_of(strict_s3, BUCKET)

    check_effects({"a": [NEW]} | {"b": [OLD]}, remote, laid_out(tmp_path, {"b": OLD}))
    with pytest.raises(AssertionError, match="lost: 'b'"):
        check_effects({"a": [NEW], "b": [OLD]}, remote, tmp_path / "gone")
    assert remote.objects == {"a": Digest(3, digest_of(NEW).sha256)}
    assert len(remote.writes) == 2
