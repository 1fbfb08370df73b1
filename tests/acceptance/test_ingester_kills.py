import json
import os
import re
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

import daemons.ingester
from daemons.ingester.archive.episode import epoch_ms
from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.archive.manifest import Manifest, parse_manifest, with_episodes
from daemons.ingester.speech.srt import decode_srt, parse_srt
from tests.support.aws_answers import Invoked, broken
from tests.support.daemon import Daemon, Nursery
from tests.support.ended_lives import End, play_two
from tests.support.gate import Gate
from tests.support.ingest_archive import FETCHED_AT, entry_of, episode_files
from tests.support.ingest_checks import check_idle, check_in_step
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, SiteSetup
from tests.support.ingest_world import IngestWorld, open_world
from tests.support.soak import repetitions
from tests.support.speaking import NEEDS_FFMPEG
from tests.support.strict_s3.faults import Stage
from tests.support.strict_s3.history import MutationKind

pytestmark = NEEDS_FFMPEG

SITE = SiteSetup(
    "hardfork",
    ACCOUNT_A,
    ("hard-fork", "hard-fork-extra"),
    distribution="E2HARDFORK",
    corrections={"Good bye": "Goodbye"},
)
OPTIONS = ("--reapply-spelling-corrections", "--prune-superseded")
"""What else there is to die at."""
STEPS = (
    *("downloaded", "placed", "feed_archived", "file_written", "manifest_saved"),
    *("feed_remembered", "audio_arriving", "audio_placed", "transcription_begun"),
    *("manifest_merged", "transcription_settled", "search_entries_written"),
    *("uploaded", "manifest_uploaded", "correction_begun", "transcript_corrected"),
    *("deleted_in_s3", "deleted_here"),
)
WRITTEN = tuple(f"file_written@{occurrence}" for occurrence in range(2, 6))
"""The first one is a feed; a manifest, another feed and two files of search entries follow."""
FOLDERS = ("audio", "episode-manifest")
STAGES = (Stage.ARRIVAL, Stage.AFTER_COMMIT)
"""Before the server has done anything, and when it has done everything and said nothing."""
INVOKED, INVALIDATING = End("Invoke"), End("CreateInvalidation")
ENDS = (
    *(End("PutObject", stage, f"{folder}/*") for folder in FOLDERS for stage in STAGES),
    *(End(name, Stage.AFTER_COMMIT) for name in ("ListObjectsV2", "GetObject")),
    *map(End, (*STEPS, *WRITTEN)),
    INVOKED,
    INVALIDATING,
)
ROUNDS = repetitions(1, 20)
"""How often each end is met."""
NEWER, OLDER = f"--{epoch_ms(FETCHED_AT)}", f"--{epoch_ms(FETCHED_AT) - 1}"
"""How file keys end."""
LIVES = 16
"""Before one runs to its end."""
_STEP = re.compile(r'step\("(\w+)"\)')


