"""A feed's bytes to its items: text only, nothing resolved, a bad item costs itself. Pure.

Read are the children of `rss/channel/item`, by these names; the prefixes of a feed that declares
others for the same two namespaces are taken for these, undeclared ones as they stand.

| element                                                          | becomes                    |
|------------------------------------------------------------------|----------------------------|
| `enclosure@url`, `@type`: first `audio/*`, else first with a URL | `audio_url`, as it stands  |
| `pubDate`                                                        | `published_at`             |
| `title`                                                          | `title`, a text always     |
| first of `itunes:summary`, `summary`, `description`, `content:encoded` with text | `summary`  |
| `itunes:duration`                                                | `duration_seconds` or None |
| `guid`                                                           | `guid`, unless repeated    |

A document that is not well-formed is mended where that is easy (`rss.mending`), with a warning;
where it is not, the items before that place are kept, and the `fault` says which place it is.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import feature_external_ges

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import create_parser

from daemons.ingester.rss.charset import decoded, pick_charset
from daemons.ingester.rss.dates import parse_date
from daemons.ingester.rss.durations import parse_duration
from daemons.ingester.rss.mending import MENDED_MAX, mended
from daemons.ingester.rss.reader import FeedReader, RawItem

UNTITLED = "Untitled Episode"
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+)?html\b", re.IGNORECASE)
_URL_MAX = 8192
_SUMMARIES = ("itunes:summary", "summary", "description", "content:encoded")


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a feed that can become an episode."""

    number: int
    """Its place in the document, from 1."""
    title: str
    audio_url: str
    published_at: datetime
    summary: str = ""
    duration_seconds: int | None = None
    guid: str = ""
    """Empty where there is none, or where it occurs more than once in the document."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An item that cannot become an episode."""

    number: int
    title: str
    reason: str
    """Short and the same for all of a kind, so that it can be counted."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a document says, in its order."""

    items: tuple[Item, ...]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    fault: str = ""
    """Where the document stopped being one; the items are those before."""

    def skipped_by_reason(self) -> Mapping[str, int]:
        """Count the skipped items for the summary."""
        return Counter(skipped.reason for skipped in self.skipped)


def parse_feed(body: bytes, http_charset: str = "", max_items: int | None = None) -> Feed:
    """Read a feed; ValueError when it is no RSS. `max_items` keeps the first ones, bad ones too."""
    warnings: list[str] = []
    reader, fault = _read(body, http_charset, warnings)
    if not reader.has_channel:
        # Pages of today begin with what XML takes for a mistake.
        root = "html" if _PAGE.match(body) else reader.root
        raise ValueError(_no_feed(root, fault))
    guids = Counter(raw.text("guid") for raw in reader.items)
    items: list[Item] = []
    skipped: list[Skipped] = []
    for raw in reader.items[:max_items]:
        found = _item(raw, guids, warnings)
        if isinstance(found, Item):
            items.append(found)
        else:
            skipped.append(found)
    return Feed(tuple(items), tuple(skipped), tuple(warnings), fault)


def _read(body: bytes, http_charset: str, warnings: list[str]) -> tuple[FeedReader, str]:
    """Read the document, mended if it must be; return what was found and what is still wrong."""
    charset = pick_charset(body, http_charset)
    reader, error = _read_pieces(decoded(body, charset))
    if not isinstance(error, SAXParseException) or len(body) > MENDED_MAX:
        return reader, _fault(error)
    mended_reader, left = _read_pieces([mended("".join(decoded(body, charset)))])
    gained = len(mended_reader.items) > len(reader.items)
    if not mended_reader.has_channel or (left is not None and not gained):
        return reader, _fault(error)
    warnings.append(f"{_fault(error)}; it was mended")
    return mended_reader, _fault(left)


def _read_pieces(pieces: Iterable[str]) -> tuple[FeedReader, Exception | None]:
    """Let expat read a document; return what was found, and what it stumbled over."""
    reader = FeedReader()
    # A document type is harmless and common in old feeds; what it could declare is refused, and
    # what it points to is never fetched.
    parser = create_parser(forbid_dtd=False, forbid_entities=True, forbid_external=False)
    parser.setFeature(feature_external_ges, state=False)
    parser.setContentHandler(reader)
    begun = False
    try:
        for piece in pieces:
            # Blank lines before the declaration are an error in XML, and what templates leave.
            text = piece if begun else piece.lstrip()
            begun = begun or bool(text)
            if text:
                parser.feed(text)
        parser.close()
    except (SAXException, ValueError) as error:
        return reader, None if reader.is_whole else error
    return reader, None


def _fault(error: Exception | None) -> str:
    """Say in a line where a document stopped being one."""
    if error is None:
        return ""
    if isinstance(error, DefusedXmlException):
        return "the feed declares entities of its own, which is refused"
    if isinstance(error, SAXParseException):
        return f"the feed breaks off at line {error.getLineNumber()}: {error.getMessage()[:200]}"
    return f"the feed cannot be read: {str(error)[:200]}"


def _no_feed(root: str, fault: str) -> str:
    """Say why a document is no feed at all."""
    if root and root != "rss":
        return f"the document is {root[:40]!r}; a feed must be RSS 2.0"
    return fault or "the document has no rss/channel; a feed must be RSS 2.0"


def _item(raw: RawItem, guids: Mapping[str, int], warnings: list[str]) -> Item | Skipped:
    """Make an item of what stands in the document, or say why that cannot be."""
    title = raw.text("title") or UNTITLED

    def skip(reason: str, detail: str = "") -> Skipped:
        return Skipped(raw.number, title[:200], reason, detail[:200])

    if not raw.audio_url.strip():
        return skip("no enclosure with a URL")
    if not _is_audio(raw.audio_type):
        return skip("enclosure is not audio", raw.audio_type)
    if not _can_be_fetched(raw.audio_url.strip()):
        return skip("enclosure URL is not http", raw.audio_url)
    if not raw.text("pubDate"):
        return skip("no pubDate")
    try:
        date = parse_date(raw.text("pubDate"))
    except ValueError as error:
        return skip("pubDate cannot be read", str(error))
    if date.warning:
        warnings.append(f"item {raw.number}: {date.warning}")
    warnings += [f"item {raw.number}: {name} is cut; it is very long" for name in raw.cut]
    guid = raw.text("guid")
    return Item(
        raw.number,
        title,
        raw.audio_url,
        date.at,
        _first(raw, _SUMMARIES),
        parse_duration(raw.text("itunes:duration")),
        "" if guids[guid] > 1 else guid,
    )


def _first(raw: RawItem, names: Sequence[str]) -> str:
    return next((text for name in names if (text := raw.text(name))), "")


def _is_audio(media_type: str) -> bool:
    plain = media_type.partition(";")[0].strip().lower()
    return plain in ("", "application/octet-stream") or plain.startswith("audio/")


def _can_be_fetched(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.netloc) and len(url) <= _URL_MAX
