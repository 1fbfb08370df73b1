"""The episode manifest: read, ordered, merged and written byte by byte as it was. Pure.

| what happens to it   | order, numbers          | `lastUpdated`                                   |
|----------------------|-------------------------|-------------------------------------------------|
| read and written     | kept                    | kept; the bytes are the same                    |
| nothing new in it    | kept                    | kept: visitors read it as "episodes updated"    |
| episodes changed     | sorted, 1..N            | now                                             |
| merged, equals S3's  | S3's                    | S3's: the local file becomes a copy of it       |
| merged, equals local | local                   | local                                           |
| merged, equals none  | sorted, 1..N            | now                                             |

Rule: an entry leaves a manifest only because its audio URL is in another entry; nothing else
removes one, and no `fileKey` ever changes.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Never

from daemons.ingester.archive.episode import Episode, epoch_ms, format_time, parse_episode

MANIFEST_BYTES_MAX = 256 * 1024 * 1024
"""Two hundred times the largest that is known."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_NESTED_MAX = 100
_NEW_HEADER: Mapping[str, object] = {"lastUpdated": "", "episodes": None}
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A site's manifest."""

    episodes: tuple[Episode, ...] = ()
    header: Mapping[str, object] | None = None
    """Every top-level field in its order, `episodes` as a place holder; None in a new one."""

    @property
    def last_updated(self) -> str:
        """What visitors are shown, empty where there is nothing."""
        value = (self.header or {}).get("lastUpdated")
        return value if isinstance(value, str) else ""

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        fields = dict(_NEW_HEADER if self.header is None else self.header)
        fields["episodes"] = [episode.record for episode in self.episodes]
        text = json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False)
        # Half a surrogate pair is legal in JSON as an escape only, and JavaScript writes such.
        return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


@dataclass(frozen=True, slots=True)
class Dropped:
    """An entry that is not in the manifest any more because another one has its audio URL."""

    podcast_id: str
    file_key: str
    kept_key: str
    """The key of the entry that stays."""


@dataclass(frozen=True, slots=True)
class Change:
    """A manifest after something was done to it."""

    manifest: Manifest
    changed: bool
    """Whether it has to be written."""
    renumbered: int = 0
    """How many entries that had a number have another one: their public links have moved."""
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class Merged:
    """What local and S3 come to together."""

    manifest: Manifest
    equals_s3: bool
    """The local file becomes a byte copy of S3's, and nothing is uploaded."""
    equals_local: bool
    """The local file stays as it is, and is uploaded."""
    renumbered: int
    """Entries of S3 whose number has changed."""
    dropped: tuple[Dropped, ...]
    """Superseded entries; their files stay."""


def parse_manifest(body: bytes) -> Manifest:
    """Read a manifest; ValueError says what is wrong with it, and nothing may then replace it."""
    if len(body) > MANIFEST_BYTES_MAX:
        raise ValueError(f"manifest has {len(body)} bytes; allowed are {MANIFEST_BYTES_MAX}")
    try:
        found = json.loads(body, parse_float=_finite, parse_constant=_no_number)
        _check_depth(found, _NESTED_MAX)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"manifest is not JSON that can be kept: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("episodes"), list):
        raise ValueError("manifest has no list 'episodes'")  # noqa: TRY004 - callers wait for one type
    episodes = tuple(parse_episode(value, at) for at, value in enumerate(found["episodes"]))
    return Manifest(episodes, {**found, "episodes": None})


def with_episodes(manifest: Manifest, new: Iterable[Episode], now: datetime) -> Change:
    """Add entries, drop those whose audio URL is there twice, sort and number."""
    return _settled(manifest, [*manifest.episodes, *new], now)


def merge(local: Manifest, s3: Manifest, now: datetime) -> Merged:
    """Unite two manifests on (podcast, key); what S3 says wins, except where it says nothing.

    A local entry whose audio URL S3 has under another key gives way: its episode is in S3 already.
    """
    kept, dropped = _without_foreign_keys(_by_identity(local.episodes), _by_identity(s3.episodes))
    united = {**_by_identity(s3.episodes)}
    for identity, episode in kept.items():
        theirs = united.get(identity)
        united[identity] = episode if theirs is None else theirs.completed_from(episode)
    header = {**(s3.header or {}), **_missing(s3.header, local.header)}
    change = _settled(Manifest(s3.episodes, header), list(united.values()), now)
    equals_s3 = _same(change.manifest.episodes, s3.episodes)
    equals_local = _same(change.manifest.episodes, local.episodes)
    manifest = s3 if equals_s3 else local if equals_local else change.manifest
    return Merged(
        manifest,
        equals_s3,
        equals_local,
        _moved(s3.episodes, manifest),
        (*dropped, *change.dropped),
    )


