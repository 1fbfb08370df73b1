"""The six folders of a site, what belongs into them, and what is passed over. Pure.

A path is relative to the site's root, folder included, with `/` between the parts. The bucket also
holds the web client: what `folder_of` does not know is never read, written or deleted.

| passed over                            | why                                              |
|----------------------------------------|--------------------------------------------------|
| outside the six folders                | it is not ours                                   |
| a part that begins with a dot          | desktop litter, locks that leaked, `.` and `..`  |
| `Thumbs.db`, `*.part`, `*.tmp`, any part| litter and unfinished files                     |
| another extension, in capitals too     | nobody reads it                                  |
| an empty part, a trailing `/`          | folder markers, and names that no file can have  |
| a file of no bytes                     | counts as absent: it is what an old crash left   |
"""

import unicodedata
from dataclasses import dataclass
from enum import Enum

MANIFEST_PATH = "episode-manifest/full-episode-manifest.json"
INDEX_PATH = "search-index/orama_index.msp"


class Folder(Enum):
    """A folder of a site; the value is its name in S3 and on disk."""

    AUDIO = "audio"
    TRANSCRIPTS = "transcripts"
    SEARCH_ENTRIES = "search-entries"
    MANIFEST = "episode-manifest"
    RSS = "rss"
    INDEX = "search-index"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The extensions that count."""
        return _SUFFIXES[self]


_SUFFIXES = {
    Folder.AUDIO: (".mp3",),
    Folder.TRANSCRIPTS: (".srt",),
    Folder.SEARCH_ENTRIES: (".json",),
    Folder.MANIFEST: (".json",),
    Folder.RSS: (".xml", ".json"),
    Folder.INDEX: (".msp", ".json"),
}

SYNCED = (Folder.AUDIO, Folder.TRANSCRIPTS, Folder.SEARCH_ENTRIES, Folder.MANIFEST, Folder.RSS)
"""What is kept in step whatever the index mode; the index itself only where it is built here."""

UPLOAD_ORDER = (
    Folder.AUDIO,
    Folder.TRANSCRIPTS,
    Folder.SEARCH_ENTRIES,
    Folder.RSS,
    Folder.INDEX,
    Folder.MANIFEST,
)
"""The manifest last: a visitor never sees an entry whose files are missing."""

INDEXED = frozenset({Folder.AUDIO, Folder.TRANSCRIPTS, Folder.SEARCH_ENTRIES, Folder.MANIFEST})
"""An upload into one of these makes a new index necessary; feeds change on every fetch."""

CONTENT_TYPES = {
    ".mp3": "audio/mpeg",
    ".json": "application/json",
    ".srt": "application/x-subrip",
    ".xml": "application/xml",
    ".msp": "application/octet-stream",
}

_BY_NAME: dict[str, tuple[Folder | None, tuple[str, ...]]] = {
    folder.value: (folder, suffixes) for folder, suffixes in _SUFFIXES.items()
}
_UNKNOWN = (None, ())
_LITTER_SUFFIXES = (".part", ".tmp")


@dataclass(frozen=True, slots=True)
class EpisodePath:
    """Where a file of an episode lies, taken apart."""

    folder: Folder
    podcast_id: str
    file_key: str


def folder_of(path: str) -> Folder | None:
    """Return the folder that a path counts in, None where it is passed over."""
    name, _, rest = path.partition("/")
    folder, suffixes = _BY_NAME.get(name, _UNKNOWN)
    if not rest.endswith(suffixes):
        return None
    # Asked twice for each of a million paths: nearly all are clean at first sight.
    is_clean = not ("/." in path or "//" in path or ".part" in path or ".tmp" in path)
    if is_clean and "Thumbs.db" not in path:
        return folder
    return None if any(_is_litter(part) for part in rest.split("/")) else folder


def counts(path: str, size_bytes: int) -> bool:
    """Say whether a file of this size at this path takes part in anything."""
    return size_bytes > 0 and folder_of(path) is not None


def comparable(path: str) -> str:
    """Return the form in which paths are compared: some file systems decompose what they store."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def content_type(path: str) -> str:
    """Return the type that an object is stored with."""
    _, dot, suffix = path.rpartition(".")
    return CONTENT_TYPES.get(dot + suffix, "application/octet-stream")


def audio_path(podcast_id: str, file_key: str) -> str:
    """Return where an episode's audio lies."""
    return f"audio/{podcast_id}/{file_key}.mp3"


def transcript_path(podcast_id: str, file_key: str) -> str:
    """Return where an episode's transcript lies."""
    return f"transcripts/{podcast_id}/{file_key}.srt"


def search_entries_path(podcast_id: str, file_key: str) -> str:
    """Return where an episode's search entries lie."""
    return f"search-entries/{podcast_id}/{file_key}.json"


def feed_path(rss_feed_file: str) -> str:
    """Return where a podcast's feed is archived."""
    return f"rss/{rss_feed_file}"


def episode_path(path: str) -> EpisodePath | None:
    """Take the path of an episode's file apart; None where it is the path of something else."""
    folder = folder_of(path)
    parts = path.split("/")
    if folder not in _PER_EPISODE or len(parts) != len(("folder", "podcast", "file")):
        return None
    return EpisodePath(folder, parts[1], parts[2].removesuffix(folder.suffixes[0]))


_PER_EPISODE = (Folder.AUDIO, Folder.TRANSCRIPTS, Folder.SEARCH_ENTRIES)


def _is_litter(part: str) -> bool:
    return part[:1] in ("", ".") or part == "Thumbs.db" or part.endswith(_LITTER_SUFFIXES)
