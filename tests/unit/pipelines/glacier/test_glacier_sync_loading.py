"""A project out of S3 for a handler: exactly what the manifest says, or nothing is run."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.glacier.transfer.digests import local_digests
from pipelines.glacier.transfer.loading import LoadedProject, ProjectGap, load_project
from pipelines.glacier.transfer.manifest import (
    MANIFEST_NAME,
    PROJECT_PREFIX,
    Entry,
    Manifest,
    parse_manifest,
)
from shared.errors import SuiteError
from shared.s3.errors import AccessDenied, Unreachable
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_transfer import BUCKET, STEP, TransferGround


@pytest.fixture
def ground(tmp_path: Path) -> TransferGround:
    """A project and an empty bucket."""
    return TransferGround(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a handler keeps the project; not there yet."""
    return tmp_path / "tmp/greenland-glacier-flow"


async def _load(ground: TransferGround, folder: Path) -> LoadedProject:
    return await load_project(ground.store, BUCKET, folder)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


@pytest.mark.asyncio
async def test_the_folder_holds_the_project_and_its_digests(
    ground: TransferGround, folder: Path
) -> None:
    """The digests are those that a submission from the same folder sends along."""
    await ground.sync()
    ground.object("stale.py")

    loaded = await _load(ground, folder)

    digests = local_digests(ground.root)
    assert (loaded.root, loaded.digest, loaded.config_sha256) == (
        folder,
        digests.project,
        digests.config,
    )
    assert _files(folder) == {path: (ground.root / path).read_bytes() for path in _files(folder)}
    assert list(_files(folder)) == list(ground.read().files)


@pytest.mark.asyncio
async def test_programs_may_be_run_and_others_not(ground: TransferGround, folder: Path) -> None:
    """As the original did; the mode of a file does not survive S3."""
    await ground.sync()

    await _load(ground, folder)

    modes = {path: stat.S_IMODE((folder / path).stat().st_mode) for path in _files(folder)}
    assert {modes[STEP], modes["run.sh"]} == {0o755}
    assert modes["config.ini"] == 0o644


@pytest.mark.asyncio
async def test_a_warm_container_fetches_only_what_changed(
    ground: TransferGround, folder: Path
) -> None:
    """Kept by hash: a touched file is kept, a changed one of equal size and time is not."""
    await ground.sync()
    first = await _load(ground, folder)
    (folder / STEP).touch()
    times = (folder / "run.sh").stat()
    (folder / "run.sh").write_bytes(b"#!/bin/rm\n")
    os.utime(folder / "run.sh", ns=(times.st_atime_ns, times.st_mtime_ns))
    ground.requests.seen.clear()

    second = await _load(ground, folder)

    assert (first.fetched, second.fetched) == (len(ground.read().files), 1)
    assert ground.requests.keys(Verb.GET) == [
        f"{PROJECT_PREFIX}{MANIFEST_NAME}",
        f"{PROJECT_PREFIX}run.sh",
    ]
    assert (folder / "run.sh").read_bytes() == b"#!/bin/sh\n"


@pytest.mark.asyncio
async def test_what_an_earlier_call_left_goes(
    ground: TransferGround, folder: Path, tmp_path: Path
) -> None:
    """Code of an older project, or of a step that wrote beside itself, must not be imported."""
    await ground.sync()
    await _load(ground, folder)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("x")
    (folder / "sitecustomize.py").write_text("x")
    (folder / "__pycache__/deep").mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    (folder / "run.sh").unlink()
    (folder / "run.sh").mkdir()
    (folder / "config.ini").unlink()
    (folder / "config.ini").symlink_to(outside / "kept.txt")
    os.mkfifo(folder / "pipe")

    await _load(ground, folder)

    assert list(_files(folder)) == list(ground.read().files)
    assert not (folder / "config.ini").is_symlink()
    assert (outside / "kept.txt").read_text() == "x"


@pytest.mark.asyncio
async def test_a_link_in_the_place_of_the_folder_is_not_followed(
    ground: TransferGround, folder: Path, tmp_path: Path
) -> None:
    """Else all that lies behind it would be removed as no part of the project."""
    await ground.sync()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/data").write_text("x")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / folder.name).symlink_to(tmp_path / "precious")

    await _load(ground, folder)

    assert _files(tmp_path / "precious") == {"data": b"x"}
    assert list(_files(folder)) == list(ground.read().files)


def _beside(folder: Path, base: Path) -> set[Path]:
    return {path for path in base.rglob("*") if not path.is_relative_to(folder)}


