"""The consistency check of a site on disk: names first, then what is in the files.

It reads and changes nothing. Transcripts and search entries are read one at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from anyio import to_thread

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.folders import MANIFEST_PATH, Folder
from daemons.ingester.archive.holdings import Holdings, Identity, by_identity, older_versions
from daemons.ingester.mirror.consistency import (
    ConsistencyReport,
    Ids,
    Kind,
    compare_holdings,
    foreign_ids,
    read_ids,
    unpunctuated_message,
)
from daemons.ingester.mirror.episode_entries import expected_entries
from daemons.ingester.mirror.inventory import read_holdings
from daemons.ingester.mirror.manifest_file import load_manifest
from daemons.ingester.project.sites import Site
from daemons.ingester.speech.judge import unpunctuated_ms
from daemons.ingester.speech.srt import decode_srt, parse_srt
from daemons.ingester.syncing.manifests import ManifestUnreadable
from daemons.ingester.syncing.place import SitePlace, require_files
from shared.errors import SuiteError
from shared.files import contained

_TOGETHER = 16


async def check_consistency(
    site: Site, place: SitePlace, *, alive: Callable[[], None] = lambda: None
) -> ConsistencyReport:
    """Check the local files of a site.

    Raises:
        LocalFilesMissing: the local files are gone; see `syncing.place`.
        LocalListingFailed: a folder of the site cannot be read.
    """
    await to_thread.run_sync(require_files, place)
    report = ConsistencyReport(site.id)
    try:
        manifest = await to_thread.run_sync(load_manifest, place)
    except ManifestUnreadable as error:
        report.add(Kind.PARSE_ERROR, MANIFEST_PATH, str(error))
        return report
    holdings = await to_thread.run_sync(
        read_holdings,
        place.root,
        lambda problem: report.add(Kind.PARSE_ERROR, problem.path, problem.reason),
    )
    compare_holdings(report, holdings, manifest.episodes)
    reading = _Reading(place, holdings, by_identity(manifest.episodes), report)
    waiting = iter(reading.wanted())
    while batch := list(islice(waiting, _TOGETHER)):
        alive()
        await to_thread.run_sync(reading.batch, batch)
    return report


class _Reading:
    """Reads transcripts and search entries, and judges them."""

    def __init__(
        self,
        place: SitePlace,
        holdings: Holdings,
        entries: Mapping[Identity, Episode],
        report: ConsistencyReport,
    ) -> None:
        self._place = place
        self._transcripts = holdings.files[Folder.TRANSCRIPTS]
        self._search_entries = holdings.files[Folder.SEARCH_ENTRIES]
        self._entries = entries
        self._report = report
        self._ids = Ids()

    def wanted(self) -> Sequence[Identity]:
        """Return whose files are read; older versions are in no index."""
        here = self._transcripts.keys() | self._search_entries.keys()
        return sorted(here - older_versions(here, self._entries.keys()).keys())

    def batch(self, identities: Sequence[Identity]) -> None:
        """Read the files of some."""
        for identity in identities:
            transcript = self._read(self._transcripts.get(identity, ""))
            if transcript is not None:
                self._judge_transcript(self._transcripts[identity], transcript)
            body = self._read(self._search_entries.get(identity, ""))
            if body is not None:
                name = self._search_entries[identity]
                self._judge_entries(name, body, self._entries.get(identity), transcript)

    def _read(self, name: str) -> bytes | None:
        """Return what is in a file, None where there is nothing to be had."""
        if not name:
            return None
        try:
            return contained(self._place.root, name).read_bytes()
        except FileNotFoundError:
            return None
        except (SuiteError, OSError) as error:
            self._report.add(Kind.PARSE_ERROR, name, f"cannot be read: {error}")
            return None

    def _judge_transcript(self, name: str, body: bytes) -> None:
        cues = parse_srt(decode_srt(body)).cues
        if not cues and body.strip():
            self._report.add(Kind.PARSE_ERROR, name, "has no readable cue")
        if message := unpunctuated_message(unpunctuated_ms(cues)):
            self._report.add(Kind.NO_PUNCTUATION, name, message)

    def _judge_entries(
        self, name: str, body: bytes, episode: Episode | None, transcript: bytes | None
    ) -> None:
        try:
            ids = read_ids(body)
        except ValueError as error:
            self._report.add(Kind.PARSE_ERROR, name, str(error))
            return
        if message := self._ids.repeated(name, ids):
            self._report.add(Kind.DUPLICATE_IDS, name, message)
        if episode is None:
            return
        message = foreign_ids(ids, episode.sequential_id)
        if not message and transcript is not None and body != expected_entries(episode, transcript):
            message = "it is not what transcript and manifest give now"
        if message:
            self._report.add(Kind.STALE_ENTRIES, name, message)
