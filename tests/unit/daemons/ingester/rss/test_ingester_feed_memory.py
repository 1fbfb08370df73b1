import tracemalloc

import pytest

from daemons.ingester.rss import mending, reader
from daemons.ingester.rss.feed import parse_feed

SIZE = 60_000


def filled(start: str, piece: str) -> bytes:
    """Repeat a piece until the document is large for a test."""
    return (start + piece * (SIZE // len(piece))).encode()


@pytest.mark.parametrize(
    "body",
    [
        filled("<rss><channel>", "<item/>"),
        filled("<rss><channel><item><description>", "\n"),
        filled("<rss><channel><item>", '<enclosure url="http://a/1"/>'),
        filled("<rss><channel><item>", "<title>a</title>"),
        filled("<rss>", "<a>"),
        filled("<rss><channel>", "<![CDATA[ "),
        filled("<rss><channel>", "<![CDATA[]]>"),
        filled("<rss><channel>", "&"),
        filled("<rss><channel>", "<"),
    ],
    ids=["items", "lines", "enclosures", "titles", "depth", "open", "cdata", "ampersands", "less"],
)
def test_a_hostile_feed_costs_little_more_than_its_size(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes on the wire must not become gigabytes here; the cap on bytes is the bound."""
    for module, name, low in ((reader, "ITEMS_MAX", 500), (mending, "PLACES_MAX", 1000)):
        monkeypatch.setattr(module, name, low)
    monkeypatch.setattr(reader, "TEXT_MAX", 5000)
    _read(b"<rss><channel><item/></channel></rss>")  # what is made once does not count

    tracemalloc.start()
    _read(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 12 * SIZE


def _read(body: bytes) -> None:
    try:
        parse_feed(body)
    except ValueError:
        return
