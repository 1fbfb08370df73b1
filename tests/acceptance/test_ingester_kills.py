import json
import os
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.archive.manifest import Manifest, parse_manifest, with_episodes
from daemons.ingester.speech.srt import decode_srt, parse_srt
from tests.support.aws_answers import Invoked
from tests.support.daemon import Daemon, Nursery
from tests.support.ended_lives import End, play_two
from tests.support.ingest_archive import FETCHED_AT, entry_of, episode_files
from tests.support.ingest_checks import check_idle, check_in_step
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, SiteSetup
from tests.support.ingest_world import IngestWorld, open_world
from tests.support.soak import repetitions
from tests.support.speaking import NEEDS_FFMPEG
from tests.support.strict_s3.faults import Stage

pytestmark = NEEDS_FFMPEG

SITE = SiteSetup("hardfork", ACCOUNT_A, ("hard-fork", "hard-fork-extra"), distribution="E2HARDFORK")
STEPS = (
    *("downloaded", "placed", "feed_archived", "file_written", "manifest_saved"),
    *("feed_remembered", "audio_arriving", "audio_placed", "transcription_begun"),
    *("manifest_merged", "transcription_settled", "search_entries_written"),
    *("uploaded", "manifest_uploaded"),
)
FOLDERS = ("audio", "search-entries", "episode-manifest")
STAGES = (Stage.ARRIVAL, Stage.AFTER_COMMIT)
"""Before the server has done anything, and when it has done everything and said nothing."""
INVOKED = End("Invoke")
ENDS = (
    *(End("PutObject", stage, f"{folder}/*") for folder in FOLDERS for stage in STAGES),
    *(End(name, stage) for name in ("ListObjectsV2", "GetObject") for stage in STAGES),
    *map(End, STEPS),
    INVOKED,
)
ROUNDS = repetitions(1, 20)
"""How often each end is met."""
LIVES = 12
"""Before one runs to its end."""


class Lives:
    """Runs that end early, and some that do not; each finds two episodes that are new to it."""

    def __init__(self, world: IngestWorld) -> None:
        self.world = world
        self.done: set[str] = set()
        """Keys whose transcript is complete, here or in S3."""
        self.indexed = 0
        """How much had been uploaded when the index was last asked for."""

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
        """Publish an episode, and another one that is in S3 already."""
        new = Published("hard-fork", f"New {number}", 2 * number)
        other = Published("hard-fork-extra", f"Elsewhere {number}", 2 * number + 1)
        self.world.publish(SITE.id, new, other)
        self._do_elsewhere(other)
        self.done |= self._transcribed()

    def begin(self, end: End) -> Daemon:
        """Start a life that does one run and may end before."""
        world = self.world
        world.aws.on_invoke = self._note_index
        if end is not INVOKED:
            return end.begin(world.s3, lambda step: world.start(step=step))
        world.s3.faults.clear()
        started: list[Daemon] = []

        def kill(invoked: Invoked) -> None:
            self._note_index(invoked)
            with suppress(ProcessLookupError):
                os.kill(started[0].pid, signal.SIGKILL)

        world.aws.on_invoke = kill
        started.append(world.start())
        return started[0]

    def look(self) -> None:
        """Nothing partial has its name, and nothing was transcribed that was transcribed before."""
        daemon = self.world.daemons[-1]
        begun = {event.fields["key"] for event in daemon.events("transcription_started")}
        assert not begun & self.done, daemon.tail()
        bodies = {each.body for each in self.world.published[SITE.id]}
        for files in (self.world.local(SITE.id), self.world.remote(SITE.id)):
            for path, body in files.items():
                if path.startswith("audio/"):
                    assert body in bodies, path
                elif path.endswith(".json"):
                    json.loads(body)
                elif path.endswith(".srt"):
                    assert parse_srt(decode_srt(body)).cues, path

    def finish(self) -> None:
        """Let one life run to its end and check what it comes to."""
        world = self.world
        world.s3.faults.clear()
        world.aws.on_invoke = self._note_index
        for folder in (world.project.data / "work" / "speech").glob("speech-*"):
            os.utime(folder, (0, 0))
        run = world.run()
        assert run.status == 0, run.why
        check_in_step(world, SITE.id)
        written = Counter(
            each.key for each in world.writes() if each.key.startswith(("audio/", "transcripts/"))
        )
        assert set(written.values()) <= {1}, written.most_common(3)
        assert self.indexed == self._counted(), "something was uploaded and not indexed"
        world.daemons.clear()

    def _do_elsewhere(self, episode: Published) -> None:
        """Lay an episode with all its files down in S3, as another machine's run leaves it."""
        there = self.world.remote(SITE.id).get(MANIFEST_PATH)
        manifest = Manifest() if there is None else parse_manifest(there)
        manifest = with_episodes(manifest, [entry_of(self.world, episode)], FETCHED_AT).manifest
        files = episode_files(episode, len(manifest.episodes))
        whole = {**files, MANIFEST_PATH: manifest.to_bytes()}
        self.world.s3.seed(SITE.bucket, whole)

    def _note_index(self, _invoked: Invoked) -> None:
        self.indexed = self._counted()

    def _counted(self) -> int:
        """Count the uploads that an index must follow."""
        return sum(not each.key.startswith("rss/") for each in self.world.writes())

    def _transcribed(self) -> set[str]:
        files = self.world.local(SITE.id).keys() | self.world.remote(SITE.id).keys()
        return {Path(path).stem for path in files if path.startswith("transcripts/")}


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
            check_idle(world)
            return met

    met = play_two(play)

    assert set(met) == {str(end) for end in ENDS}
