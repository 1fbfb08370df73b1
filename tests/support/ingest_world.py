"""The ingester's world: a project on disk, podcasts on the web, two AWS accounts, real processes.

    with open_world(tmp_path, nursery.start) as world:
        world.add_site(SiteSetup("hardfork", ACCOUNT_B, ("hard-fork",)))
        world.publish("hardfork", Published("hard-fork", "Pilot", 0))
        run = world.run()

Everything is on loopback: feeds and audio (`web`), S3 that refuses what AWS refuses (`s3`), and
STS, Lambda and CloudFront (`aws`). The recogniser is the test double.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.aws_control import AWS_REGION, AwsControl
from tests.support.daemon import Daemon, Starter, clean_environment
from tests.support.ingest_feed import Published, feed_xml
from tests.support.ingest_project import Project, SiteSetup
from tests.support.nursery import Birth
from tests.support.podcast_web import Page, PodcastWeb, answer
from tests.support.strict_s3.history import Mutation, MutationKind
from tests.support.strict_s3.server import StrictS3

WEB_CLIENT: Mapping[str, bytes] = {
    "index.html": b"<!doctype html>",
    "assets/app.js": b"search();",
    "automation-tests/note.txt": b"somebody else's",
}
"""What else a site's bucket holds: never touched."""
_RUN_SECONDS = 60.0
S3_BEHIND = timedelta(seconds=10)
"""So far is S3's clock behind ours. Changes here and there within two seconds of one another count
as simultaneous, and what S3 has wins; runs that follow one another at once would meet that."""


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    status: int
    daemon: Daemon
    summary: Mapping[str, Any]
    """What --json-summary wrote; empty where nothing was."""

    def site(self, site_id: str) -> Mapping[str, Any]:
        """Return a site's part of the summary."""
        found: Mapping[str, Any] = next(
            each for each in self.summary["results"] if each["siteId"] == site_id
        )
        return found

    def statuses(self, site_id: str) -> Mapping[str, str]:
        """Return how each phase of a site ended."""
        return {name: phase["status"] for name, phase in self.site(site_id)["phases"].items()}

    def errors(self, site_id: str) -> Sequence[tuple[str, str]]:
        """Return phase and item of each error of a site."""
        return [(each["phase"], each["item"]) for each in self.site(site_id)["errors"]]

    @property
    def text(self) -> str:
        """What it printed for people, and what was wrong with the call."""
        return f"{self.daemon.output}\n{self.daemon.text}"

    @property
    def why(self) -> str:
        """What a failed assertion should show."""
        errors = [error for site in self.summary.get("results", ()) for error in site["errors"]]
        return f"status {self.status}\n{errors}\n{self.daemon.tail()}"


