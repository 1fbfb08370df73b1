"""What is here whole: without S3, this decides whether a transcript is paid for again."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from daemons.ingester.archive.folders import SYNCED, Folder
from daemons.ingester.syncing.brought import load_brought
from daemons.ingester.syncing.one_way import SyncRules
from daemons.ingester.syncing.report import SyncReport
from shared.s3.errors import AccessDenied, ObjectError
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.syncing import AUDIO, TRANSCRIPT, SyncGround

WHOLE = frozenset(SYNCED)


@pytest.fixture
def ground(tmp_path: Path) -> SyncGround:
    """A site with audio here and in S3, and a transcript in S3 alone."""
    made = SyncGround(tmp_path)
    made.file(AUDIO)
    made.object(AUDIO)
    made.object(TRANSCRIPT)
    return made


def _refuse(refused: Verb) -> Callable[[Verb, S3Uri], ObjectError | None]:
    def fault(verb: Verb, uri: S3Uri) -> ObjectError | None:
        return AccessDenied(uri) if verb is refused and "transcripts" in uri.key else None

    return fault


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "work",
    [
        lambda ground: ground.sync().look(),
        lambda ground: ground.sync().push(),
        lambda ground: ground.sync(SyncRules(dry_run=True)).pull(),
        lambda ground: ground.sync(SyncRules(dry_run=True)).push(),
    ],
    ids=["look", "push", "planned pull", "planned push"],
)
async def test_who_brings_nothing_changes_nothing(
    ground: SyncGround, work: Callable[[SyncGround], Awaitable[SyncReport]]
) -> None:
    """Each has compared both sides, and the transcript is in S3 all the same, or here."""
    await work(ground)
    before = load_brought(ground.place)
    await ground.sync().pull()
    await work(ground)

    assert (before, load_brought(ground.place)) == (frozenset(), WHOLE)


@pytest.mark.asyncio
@pytest.mark.parametrize("refused", [Verb.GET, Verb.LIST])
async def test_a_pull_that_did_not_bring_all_leaves_nothing_as_whole(
    ground: SyncGround, refused: Verb
) -> None:
    """Whatever was whole before, S3 is known to have more now; the next good pull mends it."""
    await ground.sync(SyncRules(folders=(Folder.AUDIO, Folder.TRANSCRIPTS))).pull()
    (ground.root / TRANSCRIPT).unlink()
    ground.requests.fault = _refuse(refused)

    await ground.sync().pull()
    partly = load_brought(ground.place)
    ground.requests.fault = lambda _verb, _uri: None
    await ground.sync().pull()

    assert (partly, load_brought(ground.place)) == (frozenset(), WHOLE)


@pytest.mark.asyncio
async def test_a_pull_that_dies_leaves_its_folders_not_whole(ground: SyncGround) -> None:
    """What it had not come to is in S3 alone; of the other folders nothing has changed."""
    await ground.sync().pull()
    (ground.root / TRANSCRIPT).unlink()

    class Killed(BaseException):
        """What no code of ours handles."""

    def die(verb: Verb, _uri: S3Uri) -> None:
        if verb is Verb.GET:
            raise Killed

    ground.requests.watch = die
    with pytest.raises(BaseExceptionGroup):
        await ground.sync(SyncRules(folders=(Folder.TRANSCRIPTS,))).pull()

    assert load_brought(ground.place) == WHOLE - {Folder.TRANSCRIPTS}


@pytest.mark.asyncio
async def test_files_that_are_to_be_downloaded_again_are_not_whole(ground: SyncGround) -> None:
    """Whoever removes the counts says that files are gone; an upload must not bring it back."""
    await ground.sync().pull()
    ground.place.counts.unlink()
    without = load_brought(ground.place)
    await ground.sync().push()

    assert ground.place.counts.exists()
    assert (without, load_brought(ground.place)) == (frozenset(), frozenset())


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"folders": 1}', b'{"folders": ["x"]}'])
async def test_a_damaged_note_is_none(ground: SyncGround, content: bytes) -> None:
    """It only saves work, and the next pull writes it anew."""
    await ground.sync().pull()
    ground.place.brought.write_bytes(content)
    damaged = load_brought(ground.place)
    await ground.sync().pull()

    assert (damaged, load_brought(ground.place)) == (frozenset(), WHOLE)
