"""A sync: what goes up, what stays, what goes, and that the manifest is last and true."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pipelines.glacier.transfer.excludes import Rules
from pipelines.glacier.transfer.manifest import (
    MANIFEST_NAME,
    PROJECT_PREFIX,
    Manifest,
    parse_manifest,
)
from pipelines.glacier.transfer.reports import SyncReport
from pipelines.glacier.transfer.sync_plan import Synced, plan_sync
from pipelines.glacier.transfer.syncing import AT_ONCE, Sync
from shared.errors import SuiteError
from shared.s3.errors import AccessDenied, ServerError
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_transfer import BUCKET, NOON, STEP, WRITES, TransferGround

_MANIFEST_KEY = f"{PROJECT_PREFIX}{MANIFEST_NAME}"


@pytest.fixture
def ground(tmp_path: Path) -> TransferGround:
    """A project and an empty bucket."""
    return TransferGround(tmp_path)


def test_the_plan_is_a_table() -> None:
    """Pure, so that the table in its docstring is what it does."""
    plan = plan_sync(["c", "a", "b"], ["b", "d", "c", MANIFEST_NAME], {"b"})

    assert (plan.upload, plan.unchanged, plan.stale) == (("a", "c"), ("b",), ("d",))


@pytest.mark.asyncio
async def test_everything_goes_up_and_the_manifest_last(ground: TransferGround) -> None:
    """Whoever sees the manifest can rely on the rest."""
    _, done = await ground.sync()

    held = dict(ground.objects())
    manifest = parse_manifest(held.pop(MANIFEST_NAME))
    project = ground.read()
    assert not done.failed
    assert manifest.files == project.entries
    assert manifest.created_at == "2024-08-01T12:00:00Z"
    assert held == {path: (ground.root / path).read_bytes() for path in project.files}
    assert ground.requests.keys(*WRITES)[-1] == _MANIFEST_KEY


@pytest.mark.asyncio
async def test_a_repeated_sync_writes_nothing(ground: TransferGround) -> None:
    """Not even a new manifest, which would make a loader read everything again."""
    await ground.sync()
    for path in ground.root.rglob("*.py"):
        path.touch()
    ground.requests.seen.clear()

    seen, done = await ground.sync()

    assert (seen.plan.upload, done.is_new_manifest) == ((), False)
    assert ground.requests.keys(*WRITES) == []


@pytest.mark.asyncio
async def test_content_decides_and_not_size_or_time(ground: TransferGround) -> None:
    """The original missed a change of equal size under an old time."""
    await ground.sync()
    path = ground.root / STEP
    before = path.stat()
    path.write_bytes(b"print('CLIP')\n")
    assert path.stat().st_size == before.st_size
    ground.requests.seen.clear()

    seen, done = await ground.sync()

    assert (list(seen.plan.upload), done.uploaded) == ([STEP], [STEP])
    assert ground.requests.keys(*WRITES) == [f"{PROJECT_PREFIX}{STEP}", _MANIFEST_KEY]
    assert ground.held(STEP) == b"print('CLIP')\n"


@pytest.mark.asyncio
async def test_a_change_in_s3_is_seen_and_mended(ground: TransferGround) -> None:
    """S3 is the truth, and the manifest only says what was there."""
    await ground.sync()
    ground.object("run.sh", b"#!/bin/rm\n")

    seen, done = await ground.sync()

    assert seen.plan.upload == ("run.sh",)
    assert ground.held("run.sh") == b"#!/bin/sh\n"
    assert not done.is_new_manifest


@pytest.mark.asyncio
async def test_an_etag_that_is_no_md5_costs_one_question(ground: TransferGround) -> None:
    """Under a KMS key it looks like one and is not; without this all would go up every time."""
    await ground.sync()
    read = ground.read()
    # As if S3 had other ETags: it is the comparison of both that matters.
    files = {path: replace(file, md5="0" * 32) for path, file in read.files.items()}
    project = replace(read, files=files)
    ground.requests.seen.clear()

    seen = await Sync(ground.store, BUCKET, project).look()

    assert seen.plan.upload == ()
    assert len(ground.requests.keys(Verb.HEAD)) == len(project.files)


@pytest.mark.asyncio
async def test_a_failed_upload_leaves_the_old_manifest(ground: TransferGround) -> None:
    """The project in S3 is then the one that the manifest says, or seen not to be."""
    await ground.sync()
    manifest = ground.held(MANIFEST_NAME)
    ground.file("lib/a.py")
    ground.file("lib/b.py")
    ground.object("stale.py")
    ground.requests.fault = _fault(Verb.PUT, "lib/a.py", ServerError)

    _, done = await ground.sync(delete=True)

    assert list(done.failed) == ["lib/a.py"]
    assert done.uploaded == ["lib/b.py"]
    assert ground.held(MANIFEST_NAME) == manifest
    assert ground.held("stale.py") is not None


@pytest.mark.asyncio
async def test_stale_keys_go_only_if_asked_for_and_never_outside(ground: TransferGround) -> None:
    """A forgotten file may be somebody's; results lie in the same bucket."""
    for path in ("old.py", ".env", "../outside.py"):
        ground.object(path)
    ground.object("scene.tif", prefix="1_download_merge_and_clip/landsat/")
    ground.object("x.py", prefix=PROJECT_PREFIX.rstrip("/") + "-2/")

    seen, kept = await ground.sync()
    _, removed = await ground.sync(delete=True)

    assert seen.plan.stale == ("../outside.py", ".env", "old.py")
    assert (kept.deleted, removed.deleted) == ([], list(seen.plan.stale))
    assert sorted(ground.objects()) == sorted([*ground.read().files, MANIFEST_NAME])
    assert ground.held("scene.tif", "1_download_merge_and_clip/landsat/") is not None
    assert ground.held("x.py", PROJECT_PREFIX.rstrip("/") + "-2/") is not None


