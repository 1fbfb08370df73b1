import errno
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.uploader.job import Ending, FileJobs, Found, JobRules, Result
from daemons.uploader.plan import Remote
from shared.fswatch.stability import LocalFile
from shared.removal import HIDDEN_FOLDER, Removal
from shared.s3.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    ObjectError,
    OutcomeUnknown,
    SourceChanged,
)
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.pinned import identity_of
from shared.s3.store import Evidence, ObjectInfo, PutOptions
from shared.s3.uri import S3Uri
from tests.support.uploading import BUCKET, Place

pytestmark = pytest.mark.asyncio

URI = S3Uri(BUCKET, "a.png")
PATH = f"{BUCKET}/a.png"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a root with one settled file."""
    place = Place(tmp_path / "root")
    place.write(PATH)
    return place


def found(place: Place, *, ask_first: bool = False) -> Found:
    """Find the file as a scan does."""
    return Found(LocalFile(PATH, identity_of((place.root / PATH).lstat())), URI, ask_first)


def raising(verb: Verb, error: ObjectError) -> Callable[[Verb, S3Uri], ObjectError | None]:
    """Let one kind of request fail."""
    return lambda asked, _uri: error if asked is verb else None


async def test_steps_come_in_the_order_that_promises(place: Place) -> None:
    """Pinned, sent, acknowledged, and only then hidden, compared and unlinked."""
    steps: list[str] = []
    place.step = lambda step: steps.append(f"{step} {place.held('a.png') is not None}")

    result = await place.jobs().run(found(place))

    assert result.removal is Removal.REMOVED
    assert steps == [
        "pinned False",
        "send False",
        "acknowledged True",
        "hide True",
        "compare True",
        "unlink True",
        "unlinked True",
    ]


@pytest.mark.parametrize("weakest", [Evidence.ETAG_MD5, Evidence.READ_BACK, Evidence.ANSWERED])
async def test_only_evidence_that_is_strong_enough_removes(place: Place, weakest: Evidence) -> None:
    """An upload without an exception is no proof."""
    place.buckets = MemoryBuckets(BUCKET, answers_checksums=False)
    place.weakest = weakest

    result = await place.jobs().run(found(place))

    assert result.evidence is Evidence.ETAG_MD5
    removed = weakest <= Evidence.ETAG_MD5
    assert (result.removal is Removal.REMOVED) is removed
    assert (place.left() == []) is removed


@pytest.mark.parametrize("error", [OutcomeUnknown(URI), SourceChanged(URI), AccessDenied(URI)])
async def test_failed_upload_removes_nothing(place: Place, error: ObjectError) -> None:
    """Whatever the failure says, the file stays, and nothing is remembered as delivered."""
    place.requests.lost = raising(Verb.PUT, error)
    jobs = place.jobs()

    result = await jobs.run(found(place))

    assert result.removal is None
    assert not result.delivered
    assert place.left() == [PATH]
    assert jobs._delivered == {}


async def test_who_may_not_look_may_still_create(place: Place) -> None:
    """A role with PutObject alone sees 403 on HEAD of what is not there."""
    place.requests.fault = raising(Verb.HEAD, AccessDenied(URI))

    result = await place.jobs().run(found(place, ask_first=True))

    assert result.ending is Ending.UPLOADED
    assert place.left() == []


async def test_who_may_not_look_overwrites_nothing(place: Place) -> None:
    """There is something, and what it is cannot be told: that is the bucket's trouble."""
    place.requests.fault = raising(Verb.HEAD, AccessDenied(URI))
    place.buckets.put(URI, b"somebody else's")

    result = await place.jobs().run(found(place, ask_first=True))

    assert isinstance(result.error, AccessDenied)
    assert place.held("a.png") == b"somebody else's"
    assert place.left() == [PATH]