@dataclass
class IngestWorld:
    """All of it."""

    folder: Path
    s3: StrictS3
    aws: AwsControl
    web: PodcastWeb
    starter: Starter
    """How processes are started, unless a call says another way."""
    project: Project
    sites: dict[str, SiteSetup] = field(default_factory=dict)
    published: dict[str, list[Published]] = field(default_factory=dict)
    """Site to the episodes that its feeds hold, each once."""
    repeated: dict[str, list[Published]] = field(default_factory=dict)
    """Site to what its feeds hold besides: episodes that another feed has had before."""
    extra: dict[str, str] = field(default_factory=dict)
    """More variables for every process."""
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def known(self) -> Path:
        """Where the recogniser's double looks for what is said."""
        return self.folder / "known"

    def add_site(self, site: SiteSetup) -> SiteSetup:
        """Set a site up: its folder, its bucket with the web client, its account's role."""
        self.sites[site.id] = site
        self.published.setdefault(site.id, [])
        self.s3.create_bucket(site.bucket)
        self.s3.seed(site.bucket, WEB_CLIENT)
        self.aws.accounts.add(site.account)
        self.aws.functions |= {site.indexer, site.searcher}
        self.aws.distributions |= {site.distribution} - {""}
        self.project.write_site(site, {each: self.feed_url(each) for each in site.podcasts})
        for podcast in site.podcasts:
            self.put_feed(site.id, podcast)
        return site

    def feed_url(self, podcast: str) -> str:
        """Return where a feed is."""
        return self.web.url(f"/feeds/{podcast}.xml")

    def publish(self, site_id: str, *episodes: Published, audio: Page | None = None) -> None:
        """Add episodes to their feeds, and put their audio on the web."""
        self.published[site_id] += episodes
        for episode in episodes:
            self.web.put(episode.path, audio or answer(episode.body, Content_Type="audio/mpeg"))
        for podcast in {episode.podcast for episode in episodes}:
            self.put_feed(site_id, podcast)

    def repeat(self, site_id: str, *episodes: Published) -> None:
        """Add to their feeds what another feed of the site has; there is no audio of it."""
        self.repeated.setdefault(site_id, []).extend(episodes)
        for podcast in {episode.podcast for episode in episodes}:
            self.put_feed(site_id, podcast)

    def feed(self, site_id: str, podcast: str) -> bytes:
        """Return a feed as it is now, newest first."""
        all_feeds = [*self.published[site_id], *self.repeated.get(site_id, ())]
        episodes = [each for each in all_feeds if each.podcast == podcast]
        ordered = sorted(episodes, key=lambda each: each.day, reverse=True)
        return feed_xml(podcast, [each.item(self.web.url(each.path)) for each in ordered])

    def environment(self) -> dict[str, str]:
        """Return the environment of a process in this world: no keys, they are in the project."""
        return {**clean_environment(), **self.aws.environment(self.s3.url), **self.extra}

    def birth(self, *argv: str, step: str = "", occurrence: int = 1) -> Birth:
        """Say how a process of this project is started; later options win."""
        usual = [
            *("--root", str(self.project.root), "--state-directory", str(self.state)),
            *("--log-form", "json", "--allow-networks", "127.0.0.0/8"),
            *("--json-summary", str(self._summary)),
        ]
        return Birth([*usual, *argv], self.environment(), "ingester", step, occurrence)

    def start(
        self, *argv: str, step: str = "", occurrence: int = 1, starter: Starter | None = None
    ) -> Daemon:
        """Start a run; with a step it ends itself there by SIGKILL."""
        birth = self.birth(*argv, step=step, occurrence=occurrence)
        daemon = Daemon(birth, starter or self.starter)
        self.daemons.append(daemon)
        return daemon

    def ended(self, daemon: Daemon) -> Run:
        """Wait for the end of a run."""
        return Run(daemon.wait(_RUN_SECONDS), daemon, self.take_summary())

    def take_summary(self) -> Mapping[str, Any]:
        """Take what the last run wrote with --json-summary away; empty where it wrote nothing."""
        if not self._summary.exists():
            return {}
        found: Mapping[str, Any] = json.loads(self._summary.read_text())
        self._summary.unlink()
        return found

    def run(self, *argv: str, starter: Starter | None = None) -> Run:
        """Do a run from its start to its end."""
        return self.ended(self.start(*argv, starter=starter))

    def command(self, verb: str, *argv: str) -> Run:
        """Do one of the other commands."""
        words = [verb, "--root", str(self.project.root), "--state-directory", str(self.state)]
        birth = Birth([*words, *argv], self.environment(), "ingester")
        daemon = Daemon(birth, self.starter)
        self.daemons.append(daemon)
        return Run(daemon.wait(_RUN_SECONDS), daemon, {})

    def local(self, site_id: str) -> dict[str, bytes]:
        """Return every file of a site's mirror."""
        mirror = self.project.mirror(site_id)
        return {
            path.relative_to(mirror).as_posix(): path.read_bytes()
            for path in sorted(mirror.rglob("*"))
            if path.is_file()
        }

    def remote(self, site_id: str) -> dict[str, bytes]:
        """Return every object of a site's bucket but the web client's."""
        held = self.s3.objects(self.sites[site_id].bucket)
        assert {key: held.pop(key, b"") for key in WEB_CLIENT} == WEB_CLIENT
        return held

    def touched(self) -> dict[str, tuple[int, int, int]]:
        """Return what changes when anything below the data's `s3` is written, or touched."""
        found = {}
        for path in (self.project.data / "s3").rglob("*"):
            about = path.lstat()
            found[str(path)] = (about.st_ino, about.st_mtime_ns, about.st_ctime_ns)
        return found

    def writes(self) -> list[Mutation]:
        """Return what was changed in S3 by requests."""
        return [each for each in self.s3.mutations() if each.kind is not MutationKind.SEED]

    def forget(self) -> None:
        """Count from here on."""
        self.s3.forget()
        self.aws.forget()
        self.web.seen.clear()

    def put_feed(self, site_id: str, podcast: str) -> None:
        """Publish a feed as it is now."""
        self.web.put(
            f"/feeds/{podcast}.xml",
            answer(self.feed(site_id, podcast), Content_Type="application/rss+xml"),
        )

    @property
    def _summary(self) -> Path:
        return self.folder / "summary.json"


@contextmanager
def open_world(folder: Path, starter: Starter) -> Iterator[IngestWorld]:
    """Have a world without sites for the length of a block; leave no process behind."""
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "known"
    known.mkdir()
    variables = {"WHISPER_API_PROVIDER": "test-double", "WHISPER_TEST_DOUBLE_PATH": str(known)}
    project = Project(folder / "project", variables)
    with (
        StrictS3(aws_region=AWS_REGION, now=_behind) as s3,
        AwsControl() as aws,
        PodcastWeb() as web,
    ):
        world = IngestWorld(folder, s3, aws, web, starter, project)
        try:
            yield world
        finally:
            for daemon in world.daemons:
                daemon.kill()


def _behind() -> datetime:
    return datetime.now(UTC) - S3_BEHIND
