"""One entry of the manifest: a JSON object of which only some fields are ours. Pure.

Rule: a field that we do not know, or do not need, stays as it is and where it is. `guid` is our one
addition, at the end of new entries.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from daemons.ingester.archive.keys import parse_key, utc_date

FIELD_ORDER = (
    "sequentialId",
    "podcastId",
    "title",
    "fileKey",
    "originalAudioURL",
    "summary",
    "durationInSeconds",
    "publishedAt",
    "downloadedAt",
    "hasCompletedLLMAnnotations",
    "llmAnnotations",
)
"""How a new entry is written; anything else follows."""

_PODCAST_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class Episode:
    """A manifest entry; `record` is the whole of it, in its order, and is never changed."""

    record: Mapping[str, object]

    @property
    def podcast_id(self) -> str:
        """The podcast, which is also a folder name."""
        return self.text("podcastId")

    @property
    def file_key(self) -> str:
        """The key that its files are named after; it never changes."""
        return self.text("fileKey")

    @property
    def identity(self) -> tuple[str, str]:
        """What no two entries of a manifest have in common."""
        return self.podcast_id, self.file_key

    @property
    def title(self) -> str:
        """The title as it was when the episode was first seen."""
        return self.text("title")

    @property
    def audio_url(self) -> str:
        """The enclosure's URL exactly as in the feed."""
        return self.text("originalAudioURL")

    @property
    def guid(self) -> str:
        """The feed's own identifier, empty where it was not kept."""
        return self.text("guid")

    @property
    def sequential_id(self) -> int:
        """The number in public links, 0 where there is none yet."""
        value = self.record.get("sequentialId")
        return value if isinstance(value, int) and not isinstance(value, bool) else 0

    @property
    def published_at(self) -> datetime | None:
        """When it was published, None where that is missing or no date."""
        return parse_time(self.text("publishedAt"))

    @property
    def downloaded_at(self) -> datetime | None:
        """When it was first seen, None in very old entries."""
        return parse_time(self.text("downloadedAt"))

    @property
    def date(self) -> str:
        """The UTC date of publication; where the entry has none, the one in its key."""
        at = self.published_at
        return parse_key(self.file_key).date if at is None else utc_date(at)

    def text(self, name: str) -> str:
        """Return a text field, empty where it is missing or something else."""
        value = self.record.get(name)
        return value if isinstance(value, str) else ""

    def numbered(self, number: int) -> "Episode":
        """Return the entry with another sequential id, or itself."""
        if self.record.get("sequentialId") == number and self.sequential_id == number:
            return self
        return Episode(_with_field(self.record, "sequentialId", number))

    def completed_from(self, other: "Episode") -> "Episode":
        """Return the entry with the fields that it lacks and the other one has."""
        record = self.record
        for name, value in other.record.items():
            if name not in record:
                record = _with_field(record, name, value)
        return Episode(record)


@dataclass(frozen=True, slots=True)
class NewEpisode:
    """What a feed said about an episode that was not known."""

    podcast_id: str
    title: str
    file_key: str
    audio_url: str
    summary: str
    published_at: datetime
    downloaded_at: datetime
    duration_seconds: int | None = None
    guid: str = ""

    def entry(self) -> Episode:
        """Return its manifest entry, not numbered yet."""
        record: dict[str, object] = {
            "sequentialId": 0,
            "podcastId": self.podcast_id,
            "title": self.title,
            "fileKey": self.file_key,
            "originalAudioURL": self.audio_url,
            "summary": self.summary,
        }
        if self.duration_seconds is not None:
            record["durationInSeconds"] = self.duration_seconds
        record["publishedAt"] = format_time(self.published_at)
        record["downloadedAt"] = format_time(self.downloaded_at)
        record["hasCompletedLLMAnnotations"] = False
        record["llmAnnotations"] = {}
        if self.guid:
            record["guid"] = self.guid
        return Episode(record)


def parse_episode(value: object, number: int) -> Episode:
    """Check one entry; ValueError names the entry and the field that cannot be done without.

    Fields that it can do without are taken as they are, whatever they hold: one odd summary must
    not stop a whole site.
    """
    if not isinstance(value, dict):
        raise ValueError(f"episodes[{number}] is no JSON object")  # noqa: TRY004 - callers wait for one type
    for name in ("podcastId", "title", "fileKey", "originalAudioURL"):
        if not isinstance(value.get(name), str):
            shown = _short(value.get(name))
            raise ValueError(f"episodes[{number}].{name} is {shown}; it must be a text")  # noqa: TRY004 - callers wait for one type
    if not _PODCAST_ID.fullmatch(value["podcastId"]):
        raise ValueError(f"episodes[{number}].podcastId {_short(value['podcastId'])} is no id")
    try:
        parse_key(value["fileKey"])
    except ValueError as error:
        raise ValueError(f"episodes[{number}].fileKey: {error}") from None
    return Episode(value)


def parse_time(text: str) -> datetime | None:
    """Read a time of a manifest; None where it is none. Without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_time(at: datetime) -> str:
    """Write a time as manifests have it: UTC, milliseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_ms(at: datetime) -> int:
    """Return the milliseconds since 1970, exactly: a float would lose some."""
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since.days * 86_400 + since.seconds
    return seconds * _MILLISECOND + since.microseconds // _MILLISECOND


def _with_field(record: Mapping[str, object], name: str, value: object) -> Mapping[str, object]:
    """Return the record with one field set: in its old place, or where a new entry has it."""
    if name in record or name not in FIELD_ORDER:
        return {**record, name: value}
    later = FIELD_ORDER[FIELD_ORDER.index(name) + 1 :]
    names = list(record)
    place = next((names.index(each) for each in names if each in later), len(names))
    fields = list(record.items())
    return dict([*fields[:place], (name, value), *fields[place:]])


def _short(value: object) -> str:
    shown = "missing" if value is None else repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."  # noqa: PLR2004 - a line of a log