async def test_object_that_keeps_changing_is_left_for_later(place: Place) -> None:
    """Two machines that write the same key must not keep each other busy for ever."""
    numbers = iter(range(1000))

    def interfere(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.PUT:
            place.buckets.put(uri, str(next(numbers)).encode())

    place.requests.fault = interfere

    result = await place.jobs().run(found(place))

    assert isinstance(result.error, Conflict)
    assert len(place.requests.seen) <= 12
    assert place.left() == [PATH]


async def test_object_that_comes_and_goes_is_left_for_later(place: Place) -> None:
    """The same with a 404 to every condition."""
    place.buckets.put(URI, b"theirs")
    place.requests.fault = raising(Verb.PUT, NotFound(URI))

    result = await place.jobs().run(found(place))

    assert isinstance(result.error, Conflict)
    assert place.left() == [PATH]


async def test_large_file_is_asked_for_first(place: Place) -> None:
    """Sending gigabytes to learn that they are there already is dear."""
    place.buckets.put(URI, b"content")
    store = MemoryStore(place.buckets, faults=place.requests)
    rules = JobRules(Evidence.ETAG_MD5, len(b"content"), PutOptions())
    jobs = FileJobs(store, place.root, rules, clock=lambda: 0.0)

    result = await jobs.run(found(place))

    assert result.ending is Ending.ALREADY_THERE
    assert place.requests.verbs() == [Verb.HEAD]


async def test_options_reach_the_object(place: Place) -> None:
    """Storage class and ACL are the settings', the content type is the name's."""
    store = MemoryStore(place.buckets)
    options = PutOptions(storage_class="STANDARD_IA", acl="private")
    jobs = FileJobs(
        store, place.root, JobRules(Evidence.ETAG_MD5, 1000, options), clock=lambda: 0.0
    )

    await jobs.run(found(place))

    held = place.buckets.look(URI)
    assert held is not None
    assert held.options == replace(options, content_type="image/png")


async def test_listing_that_is_out_of_date_does_no_harm(place: Place) -> None:
    """Minutes may pass between the listing and the job."""
    old = place.buckets.put(URI, b"old")
    listed = replace(found(place), remote=old, listed=True)
    place.buckets.put(URI, b"content")

    result = await place.jobs().run(listed)

    assert result.ending is Ending.ALREADY_THERE
    assert len(place.buckets.history()) == 2
    assert place.left() == []


async def test_listing_that_says_absent_is_not_trusted_blindly(place: Place) -> None:
    """The put is conditional all the same."""
    place.buckets.put(URI, b"theirs")

    result = await place.jobs().run(replace(found(place), remote=Remote.ABSENT, listed=True))

    assert isinstance(result.replaced, ObjectInfo)
    assert result.replaced.size == len(b"theirs")


async def took_its_place(place: Place, make: Callable[[Path], object]) -> Result:
    """Run the job on a path where something else has come to be."""
    job = found(place)
    path = place.root / PATH
    path.unlink()
    make(path)
    return await place.jobs().run(job)


async def test_link_in_its_place_is_not_followed(place: Place, tmp_path: Path) -> None:
    """Nothing outside the root is read, and a link parks nothing."""
    outside = tmp_path / "secret"
    outside.write_bytes(b"secret")

    result = await took_its_place(place, lambda path: path.symlink_to(outside))

    assert result.ending is Ending.CHANGED
    assert place.requests.seen == []


async def test_socket_or_pipe_in_its_place_is_left(place: Place) -> None:
    """Opening one must neither wait nor park."""
    with socket.socket(socket.AF_UNIX) as listening:
        folder = os.open(place.root / BUCKET, os.O_RDONLY)
        here = f"/proc/self/fd/{folder}/a.png"
        result = await took_its_place(place, lambda _: listening.bind(here))
        os.close(folder)
    assert result.ending is Ending.CHANGED

    assert (await took_its_place(place, os.mkfifo)).ending is Ending.CHANGED
    assert (await took_its_place(place, Path.mkdir)).ending is Ending.CHANGED


async def test_folder_that_became_a_link_is_not_entered(place: Place, tmp_path: Path) -> None:
    """The same for every part of the way."""
    job = found(place)
    (place.root / BUCKET).rename(tmp_path / "elsewhere")
    (place.root / BUCKET).symlink_to(tmp_path / "elsewhere")

    result = await place.jobs().run(job)

    assert result.ending is Ending.VANISHED
    assert place.requests.seen == []


async def test_descriptors_are_given_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the ending; a thousand failures must not exhaust them."""

    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def fail(*_: object, **__: object) -> object:
        raise OSError(errno.EIO, "Input/output error")

    jobs = place.jobs()
    before = descriptors()
    place.requests.fault = raising(Verb.PUT, AccessDenied(URI))
    await jobs.run(found(place))
    with monkeypatch.context() as patch:
        patch.setattr("daemons.uploader.job.open_pinned", fail)
        assert (await jobs.run(found(place))).ending is Ending.UNREADABLE
    with monkeypatch.context() as patch:
        patch.setattr("shared.s3.pinned.os.preadv", fail)
        place.requests.fault = lambda _verb, _uri: None
        assert (await jobs.run(found(place))).ending is Ending.UNREADABLE
    await jobs.run(found(place))

    assert descriptors() == before
    assert place.left() == []


async def test_what_could_not_be_removed_is_not_asked_for_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that stays for months must not cost a request a minute."""
    monkeypatch.setattr("daemons.uploader.job._DELIVERED_MAX", 1)
    jobs = place.jobs()
    (place.root / BUCKET / HIDDEN_FOLDER).write_bytes(b"in the way")

    first = await jobs.run(found(place))
    second = await jobs.run(found(place))

    assert isinstance(first.error, OSError)
    assert (second.ending, second.removal) == (Ending.ALREADY_THERE, None)
    assert len(place.requests.seen) == 1
    jobs.forget(PATH)
    assert (await jobs.run(found(place))).ending is Ending.ALREADY_THERE
    assert len(place.requests.seen) > 1


async def test_memory_of_what_was_delivered_is_bounded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgetting costs a question, never a second upload."""
    monkeypatch.setattr("daemons.uploader.job._DELIVERED_MAX", 2)
    jobs = place.jobs()
    (place.root / BUCKET / HIDDEN_FOLDER).write_bytes(b"in the way")
    for name in "bcde":
        place.write(f"{BUCKET}/{name}")
        identity = identity_of((place.root / BUCKET / name).lstat())
        file = LocalFile(f"{BUCKET}/{name}", identity)
        await jobs.run(Found(file, S3Uri(BUCKET, name), ask_first=False))

    assert list(jobs._delivered) == [f"{BUCKET}/d", f"{BUCKET}/e"]
