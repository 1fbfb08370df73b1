"""File keys: the name that audio, transcript, search entries and manifest entry share. Pure.

| key                                             | is                                       |
|-------------------------------------------------|------------------------------------------|
| `2024-07-25_Simple_Episode_Title--1721921400000`| timestamped: the form that is written    |
| `2020-01-23_The-Transfer-Window`                | legacy: read, never written              |
| anything else                                   | no key                                   |

Two keys of one podcast that differ in nothing but the timestamp are versions of one episode; the
larger timestamp is current. A key without a timestamp never takes part in that.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

SLUG_MAX = 50
"""A slug is cut to this many characters; an underscore at the cut stays."""

_HASH_DIGITS = 8
_SLUG_BEFORE_HASH = SLUG_MAX - _HASH_DIGITS - 1
_TIMESTAMPED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})_(.*)--([0-9]{13})")
_LEGACY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})_(.+)")
_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9]+")
_NOT_IN_NAME = re.compile(r"[/\\\x00-\x1f\x7f\ud800-\udfff]")
_NAME_BYTES_MAX = 240
"""What a file system takes (255), less the extension and what makes a temporary name of it."""


@dataclass(frozen=True, slots=True)
class FileKey:
    """A file key in its parts; `str()` gives it back exactly."""

    date: str
    """The UTC date of publication, `YYYY-MM-DD`."""
    slug: str
    downloaded_ms: int | None = None
    """Epoch milliseconds of thirteen digits; None in a legacy key."""

    def __str__(self) -> str:
        return self.stem if self.downloaded_ms is None else f"{self.stem}--{self.downloaded_ms:013}"

    @property
    def stem(self) -> str:
        """The key without its timestamp: the same for every version of an episode."""
        return f"{self.date}_{self.slug}"


def parse_key(text: str) -> FileKey:
    """Read a key; ValueError when it is none, or cannot be the name of a file."""
    if _NOT_IN_NAME.search(text) or len(text.encode()) > _NAME_BYTES_MAX:
        raise ValueError(f"{text[:100]!r} cannot be the name of a file, and is no file key")
    if found := _TIMESTAMPED.fullmatch(text):
        return FileKey(found[1], found[2], int(found[3]))
    if found := _LEGACY.fullmatch(text):
        return FileKey(found[1], found[2])
    raise ValueError(f"{text!r} is no file key; it must begin like '2024-07-25_Title'")


def full_slug(title: str) -> str:
    """Return a title's slug before it is cut; empty where no letter or digit of ASCII is in it."""
    return (
        _NOT_IN_SLUG.sub("_", unicodedata.normalize("NFC", title))
        .removeprefix("_")
        .removesuffix("_")
    )


def cut_slug(title: str) -> str:
    """Return the slug that a key holds."""
    return full_slug(title)[:SLUG_MAX]


def comparable_title(title: str) -> str:
    """Return what two titles are compared by: the full slug, or where it is empty, their words.

    Two titles in Japanese have the same empty slug, and are not the same title for that.
    """
    return full_slug(title) or " ".join(unicodedata.normalize("NFC", title).split())


def hash_suffix(guid: str, audio_url: str) -> str:
    """Return eight hexadecimal digits that stand for an episode: of its GUID, else of its URL."""
    known_by = (guid or audio_url).encode("utf-8", "surrogatepass")
    return hashlib.sha256(known_by).hexdigest()[:_HASH_DIGITS]


def hashed_slug(title: str, suffix: str) -> str:
    """Return the slug of an episode whose date and plain slug another episode has already."""
    return f"{full_slug(title)[:_SLUG_BEFORE_HASH].rstrip('_') or 'episode'}_{suffix}"


def plain_slug(title: str, suffix: str) -> str:
    """Return the slug of an episode that is alone on its date; `suffix` serves an empty one."""
    return cut_slug(title) or f"episode_{suffix}"


def utc_date(at: datetime) -> str:
    """Return the date of an instant in UTC, as keys begin with it."""
    return at.astimezone(UTC).date().isoformat()


def superseded(keys: Iterable[str]) -> Mapping[str, str]:
    """Return each key of one podcast that has a newer version, with the current one.

    What is no key is passed over: the consistency check reports it.
    """
    current: dict[str, FileKey] = {}
    parsed = []
    for text in keys:
        try:
            key = parse_key(text)
        except ValueError:
            continue
        if key.downloaded_ms is not None:
            parsed.append(key)
            best = current.setdefault(key.stem, key)
            if key.downloaded_ms > (best.downloaded_ms or 0):
                current[key.stem] = key
    return {str(key): str(current[key.stem]) for key in parsed if key != current[key.stem]}
