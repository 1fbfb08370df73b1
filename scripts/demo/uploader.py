"""First chapter: files appear below `output/s3`, arrive in S3 and leave the disk.

Three processes: the writer, the real daemon, and this one, which holds the S3, watches, kills the
daemon in the middle of its work, and checks everything at the end.
"""

import sys
import time
from pathlib import Path

import anyio
from anyio import to_thread

from scripts.demo.bell import open_bell
from scripts.demo.children import Child, Children, open_children
from scripts.demo.daemon_log import read_lives
from scripts.demo.disk import is_hidden, key_of, look_at
from scripts.demo.embedded_s3 import EmbeddedS3, Hung
from scripts.demo.observer import Observer
from scripts.demo.pictures import colony_picture
from scripts.demo.records import Produced
from scripts.demo.screenplay import BUCKETS, LINK, SCALES, Scale, files_in, plan_writing
from scripts.demo.stage import Stage, within
from scripts.demo.summary import show_invitation, show_summary
from scripts.demo.timing import Outage, delays_of, shown
from scripts.demo.uploader_daemon import UploaderDaemon
from scripts.demo.verdict import Crash, Facts, judge
from scripts.demo.writer import OUTSIDE
from tests.support.effects import Digest, check_effects, remote_of

TITLE = "Uploader"
MEANING = "every file that settles below output/s3 reaches S3, verified, and leaves the disk"

_MIDFLIGHT_SECONDS = 60.0
_WRITING_SECONDS = 120.0
_DRAIN_SECONDS = 60.0


async def run_chapter(stage: Stage) -> bool:
    """Play the chapter; returns whether every promise was kept.

    Raises:
        DemoFailed: it could not be played to its end.
    """
    with EmbeddedS3(SCALES[stage.scale]) as s3:
        async with open_children() as children, open_bell() as bell:
            daemon = UploaderDaemon(stage.folder, s3, children, bell)
            story = _Story(stage, s3, daemon, children)
            stage.board.chapter(TITLE, MEANING)
            with stage.board.live():
                facts = await story.play()
            checks = judge(facts)
            show_summary(stage, facts, checks)
            if stage.keep:
                await story.linger()
    return all(check.holds for check in checks)


class _Story:
    """The chapter's course."""

    def __init__(
        self, stage: Stage, s3: EmbeddedS3, daemon: UploaderDaemon, children: Children
    ) -> None:
        self._stage = stage
        self._scale: Scale = SCALES[stage.scale]
        self._s3 = s3
        self._daemon = daemon
        self._children = children
        self._link = daemon.root / LINK
        self._outside = daemon.root.parent / OUTSIDE
        steps = plan_writing(self._scale)
        self._planned = files_in(steps)
        self._observer = Observer(daemon.root, s3, stage.board, self._planned)

    async def play(self) -> Facts:
        """Play it from the first file to the empty disk."""
        say = self._stage.board.say
        say(f"an S3 at {self._s3.server.url}, buckets {', '.join(sorted(BUCKETS.values()))}")
        self._daemon.root.mkdir(parents=True)
        self._outside.write_bytes(colony_picture(1))
        seconds = await self._daemon.start()
        say(f"the uploader is ready after {shown(seconds)} (process {self._daemon.pid})")
        async with self._observer.watching(self._daemon.check), anyio.create_task_group() as tasks:
            writer = await self._start_writer()
            tasks.start_soon(self._observer.follow, writer)
            say(
                f"the writer begins: {self._planned} files in {self._scale.seconds:g} s, "
                "some growing slowly, many at once"
            )
            crash = await self._kill_and_restart()
            with within(_WRITING_SECONDS + _DRAIN_SECONDS, "the disk to be empty"):
                await self._observer.drained.wait()
            say("the writer has ended and the disk is empty")
        status = None if self._stage.keep else await self._stop()
        return await to_thread.run_sync(self._facts, crash, status)

    async def linger(self) -> None:
        """Leave everything running until a person ends it."""
        show_invitation(self._stage, self._daemon, self._s3.server.environment())
        with self._stage.board.live():
            async with self._observer.watching(self._daemon.check):
                await self._stage.linger.wait()
        await self._stop()

    async def _start_writer(self) -> Child:
        return await self._children.start(
            "writer",
            [
                *(sys.executable, "-m", "scripts.demo.writer"),
                *(str(self._daemon.root), self._stage.scale),
            ],
            log=self._stage.folder / "writer.log",
            piped=True,
        )

    async def _kill_and_restart(self) -> Crash:
        """Strike in the middle of a surge, look at what that leaves, and start again."""
        say = self._stage.board.say
        with within(_MIDFLIGHT_SECONDS, "uploads in flight"):
            await self._s3.midflight.wait(_MIDFLIGHT_SECONDS)
        killed_ns = time.time_ns()
        status = await self._daemon.kill()
        self._s3.answer_all()
        self._observer.outage = Outage(killed_ns)
        disk = await to_thread.run_sync(look_at, self._daemon.root)
        hung = self._s3.hanging
        say(
            f"SIGKILL in the middle of a surge: {hung[Hung.UNCOMMITTED]} uploads not carried out, "
            f"{hung[Hung.COMMITTED]} carried out but not answered, a large file half sent",
            "bold red",
        )
        open_uploads = len(self._s3.server.open_uploads())
        # The story goes on without the daemon for a while; the writer does not notice.
        await anyio.sleep(self._scale.outage_seconds)
        seconds = await self._daemon.start()
        outage = self._observer.outage = Outage(killed_ns, time.time_ns())
        say(f"the uploader is back, ready after {shown(seconds)} (process {self._daemon.pid})")
        return Crash(
            outage,
            status,
            uncommitted=hung[Hung.UNCOMMITTED],
            committed=hung[Hung.COMMITTED],
            open_uploads=open_uploads,
            hidden=disk.hidden,
            on_disk=len(disk.files),
        )

    async def _stop(self) -> int:
        began = time.monotonic()
        status = await self._daemon.stop()
        seconds = time.monotonic() - began
        self._stage.board.say(
            f"SIGTERM: the uploader ended with exit status {status} after {shown(seconds)}"
        )
        return status

    def _facts(self, crash: Crash, status: int | None) -> Facts:
        """Collect what was seen."""
        produced, landed = self._observer.produced, self._s3.landed()
        with self._daemon.log.open(encoding="utf-8", errors="replace") as log:
            lives = read_lives(log)
        left = look_at(self._daemon.root).files
        return Facts(
            produced=produced,
            landed=landed,
            delays=delays_of(produced, landed, crash.outage),
            broken_effects=_broken_effects(produced, self._s3, self._daemon.root),
            crash=crash,
            lives=lives,
            requests=self._s3.server.count(),
            open_uploads=len(self._s3.server.open_uploads()),
            left_on_disk=[str(path.relative_to(self._daemon.root)) for path in left],
            link_untouched=self._link.is_symlink() and self._outside.is_file(),
            writer_status=self._observer.writer_status,
            daemon_status=status,
        )


def _broken_effects(produced: list[Produced], s3: EmbeddedS3, root: Path) -> list[str]:
    """Run the effect check on each bucket."""
    broken: list[str] = []
    for folder, bucket in BUCKETS.items():
        contents: dict[str, list[Digest]] = {}
        for one in produced:
            if one.bucket == bucket:
                contents.setdefault(one.key, []).append(Digest(one.size, one.sha256))
        remote = remote_of(s3.server, bucket)
        try:
            check_effects(contents, remote, root / folder, key_of=key_of, is_hidden=is_hidden)
        except AssertionError as error:
            broken += str(error).splitlines()[1:]
    return broken
