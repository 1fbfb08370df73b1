"""Whether the files of a site are all still there: a drive that is not mounted stops it."""

from pathlib import Path

import pytest

from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.place import (
    FEW_FILES,
    LocalFilesMissing,
    load_counts,
    prepare_place,
    require_files,
    save_counts,
)
from shared.errors import ExitStatus
from tests.support.syncing import SyncGround


@pytest.fixture
def ground(tmp_path: Path) -> SyncGround:
    """A site whose folders are made."""
    made = SyncGround(tmp_path)
    prepare_place(made.place)
    return made


def test_a_first_run_begins_with_nothing(ground: SyncGround) -> None:
    """Nothing is remembered, so nothing is missing."""
    require_files(ground.place)


def test_files_that_are_there_are_enough(ground: SyncGround) -> None:
    """Fewer than before is somebody tidying up."""
    save_counts(ground.place, {Folder.AUDIO: 500, Folder.RSS: 1})
    ground.file("audio/p/one.mp3")

    require_files(ground.place)


def test_all_gone_stops_with_what_to_do(ground: SyncGround) -> None:
    """Files of no bytes, and the system's litter on an empty mount point, count for nothing."""
    save_counts(ground.place, {Folder.AUDIO: 1, Folder.RSS: 2})
    ground.file("audio/p/one.mp3", b"")
    ground.file("audio/.DS_Store")

    with pytest.raises(LocalFilesMissing, match="held 3 files and holds none now; mount") as caught:
        require_files(ground.place)

    assert caught.value.status is ExitStatus.USAGE


def test_one_folder_that_held_many_and_is_empty_stops_too(ground: SyncGround) -> None:
    """Audio is often a mount of its own."""
    ground.file("rss/a.xml")
    save_counts(ground.place, {Folder.AUDIO: FEW_FILES, Folder.RSS: 1})

    with pytest.raises(LocalFilesMissing, match="audio"):
        require_files(ground.place)

    save_counts(ground.place, {Folder.AUDIO: FEW_FILES - 1})
    require_files(ground.place)


def test_counts_of_other_folders_are_kept(ground: SyncGround) -> None:
    """A run over some folders says nothing of the others."""
    save_counts(ground.place, {Folder.AUDIO: 3, Folder.RSS: 2})
    save_counts(ground.place, {Folder.RSS: 0})

    assert load_counts(ground.place) == {Folder.AUDIO: 3}


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"audio": "many"}', b'{"elsewhere": 1}'])
def test_counts_that_cannot_be_read_stop(ground: SyncGround, content: bytes) -> None:
    """Taken for none, an empty mount point would be taken for a first run."""
    ground.place.counts.write_bytes(content)

    with pytest.raises(LocalFilesMissing, match="cannot be read"):
        require_files(ground.place)