def _rewrite(change: Callable[[dict[str, Entry]], object]) -> Callable[[TransferGround], object]:
    def rewrite(ground: TransferGround) -> None:
        files = dict(parse_manifest(ground.held(MANIFEST_NAME) or b"").files)
        change(files)
        ground.object(MANIFEST_NAME, Manifest(files).to_bytes())

    return rewrite


def _delete(path: str) -> Callable[[TransferGround], object]:
    return lambda ground: ground.buckets.delete(S3Uri(BUCKET, f"{PROJECT_PREFIX}{path}"), None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_delete(MANIFEST_NAME), r"sync-manifest\.json is not there"),
        (lambda ground: ground.object(MANIFEST_NAME, b"{}"), "is no manifest"),
        (_delete(STEP), r"sentinel2\.py' is not there"),
        (lambda ground: ground.object(STEP, b"print('clap')\n"), "another content"),
        (lambda ground: ground.object(STEP, b"print('longer')\n"), "16 bytes instead of 14"),
        (lambda ground: ground.object("../../etc/cron.d/x"), r"'\.\./\.\./etc/cron\.d/x' is abs"),
        (lambda ground: ground.object("/etc/passwd"), "'/etc/passwd' is absolute"),
        (lambda ground: ground.object("a\\..\\b"), "has a backslash"),
        (lambda ground: ground.object("C:/x"), "a drive"),
        (_rewrite(lambda files: files.update({"../x.py": Entry(1, "a" * 64)})), "names '../x.py'"),
        (_rewrite(lambda files: files.update({"/x.py": Entry(1, "a" * 64)})), "names '/x.py'"),
        (_rewrite(lambda files: files.update({STEP: Entry(14, "a" * 64)})), "another content"),
    ],
)
@pytest.mark.asyncio
async def test_any_gap_is_an_error_before_anything_is_run(
    ground: TransferGround,
    folder: Path,
    tmp_path: Path,
    change: Callable[[TransferGround], object],
    said: str,
) -> None:
    """The original warned and ran what it had; a poisoned key could leave the folder."""
    await ground.sync()
    change(ground)
    before = _beside(folder, tmp_path)

    with pytest.raises(ProjectGap, match=said):
        await _load(ground, folder)

    assert _beside(folder, tmp_path) - before <= {folder.parent}


@pytest.mark.asyncio
async def test_poisoned_keys_are_refused_before_a_byte_is_fetched(
    ground: TransferGround, folder: Path
) -> None:
    """Whoever wrote them may have written others."""
    await ground.sync()
    ground.object("../x.py")
    ground.requests.seen.clear()

    with pytest.raises(ProjectGap):
        await _load(ground, folder)

    assert ground.requests.keys(Verb.GET) == [f"{PROJECT_PREFIX}{MANIFEST_NAME}"]
    assert _files(folder) == {}


@pytest.mark.asyncio
async def test_many_faults_are_told_in_few_lines(ground: TransferGround, folder: Path) -> None:
    """The message goes into a response and a record."""
    for number in range(15):
        ground.file(f"lib/m{number:02d}.py")
    await ground.sync()
    for number in range(15):
        _delete(f"lib/m{number:02d}.py")(ground)

    with pytest.raises(ProjectGap) as caught:
        await _load(ground, folder)

    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "and 5 more"


@pytest.mark.asyncio
async def test_a_read_that_breaks_off_is_repeated(ground: TransferGround, folder: Path) -> None:
    """One reset connection is no reason to fail a whole run."""
    await ground.sync()
    failed: list[str] = []

    def once(verb: Verb, key: str) -> SuiteError | None:
        if verb is Verb.GET and key not in failed:
            failed.append(key)
            return Unreachable(S3Uri(BUCKET, key))
        return None

    ground.requests.fault = once

    loaded = await _load(ground, folder)

    assert loaded.fetched == len(ground.read().files)
    assert list(_files(folder)) == list(ground.read().files)


@pytest.mark.asyncio
async def test_a_refusal_is_raised_as_it_is(ground: TransferGround, folder: Path) -> None:
    """The role lacks a right: nobody should look for a gap in the project."""
    await ground.sync()
    ground.requests.fault = lambda verb, key: (
        AccessDenied(S3Uri(BUCKET, key)) if verb is Verb.GET and key.endswith(".py") else None
    )

    with pytest.raises(AccessDenied):
        await _load(ground, folder)
