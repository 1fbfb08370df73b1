import os
from pathlib import Path

import pytest

from daemons.dispatcher.halts import DiskFull, FolderUnusable, disk_errors
from daemons.dispatcher.intent import Intent
from daemons.dispatcher.staging import Chunk, Look, Staging
from shared.handshake.layout import JobFolder
from shared.s3.pinned import identity_of


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    """Two empty folders."""
    for name in ("positions", "seeds"):
        (tmp_path / name).mkdir()
    return Staging(tmp_path / "positions", tmp_path / "seeds")


def chunk(staging: Staging, content: bytes = b"a") -> Chunk:
    """A chunk as it is now."""
    path = staging.chunk("00001")
    path.write_bytes(content)
    return Chunk("00001", identity_of(path.stat()))


def test_a_chunk_is_unchanged_until_it_is_not(staging: Staging) -> None:
    """What settled is what is sent."""
    known = chunk(staging)
    assert staging.look(known) is Look.UNCHANGED

    chunk(staging, b"longer")
    assert staging.look(known) is Look.CHANGED
    staging.chunk("00001").unlink()
    assert staging.look(known) is Look.CHANGED
    staging.chunk("00001").symlink_to(staging.seeds)
    assert staging.look(known) is Look.CHANGED


def test_an_answer_counts_from_its_first_byte(staging: Staging) -> None:
    """The archive has answered; how much of it is written yet does not matter."""
    known = chunk(staging)

    (staging.positions / "positions00001_closest.csv").touch()

    assert staging.look(known) is Look.ANSWERED


def test_a_folder_in_the_place_of_an_answer_is_none(staging: Staging) -> None:
    """The scripts asked for a file, too."""
    known = chunk(staging)

    (staging.positions / "positions00001_closest.csv").mkdir()

    assert staging.look(known) is Look.UNCHANGED


def test_only_a_file_with_something_in_it_is_built(staging: Staging, tmp_path: Path) -> None:
    """A link could lead to any file of this machine."""
    assert not staging.built("00001")
    staging.begin("00001")
    assert not staging.built("00001")
    seed = staging.seed("00001")
    seed.touch()
    assert not staging.built("00001")
    seed.write_bytes(b"seeds")
    assert staging.built("00001")

    other = tmp_path / "other"
    other.write_bytes(b"secret")
    seed.unlink()
    seed.symlink_to(other)
    assert not staging.built("00001")
    seed.unlink()
    seed.mkdir()
    assert not staging.built("00001")


def test_a_folder_that_is_a_link_is_not_built_in(staging: Staging, tmp_path: Path) -> None:
    """A step that replaces its folder by a link has built nothing."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "part-00001.parquet").write_bytes(b"x")
    staging.folder("00001").symlink_to(elsewhere)

    assert not staging.built("00001")
    staging.clear("00001")
    assert (elsewhere / "part-00001.parquet").exists()


def test_clearing_removes_whatever_a_step_left(staging: Staging) -> None:
    """Folders that may not be written into, files, nothing at all."""
    inner = staging.begin("00001") / "inner"
    inner.mkdir()
    (inner / "file").write_bytes(b"x")
    inner.chmod(0)

    staging.clear("00001")
    staging.clear("00001")
    staging.folder("00001").write_bytes(b"a file")
    staging.clear("00001")

    assert list(staging.seeds.iterdir()) == []


def test_the_survey_goes_by_names_and_by_nothing_else(staging: Staging, tmp_path: Path) -> None:
    """A hundred thousand names are read in a tenth of a second."""
    chunk(staging)
    (staging.positions / "positions00002_closest.csv").touch()
    (staging.positions / "other").touch()

    survey = staging.survey()

    assert survey.chunks == {"00001"}
    assert survey.answers == {"00002"}
    assert not Staging(tmp_path / "nowhere", tmp_path).survey().chunks


def test_the_job_in_hand_survives_and_goes(tmp_path: Path) -> None:
    """It is what the next life knows before the bucket does."""
    intent = Intent(tmp_path)
    assert intent.load() is None

    intent.choose(JobFolder("2026-03-01", "00001"))
    intent.choose(JobFolder("2026-03-01", "00002"))
    assert Intent(tmp_path).load() == JobFolder("2026-03-01", "00002")
    intent.done()
    intent.done()

    assert intent.load() is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../etc/passwd", b"x" * 5000])
def test_a_note_that_is_none_is_ignored(tmp_path: Path, content: bytes) -> None:
    """The listing finds the job in all but the rarest case."""
    (tmp_path / "job-in-hand").write_bytes(content)

    assert Intent(tmp_path).load() is None


def test_the_file_system_speaks_our_words() -> None:
    """A full disk is a safety stop; anything else is somebody's to mend."""
    with pytest.raises(DiskFull, match="make room"), disk_errors():
        raise OSError(28, os.strerror(28), "/data/seeds")
    with pytest.raises(FolderUnusable, match=r"'/data/seeds': permission denied"), disk_errors():
        raise PermissionError(13, os.strerror(13), "/data/seeds")
