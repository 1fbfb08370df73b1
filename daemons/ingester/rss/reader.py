"""What expat tells about a feed, kept within bounds. Pure.

Rule: nothing here interprets. An item is the texts of its children by name, as they stand; whether
it can become an episode is decided when the document has been read.
"""

from dataclasses import dataclass, field
from html.entities import html5
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

ITEMS_MAX = 50_000
"""Fifty times the largest feed that is known."""
TEXT_MAX = 1024 * 1024
"""Characters of one element; what is longer is cut."""
_DEPTH_MAX = 100
_PREFIXES = {
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://purl.org/rss/1.0/modules/content/": "content",
}
_READ = frozenset(
    {
        "title",
        "pubDate",
        "guid",
        "itunes:summary",
        "summary",
        "description",
        "content:encoded",
        "itunes:duration",
    }
)
_CHANNEL = ("rss", "channel")
_ITEM = (*_CHANNEL, "item")


@dataclass(slots=True)
class RawItem:
    """One `item` element."""

    number: int
    audio_url: str = ""
    """Of the first `audio/*` enclosure, else of the first that has one; exactly as it stands."""
    audio_type: str = ""
    cut: set[str] = field(default_factory=set)
    """Elements that were longer than allowed."""
    _texts: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return the text of the first such element that has any, without blanks around it."""
        return self._texts.get(name, "")

    def add_text(self, name: str, text: str) -> None:
        """Note the text of an element."""
        if bare := text.strip():
            self._texts.setdefault(name, bare)

    def add_enclosure(self, url: str, media_type: str) -> None:
        """Note an enclosure, where it is better than what is known."""
        is_better = _says_audio(media_type) and not _says_audio(self.audio_type)
        if url.strip() and (not self.audio_url or is_better):
            self.audio_url, self.audio_type = url, media_type


class FeedReader(ContentHandler):
    """Collects the items of `rss/channel`."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[RawItem] = []
        self.root = ""
        self.has_channel = False
        self.is_whole = False
        """Whether the document's last tag has come."""
        self._path: list[str] = []
        self._prefixes: dict[str, str] = {}
        self._item: RawItem | None = None
        self._element = ""
        self._pieces: list[str] = []
        self._room = 0

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the name of SAX
        """Go down into an element."""
        if len(self._path) >= _DEPTH_MAX:
            raise ValueError(f"elements are nested deeper than {_DEPTH_MAX}")
        self._learn_prefixes(attrs)
        name = self._usual(name)
        self.root = self.root or name
        self._path.append(name)
        if len(self._path) <= len(_ITEM):
            self._open_outer()
        elif self._item is not None and len(self._path) == len(_ITEM) + 1:
            self._open_child(self._item, name, attrs)

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802 - the name and form of SAX
        """Come up out of an element."""
        if self._item is not None and self._element and len(self._path) == len(_ITEM) + 1:
            self._item.add_text(self._element, "".join(self._pieces))
            self._element, self._pieces = "", []
        self._path.pop()
        if len(self._path) < len(_ITEM) and self._item is not None:
            self.items.append(self._item)
            self._item = None
        self.is_whole = not self._path

    def characters(self, content: str) -> None:
        """Keep text of an element that is read, its children included."""
        if not self._element or self._item is None:
            return
        if len(content) > self._room:
            self._item.cut.add(self._element)
        if self._room > 0:
            self._pieces.append(content[: self._room])
            self._room -= len(content)

    def skippedEntity(self, name: str) -> None:  # noqa: N802 - the name of SAX
        """Write what a document type that was not fetched may have declared: HTML's entities."""
        self.characters(html5.get(f"{name};", f"&{name};"))

    def _learn_prefixes(self, attrs: AttributesImpl) -> None:
        for name, value in attrs.items():
            usual = _PREFIXES.get(value.strip().lower()) if name.startswith("xmlns:") else None
            if usual is not None:
                self._prefixes[name.removeprefix("xmlns:")] = usual

    def _usual(self, name: str) -> str:
        prefix, colon, local = name.partition(":")
        return f"{self._prefixes.get(prefix, prefix)}:{local}" if colon else name

    def _open_outer(self) -> None:
        path = tuple(self._path)
        self.has_channel = self.has_channel or path == _CHANNEL
        if path == _ITEM:
            if len(self.items) >= ITEMS_MAX:
                raise ValueError(f"there are more than {ITEMS_MAX} items")
            self._item = RawItem(len(self.items) + 1)

    def _open_child(self, item: RawItem, name: str, attrs: AttributesImpl) -> None:
        if name == "enclosure":
            item.add_enclosure(attrs.get("url", ""), attrs.get("type", ""))
        elif name in _READ:
            self._element, self._pieces, self._room = name, [], TEXT_MAX


def _says_audio(media_type: str) -> bool:
    return media_type.strip().lower().startswith("audio/")
