import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemons.uploader.job import FileJobs, Found, JobRules, Result
from shared.fswatch.names import SkipRules
from shared.fswatch.scan import scan_tree
from shared.removal import HIDDEN_FOLDER
from shared.s3.errors import OutcomeUnknown, Throttled
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.pinned import crc64nvme
from shared.s3.store import NO_OPTIONS, Evidence
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc
from tests.support.soak import repetitions
from tests.support.writer import UNSEEN, Act, Writer

BUCKET = "colony-shots"
URI = S3Uri(BUCKET, "a.bin")
PART = 10
MEMORY = Path("/dev/shm")
RULES = JobRules(Evidence.ETAG_MD5, 2 * PART, NO_OPTIONS)
PASSES_MAX = 6


@dataclass(frozen=True, slots=True)
class Story:
    """What happens, an entry for each moment that the job comes by."""

    size: int
    held_before: bytes | None
    prologue: Act
    """What the writer does before anybody looks."""
    acts: list[Act | str]
    ask_first: bool
    forgetful: bool
    """Each pass is the first of a new process."""


def acts() -> st.SearchStrategy[list[Act | str]]:
    """Acts out of a few kinds, so that they meet each other often."""
    kinds = st.lists(st.sampled_from([*Act, "refused", "answer lost"]), min_size=1, max_size=3)
    return kinds.flatmap(
        lambda few: st.lists(st.sampled_from([Act.NOTHING, Act.NOTHING, *few]), max_size=20)
    )


def stories() -> st.SearchStrategy[Story]:
    """Stories with much going on at every moment."""
    return st.builds(
        Story,
        size=st.sampled_from([0, 1, 12, 2 * PART, 3 * PART + 4]),
        held_before=st.sampled_from([None, b"", b"001001001001", b"other content"]),
        prologue=st.sampled_from([Act.NOTHING, Act.NOTHING, Act.HOLD, Act.MAP]),
        acts=acts(),
        ask_first=st.booleans(),
        forgetful=st.booleans(),
    )


def told(act: Act | str, *, at: int, then: Act | None = None, prologue: Act = Act.NOTHING) -> Story:
    """A story in which little happens, at one moment of a small new file."""
    quiet: list[Act | str] = [Act.NOTHING] * at
    last = [] if then is None else [then]
    return Story(12, None, prologue, [*quiet, act, *last], ask_first=False, forgetful=False)


@dataclass
class Stage(Faults):
    """Hands the moments to the writer, and breaks requests where the story says so."""

    writer: Writer
    acts: list[Act | str]
    played: list[str] = field(default_factory=list)
    fault: str = ""

    def moment(self, name: str) -> None:
        """Let the writer act at a moment between two steps."""
        if self.acts:
            act = self.acts.pop(0)
            self.played.append(f"{name}: {act}")
            if isinstance(act, Act):
                self.writer.act(act)
            else:
                self.fault = act

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """The moment before a request is carried out."""
        self.moment(f"before {verb}")
        if self.fault == "refused":
            self.fault = ""
            raise Throttled(uri)

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """The moment before the answer arrives."""
        self.moment(f"after {verb}")
        if self.fault == "answer lost":
            self.fault = ""
            raise OutcomeUnknown(uri)


async def deliver(root: Path, stage: Stage, buckets: MemoryBuckets, story: Story) -> None:
    """Do passes until the story is told and the disk is empty, or nothing changes any more."""
    store = MemoryStore(buckets, faults=stage, threshold=2 * PART, part_size=PART)
    fresh = partial(FileJobs, store, root, RULES, clock=time.monotonic, step=stage.moment)
    jobs = fresh()
    for number in range(PASSES_MAX + len(stage.acts)):
        if number >= PASSES_MAX:
            stage.acts.clear()
            stage.writer.let_go()
        jobs = fresh() if story.forgetful else jobs
        results = await one_pass(root, jobs, story)
        stage.writer.settle()
        if not stage.acts:
            stage.writer.let_go()
            if not results:
                return


async def one_pass(root: Path, jobs: FileJobs, story: Story) -> list[Result]:
    """Run a job for each file that a scan finds."""
    return [
        await jobs.run(Found(file, S3Uri(BUCKET, file.path.partition("/")[2]), story.ask_first))
        for batch in list(scan_tree(root, SkipRules()))
        for file in batch.files
    ]


def check(writer: Writer, buckets: MemoryBuckets, stage: Stage, story: Story) -> None:
    """Nothing lost, nothing invented, and the disk is empty unless something stands in the way."""
    held = buckets.look(URI)
    body = None if held is None else held.body
    hidden = writer.path.parent / HIDDEN_FOLDER / writer.path.name
    on_disk = [path.read_bytes() for path in (writer.path, hidden) if path.exists()]
    note = f"{story}\n{stage.played}\nin S3 {body!r}, on disk {on_disk}, newest {writer.newest!r}"
    if writer.newest is not None:
        assert writer.newest in [body, *on_disk], f"lost: {note}"
        assert hidden.exists() or writer.newest == body, f"not delivered: {note}"
        assert hidden.exists() or not on_disk, f"left on disk: {note}"
    if not any(act in UNSEEN for act in story.acts):
        complete = {encode_crc(crc64nvme(state)) for state in writer.states}
        written = {mutation.crc64nvme for mutation in buckets.history()[seeded(story) :]}
        assert written <= complete, f"never a complete state: {note}"


def seeded(story: Story) -> int:
    """How many changes of the bucket were made before the story began."""
    return 0 if story.held_before is None else 1


def play(story: Story, portal: BlockingPortal) -> None:
    """Tell one story on a tree and buckets of its own."""
    buckets = MemoryBuckets(BUCKET)
    if story.held_before is not None:
        buckets.put(URI, story.held_before)
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as base:
        root = Path(base)
        (root / BUCKET).mkdir()
        writer = Writer(root / BUCKET / URI.key)
        writer.create(writer._fresh(story.size))
        writer.act(story.prologue)
        stage = Stage(writer, list(story.acts))
        try:
            portal.call(deliver, root, stage, buckets, story)
        finally:
            writer.let_go()
        check(writer, buckets, stage, story)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """One loop for all stories: making one takes longer than telling a story."""
    with start_blocking_portal(backend_options={"use_uvloop": True}) as opened:
        yield opened


@settings(
    max_examples=repetitions(1200, 30_000),
    deadline=None,
    derandomize=repetitions(1, 0) == 1,
    suppress_health_check=list(HealthCheck),
)
@given(stories())
def test_newest_content_is_never_removed_before_s3_has_it(
    portal: BlockingPortal, story: Story
) -> None:
    """Whatever a writer does at whatever moment, its last word is in S3 or still on disk."""
    play(story, portal)


AFTER_THE_READ = 3
"""The moments before: pinned, send, before put."""


@pytest.mark.parametrize("at", range(10))
@pytest.mark.parametrize("act", [act for act in Act if act is not Act.NOTHING])
def test_each_act_at_each_moment(portal: BlockingPortal, act: Act, at: int) -> None:
    """The table behind the property: no combination is left to chance."""
    play(told(act, at=at), portal)


def test_store_into_a_mapping_is_never_lost(portal: BlockingPortal) -> None:
    """Neither size nor any time shows it, and by the time of the removal nobody holds the file."""
    play(told(Act.STORE, at=AFTER_THE_READ, then=Act.LET_GO, prologue=Act.MAP), portal)


def test_rewriting_with_the_old_time_is_never_lost(portal: BlockingPortal) -> None:
    """Copying tools put times back; only the change time tells."""
    play(told(Act.REWRITE_UNSEEN, at=AFTER_THE_READ), portal)