class Lives:
    """Runs that end early, and some that do not; each finds two episodes that are new to it."""

    def __init__(self, world: IngestWorld) -> None:
        self.world = world
        self.done: set[str] = set()
        """Keys whose transcript is complete, here or in S3."""
        self.indexed = 0
        """How much had been uploaded when the index was last asked for."""
        self.refreshed = 0
        """How much, when caches were last made to forget."""
        self._invalidations = 0

    def play(self, ends: Sequence[End]) -> "Counter[str]":
        """Live, and die in these ways; returns how often each was met."""
        met: Counter[str] = Counter()
        for number, end in enumerate(ends, 1):
            self.lay_out(number)
            daemon = self.begin(end)
            status = daemon.wait()
            assert status in {0, -signal.SIGKILL}, daemon.tail()
            if status < 0:
                met[str(end)] += 1
            self.look()
            if number % LIVES == 0:
                self.finish()
        self.finish()
        return met

    def lay_out(self, number: int) -> None:
        """Publish an episode, and another one that is in S3 already, with an older version."""
        new = Published("hard-fork", f"New {number}", 2 * number)
        other = Published("hard-fork-extra", f"Elsewhere {number}", 2 * number + 1)
        self.world.publish(SITE.id, new, other)
        self._do_elsewhere(other)
        self.done |= self._transcribed()

    def begin(self, end: End) -> Daemon:
        """Start a life that does one run and may end before."""
        world = self.world
        world.aws.on_invoke = self._note_index
        if end not in (INVOKED, INVALIDATING):
            return end.begin(world.s3, self._start)
        world.s3.faults.clear()
        if end is INVALIDATING:
            return self._begin_invalidating()
        started: list[Daemon] = []

        def kill(invoked: Invoked) -> None:
            self._note_index(invoked)
            with suppress(ProcessLookupError):
                os.kill(started[0].pid, signal.SIGKILL)

        world.aws.on_invoke = kill
        started.append(world.start(*OPTIONS))
        return started[0]

    def _start(self, step: str) -> Daemon:
        name, _, occurrence = step.partition("@")
        return self.world.start(*OPTIONS, step=name, occurrence=int(occurrence or 1))

    def _begin_invalidating(self) -> Daemon:
        """Start a life that is over when it has asked for an invalidation, which is not made."""
        gate = Gate()
        self.world.aws.answers["CreateInvalidation"] = [replace(broken(), held=gate)]
        daemon = self.world.start(*OPTIONS)
        gate.reached_blocking()
        daemon.kill()
        gate.open()
        self.world.aws.answers.clear()
        return daemon

    def look(self) -> None:
        """Nothing partial has its name, and nothing was transcribed that was transcribed before."""
        daemon = self.world.daemons[-1]
        if len(self.world.aws.invalidated) > self._invalidations:
            self._invalidations = len(self.world.aws.invalidated)
            self.refreshed = self._counted()
        begun = {event.fields["key"] for event in daemon.events("transcription_started")}
        assert not begun & self.done, daemon.tail()
        bodies = {each.body for each in self.world.published[SITE.id]}
        for files in (self.world.local(SITE.id), self.world.remote(SITE.id)):
            for path, body in files.items():
                if path.startswith("audio/"):
                    assert body in bodies, path
                elif path.endswith(".json"):
                    json.loads(body)
                elif path.endswith(".xml"):
                    assert body.endswith(b"</rss>\n"), path
                elif path.endswith(".srt"):
                    assert parse_srt(decode_srt(body)).cues, path

    def finish(self) -> None:
        """Let one life run to its end and check what it comes to."""
        world = self.world
        world.s3.faults.clear()
        world.aws.on_invoke = self._note_index
        for folder in (world.project.data / "work" / "speech").glob("speech-*"):
            os.utime(folder, (0, 0))
        run = world.run(*OPTIONS)
        assert run.status == 0, run.why
        check_in_step(world, SITE.id)
        self.look()
        written = Counter(
            key for key in self._uploads() if key.startswith(("audio/", "transcripts/"))
        )
        assert set(written.values()) <= {1}, written.most_common(3)
        assert self.indexed == self._counted(), "something was uploaded and not indexed"
        assert self.refreshed == self._counted(), "something was uploaded and caches have the old"
        world.daemons.clear()

    def _do_elsewhere(self, episode: Published) -> None:
        """Lay an episode with all its files down in S3, as another machine's run leaves it."""
        there = self.world.remote(SITE.id).get(MANIFEST_PATH)
        manifest = Manifest() if there is None else parse_manifest(there)
        manifest = with_episodes(manifest, [entry_of(self.world, episode)], FETCHED_AT).manifest
        files = episode_files(episode, len(manifest.episodes))
        older = {path.replace(NEWER, OLDER): body for path, body in files.items()}
        whole = {**older, **files, MANIFEST_PATH: manifest.to_bytes()}
        self.world.s3.seed(SITE.bucket, whole)

    def _note_index(self, _invoked: Invoked) -> None:
        self.indexed = self._counted()

    def _counted(self) -> int:
        """Count the uploads that an index must follow."""
        return sum(not key.startswith("rss/") for key in self._uploads())

    def _uploads(self) -> list[str]:
        return [each.key for each in self.world.writes() if each.kind is MutationKind.PUT]

    def _transcribed(self) -> set[str]:
        files = self.world.local(SITE.id).keys() | self.world.remote(SITE.id).keys()
        return {Path(path).stem for path in files if path.startswith("transcripts/")}


def test_every_step_of_the_work_is_died_at() -> None:
    """A failpoint that somebody adds, and nobody is killed at, would prove nothing."""
    sources = Path(daemons.ingester.__file__).parent.rglob("*.py")
    steps = {name for path in sources for name in _STEP.findall(path.read_text())}

    assert steps == set(STEPS)


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_the_next_run_ends_as_an_undisturbed_one(
    tmp_path: Path, nursery: Nursery
) -> None:
    """Real SIGKILLs at every step of every phase; no transcript is made twice, none is half."""

    def play(seed: int) -> "Counter[str]":
        with open_world(tmp_path / str(seed), nursery.start) as world:
            world.add_site(SITE)
            lives = Lives(world)
            # Turned about: what one ground meets in the first round, the other does in the next.
            ends = [end for turn in range(ROUNDS) for end in ENDS[(seed + turn) % 2 :: 2]]
            met = lives.play(ends)
            check_idle(world, *OPTIONS)
            return met

    met = play_two(play)

    assert set(met) == {str(end) for end in ENDS}
