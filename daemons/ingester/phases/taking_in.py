"""A site's manifest while feeds are taken in: what was found, what is new, what both come to.

Rule: it is always made of what was found and all that is new, so that what is reported (entries
that moved, entries that gave way) is true of the whole run, however often it was saved in between.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.identity import KnownEpisodes
from daemons.ingester.archive.intake import Intake, take_in
from daemons.ingester.archive.manifest import Change, Manifest, with_episodes
from daemons.ingester.mirror.manifest_file import load_manifest, save_manifest
from daemons.ingester.rss.feed import Item
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.transfer import no_step

log: FilteringBoundLogger = structlog.get_logger()


class GrowingManifest:
    """The manifest of one site during one run."""

    def __init__(
        self,
        place: SitePlace,
        now: Callable[[], datetime],
        step: Callable[[str], None] = no_step,
    ) -> None:
        self.change = Change(Manifest(), changed=False)
        """What it comes to by now: sorted, numbered, no audio URL twice in a podcast."""
        self.new: set[tuple[str, str]] = set()
        """The entries of this run."""
        self._place = place
        self._now = now
        self._step = step
        self._found = Manifest()
        self._added: list[Episode] = []
        self._known = KnownEpisodes()

    async def load(self, given: Manifest | None = None) -> bool:
        """Read it, or begin with the one that is given; say whether there is one.

        Raises:
            ManifestUnreadable: there is a file and it cannot be used.
        """
        here = load_manifest if given is None else lambda _place: given
        self._found = await to_thread.run_sync(here, self._place)
        await self._settle()
        # Without those that give way: what they were known by is not known any more next time.
        self._known = KnownEpisodes(self.change.manifest.episodes)
        return self._found.header is not None

    def of_podcast(self, podcast_id: str) -> list[Episode]:
        """Return the entries of a podcast, in the order of their publication."""
        return [each for each in self.change.manifest.episodes if each.podcast_id == podcast_id]

    async def take_in(self, podcast_id: str, items: Iterable[Item]) -> Intake:
        """Add those items of a feed that are new; the file stays as it is."""
        intake = await to_thread.run_sync(take_in, podcast_id, items, self._known, self._now())
        for item, known in intake.known:
            if known.rule > 1:
                key = known.episode.file_key
                log.debug(
                    "item_known", podcast=podcast_id, item=item.number, rule=known.rule, key=key
                )
        if intake.new:
            self._added += intake.new
            self.new |= {each.identity for each in intake.new}
            await self._settle()
        return intake

    async def save(self) -> None:
        """Write it to the disk.

        Raises:
            ManifestTooLarge, OutsideRoot, OSError: what was there is there still.
        """
        await to_thread.run_sync(save_manifest, self._place, self.change.manifest, self._step)
        self._step("manifest_saved")

    async def _settle(self) -> None:
        self.change = await to_thread.run_sync(with_episodes, self._found, self._added, self._now())
