from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from daemons.ingester.archive.folders import (
    audio_path,
    search_entries_path,
    transcript_path,
)
from daemons.ingester.archive.holdings import by_identity, superseded_files
from daemons.ingester.mirror.inventory import read_holdings
from daemons.ingester.mirror.manifest_file import load_manifest
from daemons.ingester.phases.superseded import PruneReport, prune_superseded
from shared.s3.errors import AccessDenied, ObjectError
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
from tests.support.speech_ground import PODCAST, SpeechGround
from tests.support.syncing import BUCKET, Requests

OLD, NEW = "2024-07-21_E--1700000000000", "2024-07-21_E--1800000000000"
PATHS = (audio_path, transcript_path, search_entries_path)


def paths(key: str) -> set[str]:
    """The three files of an episode."""
    return {path(PODCAST, key) for path in PATHS}


class PruneGround(SpeechGround):
    """A site whose episode has two versions, whole here and in S3; the newer one is listed."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.buckets = MemoryBuckets(BUCKET)
        self.requests = Requests()
        self.store = MemoryStore(self.buckets, faults=self.requests)
        self.whole(OLD, NEW)
        self.manifest(NEW)
        for path in paths(OLD) | paths(NEW):
            self.buckets.put(S3Uri(BUCKET, path), b"content")

    def superseded(self) -> tuple[str, ...]:
        """What phase 2 names."""
        listed = by_identity(load_manifest(self.place).episodes)
        return superseded_files(read_holdings(self.root), listed)

    async def prune(self, *more: str, step: str = "") -> PruneReport:
        """Prune, and die at a step."""

        def die(name: str) -> None:
            if name == step:
                raise KeyboardInterrupt(name)

        named = (*self.superseded(), *more)
        with anyio.fail_after(20):
            return await prune_superseded(self.place, self.store, named, step=die)

    def here(self) -> set[str]:
        """Episodes' files that are here."""
        return {path for path in self.files() if not path.startswith("episode-manifest/")}

    def there(self) -> set[str]:
        """Objects of S3."""
        return {info.uri.key for info in self.buckets.page(S3Uri(BUCKET), "", "")[0].objects}


@pytest.fixture
def ground(tmp_path: Path) -> PruneGround:
    """Two versions of one episode."""
    return PruneGround(tmp_path)


@pytest.mark.asyncio
async def test_an_older_version_goes_on_both_sides(ground: PruneGround) -> None:
    """And the newer one, and everything else, stays; the second time there is nothing to do."""
    report = await ground.prune()

    assert (report.count, report.problems.count, report.kept.count) == (3, 0, 0)
    assert ground.here() == ground.there() == paths(NEW)
    ground.requests.seen.clear()
    assert (await ground.prune()).count == 0
    assert ground.requests.seen == []


@pytest.mark.asyncio
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("side", ["here", "there", "empty there"])
async def test_nothing_goes_while_the_newer_one_is_not_whole_on_both_sides(
    ground: PruneGround, path: Callable[[str, str], str], side: str
) -> None:
    """What is deleted from S3 nobody brings back."""
    missing = path(PODCAST, NEW)
    named = ground.superseded()
    if side == "here":
        (ground.root / missing).unlink()
    elif side == "there":
        ground.buckets.delete(S3Uri(BUCKET, missing))
    else:
        ground.buckets.put(S3Uri(BUCKET, missing), b"")

    report = await ground.prune(*named)

    assert report.count == 0
    assert paths(OLD) <= ground.here()
    assert paths(OLD) <= ground.there()
    assert report.kept.count == 3


@pytest.mark.asyncio
async def test_what_the_manifest_speaks_of_stays(ground: PruneGround) -> None:
    """Its audio would be downloaded again by the next run, and pruned again, for ever."""
    ground.manifest(OLD, NEW)

    report = await ground.prune()

    assert report.count == 0
    assert "has an entry in the manifest" in report.kept.named[0].reason


@pytest.mark.asyncio
async def test_a_newer_one_that_nobody_knows_prunes_nothing(ground: PruneGround) -> None:
    """Its files may be what another run has left behind."""
    ground.manifest()

    report = await ground.prune()

    assert report.count == 0
    assert "has no entry" in report.kept.named[0].reason


@pytest.mark.asyncio
async def test_only_older_versions_go_whatever_is_asked_for(ground: PruneGround) -> None:
    """The list of phase 2 is a wish; what is so now decides."""
    other = audio_path(PODCAST, "2024-07-22_F--1700000000000")
    ground.file(other)
    ground.buckets.put(S3Uri(BUCKET, "index.html"), b"the web client")

    with anyio.fail_after(20):
        report = await prune_superseded(
            ground.place,
            ground.store,
            [audio_path(PODCAST, NEW), other, "index.html", "../up", audio_path(PODCAST, OLD)],
        )

    assert report.count == 1
    gone = {audio_path(PODCAST, OLD)}
    assert ground.there() == (paths(NEW) | paths(OLD) | {"index.html"}) - gone
    assert ground.here() == (paths(NEW) | paths(OLD) | {other}) - gone


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", [Verb.HEAD, Verb.DELETE])
async def test_what_s3_refuses_stays_here_too(ground: PruneGround, verb: Verb) -> None:
    """It would come back with the next pre-sync."""

    def refuse(seen: Verb, uri: S3Uri) -> ObjectError | None:
        return AccessDenied(uri) if seen is verb else None

    ground.requests.fault = refuse

    report = await ground.prune()

    assert (report.count, report.problems.count) == (0, 3)
    assert paths(OLD) <= ground.here()


@pytest.mark.asyncio
@pytest.mark.parametrize("step", ["deleted_in_s3", "deleted_here"])
async def test_killed_in_between_it_is_finished_by_the_next_run(
    ground: PruneGround, step: str
) -> None:
    """S3 first: what is only here is found superseded again."""
    with pytest.raises(KeyboardInterrupt):
        await ground.prune(step=step)

    await ground.prune()

    assert ground.here() == ground.there() == paths(NEW)
