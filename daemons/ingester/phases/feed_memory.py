"""What servers gave out to ask for a feed only if it has changed, kept in the state folder; blocks.

Rule: it is used only while the very bytes are archived that it was given out with, under the very
URL: another machine's feed may have come from S3 meanwhile. Losing it costs a download, so what
cannot be read counts as nothing.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from daemons.ingester.web.headers import Validators
from shared.files import make_folders, write_durably

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Remembered:
    """What goes with an archived feed."""

    of: str
    """The digest of its URL and its bytes; the URL itself may hold a token."""
    validators: Validators
    charset: str
    """Of the HTTP header, which the bytes do not say."""


class FeedMemory:
    """What is remembered of one site's feeds."""

    def __init__(self, path: Path, podcasts: Collection[str]) -> None:
        """`podcasts` are the ids that there are; the others are forgotten."""
        self._path = path
        self._podcasts = podcasts
        self._feeds: dict[str, Remembered] | None = None

    def recall(self, podcast_id: str, url: str, body: bytes) -> Remembered | None:
        """Return what goes with these bytes, None where nothing does."""
        found = self._loaded().get(podcast_id)
        return found if found is not None and body and found.of == digest_of(url, body) else None

    def remember(self, podcast_id: str, remembered: Remembered) -> None:
        """Keep this for a feed from now on, nothing where a server gave nothing out.

        Raises:
            OSError: it could not be written.
        """
        feeds = dict(self._loaded())
        feeds.pop(podcast_id, None)
        if remembered.validators.headers():
            feeds[podcast_id] = remembered
        if feeds != self._loaded():
            make_folders(self._path.parent)
            write_durably(self._path, _to_bytes(feeds))
            self._feeds = feeds

    def _loaded(self) -> dict[str, Remembered]:
        if self._feeds is None:
            self._feeds = {
                podcast: each
                for podcast, each in _load(self._path).items()
                if podcast in self._podcasts
            }
        return self._feeds


def digest_of(url: str, body: bytes) -> str:
    """Return what stands for these bytes under this URL."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass") + b"\0" + body).hexdigest()


def _to_bytes(feeds: dict[str, Remembered]) -> bytes:
    content = {
        podcast: {
            "of": each.of,
            "etag": each.validators.etag,
            "lastModified": each.validators.last_modified,
            "charset": each.charset,
        }
        for podcast, each in sorted(feeds.items())
    }
    return f"{json.dumps({'schema': _SCHEMA, 'feeds': content}, indent=2)}\n".encode()


def _load(path: Path) -> dict[str, Remembered]:
    try:
        found = json.loads(path.read_bytes())
        if found["schema"] != _SCHEMA:
            return {}
        return {
            str(podcast): Remembered(
                str(each["of"]),
                Validators(str(each["etag"]), str(each["lastModified"])),
                str(each["charset"]),
            )
            for podcast, each in found["feeds"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