def in_order(episodes: Iterable[Episode]) -> tuple[Episode, ...]:
    """Return the entries by time of publication, undated ones last, numbered 1..N; stable."""
    ordered = sorted(episodes, key=_place)
    return tuple(episode.numbered(number) for number, episode in enumerate(ordered, start=1))


def without_repeated_urls(
    episodes: Sequence[Episode],
) -> tuple[Sequence[Episode], tuple[Dropped, ...]]:
    """Keep one entry an audio URL inside each podcast: of those, the one downloaded last."""
    best: dict[tuple[str, str], Episode] = {}
    for episode in episodes:
        if episode.audio_url:
            known = best.setdefault((episode.podcast_id, episode.audio_url), episode)
            if (episode.downloaded_at or _NEVER) > (known.downloaded_at or _NEVER):
                best[episode.podcast_id, episode.audio_url] = episode
    kept, dropped = [], []
    for episode in episodes:
        stays = best.get((episode.podcast_id, episode.audio_url), episode)
        if stays is episode:
            kept.append(episode)
        else:
            dropped.append(Dropped(episode.podcast_id, episode.file_key, stays.file_key))
    return kept, tuple(dropped)


def _settled(manifest: Manifest, episodes: Sequence[Episode], now: datetime) -> Change:
    """Bring entries into the state in which a manifest is saved."""
    kept, dropped = without_repeated_urls(list(_by_identity(episodes).values()))
    ordered = in_order(kept)
    if _same(ordered, manifest.episodes):
        return Change(manifest, changed=False)
    header = _NEW_HEADER if manifest.header is None else manifest.header
    settled = Manifest(ordered, {**header, "lastUpdated": format_time(now)})
    return Change(
        settled, changed=True, renumbered=_moved(manifest.episodes, settled), dropped=dropped
    )


def _by_identity(episodes: Iterable[Episode]) -> dict[tuple[str, str], Episode]:
    """Return the entries by podcast and key; one that is there twice is put together."""
    found: dict[tuple[str, str], Episode] = {}
    for episode in episodes:
        known = found.get(episode.identity)
        found[episode.identity] = episode if known is None else known.completed_from(episode)
    return found


def _without_foreign_keys(
    local: Mapping[tuple[str, str], Episode], s3: Mapping[tuple[str, str], Episode]
) -> tuple[dict[tuple[str, str], Episode], tuple[Dropped, ...]]:
    """Leave out the local entries whose audio URL S3 has under another key."""
    keys_of = {episode.audio_url: episode.file_key for episode in s3.values() if episode.audio_url}
    kept, dropped = {}, []
    for identity, episode in local.items():
        if identity in s3 or episode.audio_url not in keys_of:
            kept[identity] = episode
        else:
            dropped.append(Dropped(*identity, kept_key=keys_of[episode.audio_url]))
    return kept, tuple(dropped)


def _missing(
    ours: Mapping[str, object] | None, theirs: Mapping[str, object] | None
) -> Mapping[str, object]:
    return {name: value for name, value in (theirs or {}).items() if name not in (ours or {})}


def _same(ours: Sequence[Episode], theirs: Sequence[Episode]) -> bool:
    return len(ours) == len(theirs) and all(map(_equal, ours, theirs))


def _equal(ours: Episode, theirs: Episode) -> bool:
    """Compare by value and kind: to Python `1`, `1.0` and `true` are the same."""
    return ours is theirs or _spelt(ours.record) == _spelt(theirs.record)


def _spelt(record: Mapping[str, object]) -> str:
    return json.dumps(record, sort_keys=True)


def _moved(before: Sequence[Episode], after: Manifest) -> int:
    """Count the entries that have another number than before."""
    numbers = {episode.identity: episode.sequential_id for episode in after.episodes}
    return sum(
        0 < episode.sequential_id != numbers.get(episode.identity, episode.sequential_id)
        for episode in before
    )


def _place(episode: Episode) -> tuple[bool, int]:
    at = episode.published_at
    return (True, 0) if at is None else (False, epoch_ms(at))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number {text[:40]!r} is larger than can be kept")
    return value


def _no_number(text: str) -> Never:
    raise ValueError(f"{text!r} is no number in JSON")


def _check_depth(value: object, left: int) -> None:
    """Refuse what could be read and not written again."""
    if left == 0:
        raise ValueError(f"nested deeper than {_NESTED_MAX} levels")
    children: Iterable[object] = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list):
        children = value
    for child in children:
        if isinstance(child, dict | list):
            _check_depth(child, left - 1)
