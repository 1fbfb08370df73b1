"""Names, stores and moments that nobody would choose: each costs itself, with a reason."""

import errno
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from daemons.ingester.syncing import comparing, transfer
from daemons.ingester.syncing.compare import State
from daemons.ingester.syncing.one_way import PARALLEL
from daemons.ingester.syncing.report import Fate, SyncStatus
from daemons.ingester.syncing.site import SiteSync
from daemons.ingester.syncing.transfer import fate_of
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import Verb
from shared.s3.store import Checksums, ObjectInfo
from shared.s3.uri import S3Uri
from tests.support.syncing import AUDIO, NOON, TRANSCRIPT, SyncGround

LATER = NOON + timedelta(seconds=3)


@pytest.fixture
def ground(tmp_path: Path) -> SyncGround:
    """A site with nothing in it."""
    return SyncGround(tmp_path)


@pytest.mark.asyncio
async def test_hostile_keys_cost_themselves_alone(ground: SyncGround) -> None:
    """Whoever can write to the bucket must not write anywhere else, nor stop the archive."""
    passed_over = ["audio/../../up.mp3", "audio//etc/passwd.mp3", "audio/./dot.mp3", "audio/p/.mp3"]
    refused = ["audio/p/new\nline.mp3", "audio/p/back\\slash.mp3", "audio/p/" + "x" * 252 + ".mp3"]
    for key in (*passed_over, *refused, AUDIO):
        ground.object(key)

    report = await ground.sync().pull()

    assert ground.files() == {AUDIO: b"content"}
    assert sorted(note.path for note in report.skipped.named) == sorted(refused)
    assert report.status is SyncStatus.OK
    assert [path.name for path in ground.data.iterdir() if path.name not in {"s3", "work"}] == []


@pytest.mark.asyncio
async def test_a_file_where_a_folder_is_needed_costs_one_of_them(ground: SyncGround) -> None:
    """S3 can have both `a.mp3` and `a.mp3/b.mp3`; a disk cannot."""
    ground.object("audio/p/a.mp3")
    ground.object("audio/p/a.mp3/b.mp3")
    ground.object("audio/p/z.mp3")

    for _ in range(2):
        report = await ground.sync().pull()
        assert report.status is SyncStatus.OK
        assert report.skipped.count == 1

    assert len(ground.files()) == 2
    assert "audio/p/z.mp3" in ground.files()


@pytest.mark.asyncio
async def test_a_link_in_the_way_is_not_written_through(ground: SyncGround) -> None:
    """It leads wherever somebody made it lead."""
    victim = ground.data / "victim.mp3"
    victim.write_bytes(b"precious")
    (ground.root / "audio/p").mkdir(parents=True)
    (ground.root / "audio/p/one.mp3").symlink_to(victim)
    ground.object("audio/p/one.mp3", b"other")

    report = await ground.sync().pull()

    assert victim.read_bytes() == b"precious"
    assert report.skipped.count >= 1


@pytest.mark.asyncio
async def test_forms_of_one_name_are_one_file(ground: SyncGround) -> None:
    """A Mac wrote one side; the episode must neither move nor be there twice."""
    composed, decomposed = "audio/p/Café.mp3", "audio/p/Cafe\u0301.mp3"
    ground.file(decomposed, b"one")
    ground.object(composed, b"one")
    ground.file("transcripts/p/é.srt", b"two", LATER)
    ground.object("transcripts/p/e\u0301.srt", b"old")
    ground.object("rss/e\u0301.xml", b"three")

    pulled = await ground.sync().pull()
    pushed = await ground.sync().push()

    assert (pulled.moved, pushed.moved) == (1, 1)
    assert ground.held("transcripts/p/e\u0301.srt") == b"two"
    assert set(ground.files()) == {decomposed, "transcripts/p/é.srt", "rss/é.xml"}
    assert len(ground.objects()) == 3


@pytest.mark.asyncio
async def test_twins_in_s3_are_named_and_left_alone(ground: SyncGround) -> None:
    """Also the one whose place in the listing has passed; and the second run is quiet."""
    for key in ("audio/p/é.mp3", "audio/p/e\u0301.mp3", "audio/p/K.mp3", "audio/q/\u212a.mp3"):
        ground.object(key, key.encode())

    for expected in (3, 0):
        report = await ground.sync().pull()
        assert report.moved == expected
        assert [note.path for note in report.skipped.named] == ["audio/p/e\u0301.mp3"]

    assert ground.files().keys() == {"audio/p/é.mp3", "audio/p/K.mp3", "audio/q/K.mp3"}


class KmsStore(MemoryStore):
    """Objects under a KMS key: their ETags look like MD5s and are none."""

    async def head(self, uri: S3Uri, *, deadline: float | None = None) -> ObjectInfo:
        """Answer without an MD5, as the engine reads such an answer."""
        info = await super().head(uri, deadline=deadline)
        return replace(info, checksums=Checksums())


@pytest.mark.asyncio
async def test_under_a_kms_key_equal_sizes_are_the_same(ground: SyncGround) -> None:
    """Else the whole archive would be moved every night. It costs one HEAD, once."""
    ground.store = KmsStore(ground.buckets, faults=ground.requests)
    ground.file(AUDIO, b"these bytes")
    ground.object(AUDIO, b"whose size!")

    for heads in (1, 0):
        ground.requests.seen.clear()
        report = await ground.sync().pull()
        assert report.total(State.SAME) == 1
        assert ground.requests.count(Verb.HEAD) == heads
        assert report.moved == 0


