"""Kill phase 1 at each of its steps in turn, let a second life finish it, and show what is left.

    python -m tests.support.feeds_kill FOLDER FEED_URL FEED_URL

For the n-th step there is a folder `n` of a site of its own, and the feeds are two podcasts'. Each
life is a forked child of a parent that never has a loop or a thread; the first one ends itself by
SIGKILL at its n-th step, the second one runs to its end an hour later. The last line of a folder
without a kill ends the row. A JSON line each goes to stdout.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import structlog

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.phases.feeds import FeedRules, retrieve_feeds
from daemons.ingester.phases.outcome import PhaseStatus
from daemons.ingester.project.sites import Podcast, Site
from daemons.ingester.syncing.place import SitePlace, site_place
from tests.support.kill import Counts, Doom, no_threads
from tests.support.podcast_web import opened
from tests.support.syncing import BUCKET, NOON, SITE

_STEPS_MAX = 200


@dataclass(frozen=True, slots=True)
class Lives:
    """The lives of one folder."""

    base: Path
    urls: tuple[str, ...]

    @property
    def place(self) -> SitePlace:
        """Where the site is."""
        return site_place(SITE, BUCKET, self.base / "data", self.base / "state")

    def live(self, step: Callable[[str], None], now: datetime) -> bool:
        """Fork one life; says whether it was killed."""
        pid = os.fork()
        if pid == 0:
            self._be_the_child(step, now)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        if status != 0:
            raise RuntimeError(f"a life ended with the wait status {status}; see its traceback")
        return False

    def keys(self) -> list[str]:
        """Return the keys that are saved."""
        try:
            body = (self.place.root / MANIFEST_PATH).read_bytes()
        except FileNotFoundError:
            return []
        return [entry["fileKey"] for entry in json.loads(body)["episodes"]]

    def _be_the_child(self, step: Callable[[str], None], now: datetime) -> None:
        try:
            anyio.run(self._work, step, now, backend_options={"use_uvloop": True})
        except BaseException:  # noqa: BLE001 - a forked child must not go on as the parent
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)

    async def _work(self, step: Callable[[str], None], now: datetime) -> None:
        podcasts = [
            Podcast(f"podcast-{name}", name, url, f"{name}.xml", active=True)
            for name, url in zip("ab", self.urls, strict=True)
        ]
        site = Site(SITE, "Hard Fork", "h.example", self.base, "P.", tuple(podcasts))
        validators = self.base / "state" / "feeds.json"
        async with opened() as web:
            report = await retrieve_feeds(
                site,
                self.place,
                web,
                FeedRules(),
                validators=validators,
                now=lambda: now,
                step=step,
            )
        # Here and not after the loop is closed, which takes as long as all the rest.
        os._exit(0 if report.outcome.status is PhaseStatus.OK else 1)


class Dying:
    """Ends this process at its n-th step, having written down which one that is."""

    def __init__(self, number: int, note: Path) -> None:
        self._number = number
        self._note = note
        self._met = 0

    def step(self, name: str) -> None:
        """Count a step."""
        self._met += 1
        if self._met == self._number:
            self._note.write_text(name)
            Counts(Doom(name, 1)).step(name)


def main(base: Path, urls: tuple[str, ...]) -> None:
    """Play all rows."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    no_threads()
    for number in range(1, _STEPS_MAX):
        lives = Lives(base / str(number), urls)
        lives.base.mkdir()
        note = lives.base / "died-at"
        killed = lives.live(Dying(number, note).step, NOON)
        saved = lives.keys()
        lives.live(lambda _name: None, NOON + timedelta(hours=1))
        row = {
            "folder": str(number),
            "died_at": note.read_text() if killed else "",
            "keys_kept": set(saved) <= set(lives.keys()),
        }
        print(json.dumps(row), flush=True)  # noqa: T201 - the result
        if not killed:
            return
    raise RuntimeError(f"more than {_STEPS_MAX} steps; the phase does not end")


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]))
