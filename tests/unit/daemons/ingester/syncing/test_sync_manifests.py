"""The manifest's way: merged, conditional, and untouched where it cannot be read."""

from datetime import timedelta
from pathlib import Path

import pytest

from daemons.ingester.syncing.report import Outcome, SyncStatus
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.syncing import (
    AUDIO,
    NOON,
    SyncGround,
    episode,
    episode_numbers,
    manifest_bytes,
    manifest_path,
)

LATER = NOON + timedelta(seconds=3)
PATH = manifest_path()
ONE, TWO, THREE, FOUR = (episode(number) for number in range(1, 5))


@pytest.fixture
def ground(tmp_path: Path) -> SyncGround:
    """A site with nothing in it."""
    return SyncGround(tmp_path)


@pytest.mark.asyncio
@pytest.mark.parametrize("local_at", [NOON - timedelta(days=1), LATER])
async def test_manifests_that_differ_become_their_union_on_both_sides(
    ground: SyncGround, local_at: object
) -> None:
    """Newer does not win here: each side has an episode that the other lacks."""
    ground.file(PATH, manifest_bytes([ONE, THREE]), at=local_at)  # type: ignore[arg-type]
    ground.object(PATH, manifest_bytes([ONE, TWO]))

    pulled = await ground.sync().pull()
    between = ground.held(PATH)
    pushed = await ground.sync().push()
    ground.requests.seen.clear()
    again = [await ground.sync().pull(), await ground.sync().push()]

    assert episode_numbers(between) == ["Episode 1", "Episode 2"]
    assert episode_numbers(ground.held(PATH)) == ["Episode 1", "Episode 2", "Episode 3"]
    assert ground.files()[PATH] == ground.held(PATH)
    assert pulled.manifest is not None
    assert pulled.manifest.outcome is Outcome.MERGED
    assert pushed.manifest is not None
    assert pushed.manifest.uploaded
    assert [report.moved for report in again] == [0, 0]
    assert ground.requests.count(Verb.GET) == 0


@pytest.mark.asyncio
async def test_a_manifest_with_nothing_new_becomes_a_copy_of_s3(ground: SyncGround) -> None:
    """The same episodes, written otherwise: no upload, and the same bytes from now on."""
    ground.file(PATH, manifest_bytes([ONE]) + b"\n", at=LATER)
    ground.object(PATH, manifest_bytes([ONE, TWO]))

    report = await ground.sync().pull()
    pushed = await ground.sync().push()

    assert ground.files()[PATH] == ground.held(PATH) == manifest_bytes([ONE, TWO])
    assert report.manifest is not None
    assert report.manifest.outcome is Outcome.COPIED
    assert pushed.moved == 0
    assert ground.writes() == 0


@pytest.mark.asyncio
async def test_a_newer_local_manifest_stays_as_it_is_and_goes_up(ground: SyncGround) -> None:
    """It holds all of S3's already; writing it anew would change `lastUpdated` for nothing."""
    ours = manifest_bytes([ONE, TWO])
    ground.file(PATH, ours, at=LATER)
    ground.object(PATH, manifest_bytes([ONE]))
    before = ground.inodes()

    await ground.sync().pull()
    await ground.sync().push()

    assert ground.held(PATH) == ours
    assert ground.inodes() == before


@pytest.mark.asyncio
@pytest.mark.parametrize("broken", ["local", "s3"])
async def test_an_unreadable_manifest_blocks_the_site_and_is_kept(
    ground: SyncGround, broken: str
) -> None:
    """Replaced by an empty one, every episode would be downloaded and transcribed again."""
    bodies = {"local": manifest_bytes([ONE]), "s3": manifest_bytes([TWO]), broken: b'{"episodes": '}
    ground.file(PATH, bodies["local"])
    ground.object(PATH, bodies["s3"])
    ground.object(AUDIO)

    for run in (ground.sync().pull, ground.sync().push):
        report = await run()
        assert report.status is SyncStatus.FAILED
        assert "cannot be used" in report.blocked

    assert ground.files() == {AUDIO: b"content", PATH: bodies["local"]}
    assert ground.held(PATH) == bodies["s3"]