@pytest.mark.asyncio
async def test_equal_size_and_time_do_not_hide_another_content(ground: SyncGround) -> None:
    """A correction of one letter keeps the size, and a copy keeps the time."""
    ground.file(TRANSCRIPT, b"turdice")
    ground.object(TRANSCRIPT, b"turdis!")

    await ground.sync().pull()

    assert ground.files()[TRANSCRIPT] == b"turdis!"


@pytest.mark.asyncio
async def test_a_known_file_is_not_read_again(
    ground: SyncGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive of 500 GB must not be hashed every night; losing the state costs one reading."""
    ground.file(AUDIO, b"a")
    ground.object(AUDIO, b"a")
    ground.object(TRANSCRIPT, b"t")
    ground.file("rss/a.xml", b"r")
    reads: list[str] = []

    def checksum_of(source: object, kind: str) -> str:
        reads.append(kind)
        return hashlib.md5(b"a", usedforsecurity=False).hexdigest()

    monkeypatch.setattr("daemons.ingester.syncing.comparing.checksum_of", checksum_of)
    for expected in (1, 1):
        await ground.sync().pull()
        await ground.sync().push()
        assert len(reads) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["downloaded", "placed", "uploaded"])
async def test_killed_at_any_step_the_next_run_ends_the_same(ground: SyncGround, name: str) -> None:
    """No half file has a name, nothing is left in the work folder, nothing is sent twice."""
    ground.object(AUDIO, b"from S3")
    ground.file(TRANSCRIPT, b"from here")

    def die(step: str) -> None:
        if step == name:
            raise KilledError

    with pytest.raises(BaseExceptionGroup):
        await _pull_and_push(ground.sync(step=die))
    (ground.place.work / "left by a kill").write_bytes(b"half")
    await ground.sync().pull()
    await ground.sync().push()

    assert ground.files() == ground.objects() == {AUDIO: b"from S3", TRANSCRIPT: b"from here"}
    assert list(ground.place.work.iterdir()) == []
    assert ground.requests.keys(Verb.PUT) == [TRANSCRIPT]


async def _pull_and_push(sync: SiteSync) -> None:
    await sync.pull()
    await sync.push()


class KilledError(BaseException):
    """Ends everything, as a signal would."""


@pytest.mark.asyncio
async def test_a_full_disk_ends_the_downloads_of_the_run(
    ground: SyncGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a thousand files would fill what is left, fail, and be read from S3 for nothing."""
    for number in range(30):
        ground.object(f"audio/p/{number:02}.mp3")

    tried: list[object] = []

    async def full(_store: object, uri: object, *_: object, **__: object) -> None:
        tried.append(uri)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transfer, "fetch_file", full)
    report = await ground.sync().pull()

    assert report.failures.count == 30
    assert len(tried) <= PARALLEL
    assert any("disk is full" in note.reason for note in report.failures.named)


@pytest.mark.parametrize(
    ("number", "fate"),
    [(errno.ENAMETOOLONG, Fate.SKIPPED), (errno.ENOTDIR, Fate.SKIPPED), (errno.EIO, Fate.FAILED)],
)
def test_what_a_disk_says_to_a_name_is_no_failure_of_the_run(number: int, fate: Fate) -> None:
    """It would fail every night, and nobody would look at the exit status any more."""
    assert fate_of(OSError(number, "")) is fate


@pytest.mark.asyncio
async def test_real_trees_converge_and_rest(tmp_path: Path) -> None:
    """The same promise on a disk: any pair of trees is equal after one run, and stays so."""
    for seed in range(12):
        ground = SyncGround(_made(tmp_path / str(seed)))
        before = _lay(ground, Random(seed))  # noqa: S311 - the same trees every time
        await ground.sync().pull()
        await ground.sync().push()
        ground.requests.seen.clear()
        held = ground.inodes(), ground.objects()

        reports = [await ground.sync().pull(), await ground.sync().push()]

        assert [(report.moved, report.status) for report in reports] == [(0, SyncStatus.OK)] * 2
        assert (ground.inodes(), ground.objects()) == held
        assert {verb for verb, _ in ground.requests.seen} <= {Verb.LIST}
        full = {path: body for path, body in ground.files().items() if body}
        assert full == {path: body for path, body in ground.objects().items() if body}
        assert set(full) == set(before)


def _lay(ground: SyncGround, dice: Random) -> Sequence[str]:
    """Lay two random trees; returns the paths that have bytes on either side."""
    paths = [
        f"{folder}/{name}"
        for folder, suffix in (("audio", ".mp3"), ("transcripts", ".srt"), ("rss", ".xml"))
        for name in (f"a/1{suffix}", f"a-b/1{suffix}", f"a{suffix}", f"é/1{suffix}")
    ]
    found = []
    for path in paths:
        sides = dice.choice(["here", "there", "both", "both", "none"])
        bodies = [dice.choice([b"", b"one", b"two", b"three"]) for _ in range(2)]
        times = [NOON + timedelta(seconds=dice.randrange(6)) for _ in range(2)]
        if sides in {"here", "both"}:
            ground.file(path, bodies[0], times[0])
        if sides in {"there", "both"}:
            ground.object(path, bodies[1], times[1])
        kept = [
            *bodies[:1] * (sides in {"here", "both"}),
            *bodies[1:] * (sides in {"there", "both"}),
        ]
        found += [path] * any(kept)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.asyncio
async def test_a_long_reading_is_seen_to_get_on(
    ground: SyncGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run reads the whole archive without a request; no watchdog may end it."""
    monkeypatch.setattr(comparing, "_FILES_TOGETHER", 2)
    for number in range(6):
        ground.file(f"audio/{number}.mp3")
        ground.object(f"audio/{number}.mp3")
    beats: list[int] = []

    await ground.sync(alive=lambda: beats.append(len(ground.requests.seen))).look()

    assert len(beats) == 3
