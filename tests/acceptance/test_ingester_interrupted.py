"""Runs that are ended early: asked to, or killed while something else works for them."""

import json
import os
import select
import shutil
import signal
from pathlib import Path

import anyio

from tests.support.commanding import wait_until_gone
from tests.support.daemon import LIMIT_SECONDS, Daemon
from tests.support.gate import Gate
from tests.support.ingest_checks import check_idle, check_in_step
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, SiteSetup
from tests.support.ingest_world import IngestWorld
from tests.support.podcast_web import answer, held
from tests.support.speaking import NEEDS_FFMPEG, WhisperFolder

pytestmark = NEEDS_FFMPEG

SITE = SiteSetup("hardfork", ACCOUNT_A, ("hard-fork",))
LONG_SECONDS = 20.5 * 60
HANGS = '#!/bin/sh\necho $$ > "{pipe}"\nexec sleep 600\n'


class Hanging:
    """A program that says its process id and then does nothing for long."""

    def __init__(self, program: Path) -> None:
        pipe = program.with_suffix(".pipe")
        os.mkfifo(pipe)
        self._pipe = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        program.write_text(HANGS.format(pipe=pipe))
        program.chmod(0o755)

    def end_with(self, daemon: Daemon) -> None:
        """Kill a run once it has started the program, and see that it ends, too."""
        assert select.select([self._pipe], [], [], LIMIT_SECONDS)[0], daemon.tail()
        child = int(os.read(self._pipe, 100))
        os.close(self._pipe)
        assert daemon.kill() == -signal.SIGKILL
        anyio.run(wait_until_gone, child)


def hold_download(world: IngestWorld) -> Gate:
    """Publish two episodes, the second of which is still on its way until the gate opens."""
    gate = Gate()
    world.add_site(SITE)
    second = Published("hard-fork", "Second", 1)
    world.publish(SITE.id, Published("hard-fork", "First", 0))
    world.publish(SITE.id, second, audio=held(second.body, gate))
    return gate


def let_go(world: IngestWorld, gate: Gate) -> None:
    """End the trouble of `hold_download`."""
    gate.open()
    second = world.published[SITE.id][1]
    world.web.put(second.path, answer(second.body, Content_Type="audio/mpeg"))


def test_a_signal_ends_a_run_and_its_summary_is_written(world: IngestWorld) -> None:
    """130, temporary files gone, the interruption on record; the next run goes on."""
    gate = hold_download(world)
    daemon = world.start()
    gate.reached_blocking()
    daemon.signal(signal.SIGTERM)

    run = world.ended(daemon)

    assert run.status == 130, run.why
    assert run.summary["interrupted"]
    assert run.summary["hasErrors"]
    assert [each["siteId"] for each in run.summary["results"]] == [SITE.id]
    kept = sorted((world.state / "runs").glob("*.json"))
    assert json.loads(kept[-1].read_text())["interrupted"]
    let_go(world, gate)
    again = world.run()
    assert again.status == 0, again.why
    check_in_step(world, SITE.id)


def test_a_second_run_on_the_same_data_ends_at_once(world: IngestWorld) -> None:
    """Status 3, without a request; the first one is not disturbed."""
    gate = hold_download(world)
    first = world.start("--json-summary", str(world.folder / "first.json"))
    gate.reached_blocking()
    world.forget()

    second = world.run("--state-directory", str(world.folder / "another-state"))

    assert second.status == 3, second.why
    assert second.summary == {}
    assert world.s3.requests() == []
    assert world.aws.asked == []
    let_go(world, gate)
    assert world.ended(first).status == 0
    check_in_step(world, SITE.id)


def test_killed_while_it_listens_it_begins_that_episode_anew(world: IngestWorld) -> None:
    """No orphan burns the processor, no half of a transcript is there, no lock stays."""
    whisper = WhisperFolder(world.folder / "whisper.cpp")
    whisper.behave()
    variables = {
        "WHISPER_API_PROVIDER": "local-whisper.cpp",
        "WHISPER_CPP_PATH": str(whisper.path),
        "WHISPER_CPP_MODEL": "tiny",
    }
    world.project.write_variables(world.project.root / ".env.local", variables)
    world.add_site(SITE)
    world.publish(SITE.id, Published("hard-fork", "Only", 0))
    Hanging(whisper.path / "build/bin/whisper-cli").end_with(world.start())
    whisper.behave()

    check_next_run(world)


def test_killed_while_audio_is_cut_it_cuts_anew(world: IngestWorld) -> None:
    """A long episode goes through ffmpeg in chunks; nothing of a dead run is mistaken for one."""
    tools = world.folder / "tools"
    tools.mkdir()
    world.extra["PATH"] = f"{tools}:{os.environ['PATH']}"
    world.add_site(SITE)
    world.publish(SITE.id, Published("hard-fork", "Long", 0, seconds=LONG_SECONDS))
    Hanging(tools / "ffmpeg").end_with(world.start())
    shutil.rmtree(tools)

    check_next_run(world)

    srt = next(body for path, body in world.local(SITE.id).items() if path.endswith(".srt"))
    assert b"\n00:20:2" in srt


def check_next_run(world: IngestWorld) -> None:
    """The next run ends as an undisturbed one; what the dead one left is removed once it is old."""
    workspaces = list((world.project.data / "work" / "speech").glob("speech-*"))
    assert len(workspaces) == 1
    os.utime(workspaces[0], (0, 0))

    run = world.run()

    assert run.status == 0, run.why
    assert run.summary["totalEpisodesTranscribed"] == 1
    check_in_step(world, SITE.id)
    check_idle(world)