@pytest.mark.asyncio
async def test_a_broken_manifest_alone_is_copied_neither_way(ground: SyncGround) -> None:
    """On a first run too: what cannot be read must not become the truth of the other side."""
    ground.object(PATH, b"<html>")
    assert (await ground.sync().pull()).blocked
    assert ground.files() == {}

    ground.buckets.delete(S3Uri(ground.place.bucket, PATH))
    ground.file(PATH, b"<html>")
    assert (await ground.sync().push()).blocked
    assert ground.objects() == {}


@pytest.mark.asyncio
async def test_a_refused_write_reads_merges_and_writes_again(ground: SyncGround) -> None:
    """Another machine added an episode between our reading and our writing."""
    ground.file(PATH, manifest_bytes([ONE, TWO]), at=LATER)
    ground.object(PATH, manifest_bytes([ONE]))
    theirs = iter([[ONE, THREE], [ONE, THREE, FOUR]])

    def interfere(verb: Verb, _uri: object) -> None:
        if verb is Verb.PUT and (found := next(theirs, None)):
            ground.object(PATH, manifest_bytes(found))

    ground.requests.watch = interfere
    report = await ground.sync().push()

    assert episode_numbers(ground.held(PATH)) == [f"Episode {n}" for n in (1, 2, 3, 4)]
    assert ground.files()[PATH] == ground.held(PATH)
    assert ground.requests.count(Verb.PUT) == 3
    assert report.status is SyncStatus.OK


@pytest.mark.asyncio
async def test_where_nothing_was_a_manifest_may_appear(ground: SyncGround) -> None:
    """The first upload of two machines: the second one merges instead of replacing."""
    ground.file(PATH, manifest_bytes([ONE]))

    def appear(verb: Verb, _uri: object) -> None:
        if verb is Verb.PUT and ground.requests.count(Verb.PUT) == 1:
            ground.object(PATH, manifest_bytes([TWO]))

    ground.requests.watch = appear
    await ground.sync().push()

    assert episode_numbers(ground.held(PATH)) == ["Episode 1", "Episode 2"]


@pytest.mark.asyncio
async def test_after_three_refusals_more_the_next_run_tries(ground: SyncGround) -> None:
    """A writer that never rests must not hold the run."""
    ground.file(PATH, manifest_bytes([ONE, TWO]), at=LATER)
    ground.object(PATH, manifest_bytes([ONE]))

    def interfere(verb: Verb, _uri: object) -> None:
        if verb is Verb.PUT:
            updated = f"2026-02-{ground.requests.count(Verb.PUT):02}"
            ground.object(PATH, manifest_bytes([ONE], updated))

    ground.requests.watch = interfere
    report = await ground.sync().push()

    assert ground.requests.count(Verb.PUT) == 4
    assert report.status is SyncStatus.PARTIAL
    assert "changed under each of 4 writes" in report.failures.named[0].reason


@pytest.mark.asyncio
async def test_numbers_that_move_are_told(ground: SyncGround) -> None:
    """Public links hold these numbers."""
    ground.file(PATH, manifest_bytes([episode(1)]))
    ground.object(PATH, manifest_bytes([{**TWO, "sequentialId": 1}]))

    report = await ground.sync().pull()

    assert report.manifest is not None
    assert report.manifest.renumbered == 1


@pytest.mark.asyncio
async def test_the_pending_marker_is_written_before_a_changed_manifest(ground: SyncGround) -> None:
    """Also where the manifest is all that changes."""
    ground.file(PATH, manifest_bytes([ONE]))
    told: list[int] = []

    async def announce() -> None:
        told.append(ground.writes())

    await ground.sync().push(before_indexed=announce)

    assert told == [0]
    assert ground.writes() == 1


@pytest.mark.asyncio
async def test_a_link_is_no_manifest(ground: SyncGround) -> None:
    """It would be read, merged and sent from wherever it leads."""
    elsewhere = ground.data / "secret.json"
    elsewhere.write_bytes(manifest_bytes([THREE]))
    (ground.root / "episode-manifest").mkdir(parents=True)
    (ground.root / PATH).symlink_to(elsewhere)
    ground.object(PATH, manifest_bytes([ONE]))

    report = await ground.sync().pull()
    await ground.sync().push()

    assert report.skipped.count >= 1
    assert episode_numbers(ground.held(PATH)) == ["Episode 1"]