@pytest.mark.asyncio
async def test_what_may_not_be_removed_is_told(ground: TransferGround) -> None:
    """The project itself is whole, and its manifest is written."""
    ground.object("old.py")
    ground.requests.fault = _fault(Verb.DELETE_MANY, "", AccessDenied)

    _, done = await ground.sync(delete=True)

    assert list(done.failed) == ["old.py"]
    assert done.is_new_manifest


@pytest.mark.asyncio
async def test_of_two_syncs_at_once_one_is_told(ground: TransferGround) -> None:
    """A manifest over files of two people would be of nobody's project."""
    await ground.sync()
    ground.file("mine.py")
    mine = Sync(ground.store, BUCKET, ground.read())
    seen = await mine.look()
    ground.file("theirs.py")
    await ground.sync(rules=Rules(excludes=("mine.py",)))
    manifest = ground.held(MANIFEST_NAME)

    done = await mine.carry_out(seen, delete=False, now=NOON)

    assert "another sync" in done.failed[MANIFEST_NAME]
    assert ground.held(MANIFEST_NAME) == manifest


@pytest.mark.asyncio
async def test_an_object_that_changed_meanwhile_is_not_overwritten(ground: TransferGround) -> None:
    """Nothing is overwritten unseen."""
    await ground.sync()
    ground.file(STEP, b"print('mine')\n")
    sync = Sync(ground.store, BUCKET, ground.read())
    seen = await sync.look()
    ground.object(STEP, b"print('theirs')\n")

    done = await sync.carry_out(seen, delete=False, now=NOON)

    assert list(done.failed) == [STEP]
    assert ground.held(STEP) == b"print('theirs')\n"


@pytest.mark.asyncio
async def test_what_goes_up_is_what_was_hashed(ground: TransferGround) -> None:
    """Else the manifest would promise bytes that S3 does not have."""
    sync = Sync(ground.store, BUCKET, ground.read())
    seen = await sync.look()
    ground.file("run.sh", b"#!/bin/zsh\n")

    done = await sync.carry_out(seen, delete=False, now=NOON)

    assert "has changed meanwhile" in done.failed["run.sh"]
    assert ground.held("run.sh") is None
    assert ground.held(MANIFEST_NAME) is None


@pytest.mark.asyncio
async def test_a_broken_manifest_is_replaced(ground: TransferGround) -> None:
    """Nothing else would ever mend it."""
    ground.object(MANIFEST_NAME, b"{")

    _, done = await ground.sync()

    assert done.is_new_manifest
    assert parse_manifest(ground.held(MANIFEST_NAME) or b"").files == ground.read().entries


def _fault(
    verb: Verb, path: str, kind: type[ServerError] | type[AccessDenied]
) -> Callable[[Verb, str], SuiteError | None]:
    """Fail the requests of a kind for a path, or for any."""

    def fails(asked: Verb, key: str) -> SuiteError | None:
        wanted = asked is verb and (not path or key == f"{PROJECT_PREFIX}{path}")
        return kind(S3Uri(BUCKET, key)) if wanted else None

    return fails


@pytest.mark.asyncio
async def test_a_sync_that_is_cut_short_says_so(ground: TransferGround) -> None:
    """The manifest is the old one, and the document is there all the same."""
    for number in range(AT_ONCE):
        ground.file(f"{number}.py")
    project = ground.read()
    sync, done = Sync(ground.store, BUCKET, project), Synced()
    seen = await sync.look()

    with anyio.CancelScope() as scope:

        def cancel(_verb: Verb, _key: str) -> None:
            if done.uploaded:
                scope.cancel()

        ground.requests.fault = cancel
        await sync.carry_out(seen, delete=False, now=NOON, done=done)

    report = SyncReport(BUCKET, project, Manifest(project.entries).digests, seen.plan, done)
    assert set(done.uploaded) < set(project.files)
    assert done.uploaded
    assert not report.is_good
    assert json.loads(report.to_json())["cut_short"] is True
    assert "the manifest is not that of this folder; run the sync again" in report.to_text()
    assert ground.held(MANIFEST_NAME) is None
