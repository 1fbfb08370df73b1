from pathlib import Path

import pytest

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.archive.manifest import parse_manifest
from daemons.ingester.mirror import manifest_file
from daemons.ingester.mirror.files import read_site_file, write_site_file
from daemons.ingester.mirror.manifest_file import (
    ManifestTooLarge,
    has_manifest,
    load_manifest,
    save_manifest,
)
from daemons.ingester.syncing.manifests import ManifestUnreadable
from shared.files import OutsideRoot
from tests.support.syncing import SyncGround, episode, manifest_bytes

BODY = manifest_bytes([episode(1), episode(2)])


@pytest.fixture
def ground(tmp_path: Path) -> SyncGround:
    """A site with nothing in it."""
    return SyncGround(tmp_path)


@pytest.mark.parametrize("is_empty", [True, False])
def test_site_whose_archive_begins_has_an_empty_one(ground: SyncGround, is_empty: bool) -> None:  # noqa: FBT001 - a row
    """A file of no bytes counts as absent, as everywhere."""
    if is_empty:
        ground.file(MANIFEST_PATH, b"")

    assert load_manifest(ground.place).header is None
    assert not has_manifest(ground.place)


def test_what_was_saved_is_read_again(ground: SyncGround) -> None:
    """Byte by byte, by way of the work folder, with nothing left behind."""
    save_manifest(ground.place, parse_manifest(BODY))

    assert ground.files() == {MANIFEST_PATH: BODY}
    assert has_manifest(ground.place)
    assert load_manifest(ground.place).to_bytes() == BODY
    assert list(ground.place.work.iterdir()) == []


@pytest.mark.parametrize("kind", ["broken", "folder", "link", "link to nothing"])
def test_unreadable_one_is_an_error_and_never_an_empty_one(
    ground: SyncGround, tmp_path: Path, kind: str
) -> None:
    """An empty manifest in its place would have the whole archive made again."""
    target = ground.file(MANIFEST_PATH, b"{")
    if kind != "broken":
        target.unlink()
    if kind == "folder":
        target.mkdir()
    if kind.startswith("link"):
        (tmp_path / "other.json").write_bytes(BODY)
        target.symlink_to(tmp_path / ("other.json" if kind == "link" else "nothing"))

    with pytest.raises(ManifestUnreadable, match=r"cannot be used: .*; mend it"):
        load_manifest(ground.place)
    assert has_manifest(ground.place)


def test_one_that_nobody_could_read_again_is_not_written(
    ground: SyncGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would block the site from the next run on."""
    save_manifest(ground.place, parse_manifest(BODY))
    monkeypatch.setattr(manifest_file, "MANIFEST_BYTES_MAX", len(BODY) - 1)

    with pytest.raises(ManifestTooLarge, match="'hardfork' would have"):
        save_manifest(ground.place, parse_manifest(BODY))

    assert ground.files() == {MANIFEST_PATH: BODY}


def test_file_that_could_not_be_finished_leaves_the_old_one(ground: SyncGround) -> None:
    """Whatever happens before the rename, nothing of it is seen."""
    ground.file("rss/a.xml", b"old")

    def full(_name: str) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_site_file(ground.place, "rss/a.xml", b"new", full)

    assert ground.files() == {"rss/a.xml": b"old"}
    assert list(ground.place.work.iterdir()) == []


@pytest.mark.parametrize("path", ["../a.xml", "/etc/passwd", "rss/../../a", "rss/link.xml"])
def test_nothing_outside_the_site_is_read_or_written(
    ground: SyncGround, tmp_path: Path, path: str
) -> None:
    """Names come from configurations and links from anybody."""
    (tmp_path / "outside").write_bytes(b"mine")
    ground.file("rss/a.xml").with_name("link.xml").symlink_to(tmp_path / "outside")

    with pytest.raises(OutsideRoot):
        read_site_file(ground.place, path, 10)
    with pytest.raises(OutsideRoot):
        write_site_file(ground.place, path, b"theirs")

    assert (tmp_path / "outside").read_bytes() == b"mine"


def test_larger_file_is_seen_to_be_larger(ground: SyncGround) -> None:
    """One byte more than asked for says so, without reading gigabytes."""
    ground.file("rss/a.xml", b"0123456789")

    assert read_site_file(ground.place, "rss/a.xml", 4) == b"01234"
    assert read_site_file(ground.place, "rss/none.xml", 4) == b""
