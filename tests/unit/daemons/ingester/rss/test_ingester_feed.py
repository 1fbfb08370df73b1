import codecs
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.rss import feed as module
from daemons.ingester.rss import mending, reader
from daemons.ingester.rss.charset import pick_charset
from daemons.ingester.rss.feed import Feed, Item, parse_feed
from daemons.ingester.rss.mending import mended

ENCLOSURE = '<enclosure url="http://a.example/1.mp3" type="audio/mpeg"/>'
DATE = "<pubDate>Thu, 25 Jul 2024 22:00:00 GMT</pubDate>"
GOOD = f"<item><title>Good</title>{ENCLOSURE}{DATE}</item>"


def feed(*items: str, head: str = '<?xml version="1.0"?>', root: str = "<rss>") -> str:
    """Write a feed."""
    body = "".join(items)
    return f"{head}{root}<channel><title>The show</title>{body}</channel></rss>"


def read(*items: str, **settings: str) -> Feed:
    """Read a feed of these items."""
    return parse_feed(feed(*items, **settings).encode())


def only(*parts: str, **settings: str) -> Item:
    """Read the one item that has an enclosure, a date and these parts."""
    found = read(f"<item>{''.join(parts)}{ENCLOSURE}{DATE}</item>", **settings)
    assert not found.skipped
    assert not found.fault
    (item,) = found.items
    return item


def test_single_item_with_everything() -> None:
    """A feed of one item once made the whole feed disappear."""
    found = read(
        f"<item><title> Hello &amp; <![CDATA[<b>]]></title>{DATE}"
        '<enclosure url="http://a.example/1.mp3?x=1&amp;y=2" length="1" type="audio/mpeg"/>'
        "<itunes:duration>3600.5</itunes:duration><guid isPermaLink='false'> g-1 </guid>"
        "<description>&lt;p&gt;Text&lt;/p&gt;</description></item>"
    )

    assert found == Feed(
        (
            Item(
                number=1,
                title="Hello & <b>",
                audio_url="http://a.example/1.mp3?x=1&y=2",
                published_at=datetime(2024, 7, 25, 22, tzinfo=UTC),
                summary="<p>Text</p>",
                duration_seconds=3600,
                guid="g-1",
            ),
        )
    )


@pytest.mark.parametrize("title", ["1984", "007", "true", "null", "1e5", "日本語"])
def test_title_is_a_text_whatever_it_looks_like(title: str) -> None:
    """Each of these once made the whole feed disappear, and 007 became 7."""
    assert only(f"<title>{title}</title>").title == title


@pytest.mark.parametrize(
    "title", ["", "<title/>", "<title> \n </title>", "<itunes:title>X</itunes:title>"]
)
def test_untitled_episode(title: str) -> None:
    """Without a title it is an episode all the same."""
    assert only(title).title == "Untitled Episode"


@pytest.mark.parametrize(
    ("parts", "summary"),
    [
        ("<itunes:summary>1</itunes:summary><summary>2</summary>", "1"),
        ("<description>3</description><itunes:summary>1</itunes:summary>", "1"),
        ("<itunes:summary> </itunes:summary><summary>2</summary>", "2"),
        ("<content:encoded>4</content:encoded><description>3</description>", "3"),
        ("<content:encoded> 4 </content:encoded>", "4"),
        ("<description/><description>second</description>", "second"),
        ("<description>a<br/>b <i>c</i></description>", "ab c"),
        ("<media:description>no</media:description>", ""),
        ("", ""),
    ],
)
def test_summary_is_the_first_of_four_with_text(parts: str, summary: str) -> None:
    """The order is the contract's; libraries have others."""
    assert only(parts).summary == summary


@pytest.mark.parametrize(
    ("enclosures", "url"),
    [
        ('<enclosure url="http://a/1"/>', "http://a/1"),
        ('<enclosure url="http://a/1" type=""/>', "http://a/1"),
        ('<enclosure url="http://a/1" type="application/octet-stream"/>', "http://a/1"),
        ('<enclosure url="http://a/1" type="Audio/X-M4A; q=1"/>', "http://a/1"),
        (
            (
                '<enclosure url="http://a/v" type="video/mp4"/>'
                '<enclosure url="http://a/1" type="audio/mpeg"/>'
            ),
            "http://a/1",
        ),
        (
            (
                '<enclosure type="audio/mpeg"/><enclosure url="http://a/1"/>'
                '<enclosure url="http://a/2"/>'
            ),
            "http://a/1",
        ),
        (
            (
                '<enclosure url="http://a/1" type="audio/mpeg"/>'
                '<enclosure url="http://a/2" type="audio/ogg"/>'
            ),
            "http://a/1",
        ),
        ('<enclosure url="HTTPS://a.example/1 2.mp3"/>', "HTTPS://a.example/1 2.mp3"),
    ],
)
def test_which_enclosure_is_taken(enclosures: str, url: str) -> None:
    """The first audio, else the first that has a URL, exactly as it stands in the feed."""
    (item,) = read(f"<item>{enclosures}{DATE}</item>").items

    assert item.audio_url == url


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (DATE, "no enclosure with a URL"),
        (f'<enclosure url=" "/>{DATE}', "no enclosure with a URL"),
        (f'<enclosure url="http://a/v" type="video/mp4"/>{DATE}', "enclosure is not audio"),
        (f'<enclosure url="file:///etc/passwd"/>{DATE}', "enclosure URL is not http"),
        (f'<enclosure url="/1.mp3"/>{DATE}', "enclosure URL is not http"),
        (f'<enclosure url="http://[/1.mp3"/>{DATE}', "enclosure URL is not http"),
        (f'<enclosure url="http://a/{"1" * 9000}"/>{DATE}', "enclosure URL is not http"),
        (ENCLOSURE, "no pubDate"),
        (f"{ENCLOSURE}<pubDate>soon</pubDate>", "pubDate cannot be read"),
    ],
)
def test_a_bad_item_costs_itself_alone(parts: str, reason: str) -> None:
    """Its neighbours are read, and the summary says what was left out and why."""
    found = read(GOOD, f"<item><title>Bad</title>{parts}</item>", GOOD)

    assert [item.number for item in found.items] == [1, 3]
    assert [(each.number, each.title, each.reason) for each in found.skipped] == [
        (2, "Bad", reason)
    ]
    assert found.skipped_by_reason() == {reason: 1}
    assert not found.fault


def test_guid_that_occurs_twice_is_ignored() -> None:
    """A publisher who writes the same GUID everywhere has one episode, if it is believed."""
    found = read(*(GOOD.replace("</item>", f"<guid>{guid}</guid></item>") for guid in "aba"))

    assert [item.guid for item in found.items] == ["", "b", ""]


def test_limit_keeps_the_first_items_but_knows_all_guids() -> None:
    """`--max-episodes` counts items as they stand; a GUID is repeated wherever it is repeated."""
    items = (GOOD.replace("</item>", "<guid>a</guid></item>"), "<item/>")
    found = parse_feed(feed(*items, items[0]).encode(), max_items=2)

    assert [item.guid for item in found.items] == [""]
    assert len(found.skipped) == 1


def test_unknown_zone_is_a_warning() -> None:
    """The item is taken, and the guess is said."""
    found = read(GOOD.replace("GMT", "CEST"))

    assert found.items[0].published_at == datetime(2024, 7, 25, 22, tzinfo=UTC)
    assert found.warnings == ("item 1: zone 'CEST' is not known; taken as UTC",)


def test_prefixes_are_known_by_their_namespace() -> None:
    """A prefix is a matter of taste; undeclared ones stand for what everybody means by them."""
    root = (
        '<rss xmlns:i="http://www.itunes.com/dtds/podcast-1.0.dtd" '
        'xmlns:c="http://purl.org/rss/1.0/modules/content/">'
    )
    item = only("<i:duration>62:03</i:duration><c:encoded>x</c:encoded>", root=root)

    assert (item.duration_seconds, item.summary) == (3723, "x")
    assert only("<itunes:duration>62:03</itunes:duration>").duration_seconds == 3723


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no rss/channel"),
        (b"   ", "no rss/channel"),
        (b"Not found", "breaks off at line 1"),
        (b'{"error": 404}', "breaks off at line 1"),
        (b"<!DOCTYPE html><html><p>Down<br></html>", "'html'"),
        (b"<html><body>404</body></html>", "'html'"),
        (b"\n<!doctype html>\n<html lang=en><title>Moved</title>", "'html'"),
        (b'<feed xmlns="http://www.w3.org/2005/Atom"><entry/></feed>', "'feed'"),
        (b"<rss></rss>", "no rss/channel"),
        (b"<rss><item/></rss>", "no rss/channel"),
        (b"<a>" * 5000, "'a'"),
        (b"<rss>" + b"<a>" * 5000, "nested deeper"),
        (b"\x00\x01\x02", "breaks off"),
        (b"ID3\x04\x00" + b"\xff\xfb" * 100, "breaks off"),
    ],
)
def test_what_is_no_feed_is_an_error_of_this_feed(body: bytes, reason: str) -> None:
    """An error page in place of a feed must never pass for a feed without items."""
    with pytest.raises(ValueError, match=reason):
        parse_feed(body)


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a SYSTEM "http://169.254.169.254/latest"> %a;',
        '<!ENTITY a SYSTEM "x" NDATA y>',
    ],
)
def test_declared_entities_are_refused(declared: str) -> None:
    """A bomb of a few lines becomes gigabytes, and an external one reads what it likes."""
    head = f"<!DOCTYPE rss [{declared}]>"

    with pytest.raises(ValueError, match="declares entities"):
        parse_feed(feed(GOOD.replace("Good", "&a;"), head=head).encode())


def test_document_type_is_not_fetched(tmp_path: Path) -> None:
    """Old feeds name one; what it may declare is left as it stands, HTML's entities are known."""
    secret = tmp_path / "secret.dtd"
    secret.write_text('<!ENTITY mine "SECRET">')
    head = f'<!DOCTYPE rss PUBLIC "-//X" "{secret.as_uri()}">'

    assert only("<title>a&nbsp;b &mine;</title>", head=head).title == "a\xa0b &mine;"


@pytest.mark.parametrize(
    "rest",
    [
        "<item><title>a & b</title></item>",
        "<item><title>&nbsp;</title>",
        "<item><ti",
        "\x00",
        "</a>",
    ],
)
def test_a_document_that_breaks_off_keeps_what_came_before(rest: str) -> None:
    """The newest episodes stand first; the rest is an error of the feed, said with its line."""
    found = parse_feed(f"<rss><channel>{GOOD}\n{rest}".encode())

    assert [item.title for item in found.items] == ["Good"]
    assert "breaks off at line 2" in found.fault


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Q & A", "Q & A"),
        ("Q &amp; A &#38; B &", "Q & A & B &"),
        ("caf&eacute;&nbsp;&lt;b&gt; &nosuch; &", "caf\xe9\xa0<b> &nosuch; &"),
        ("1 < 2 <= 3", "1 < 2 <= 3"),
        ("bell\x07 \x00rings &#7;&#xD800;&#x110000;", "bell rings"),
        ("<![CDATA[a & b &nbsp;]]> & <![CDATA[\x07c]]>", "a & b &nbsp; & c"),
        ("<!-- a & b -->x & y", "x & y"),
    ],
)
def test_what_somebody_forgot_to_escape_is_mended(written: str, title: str) -> None:
    """One ampersand must not cost all older episodes; what is well-formed is never touched."""
    found = read(GOOD, f"<item><title>{written}</title>{ENCLOSURE}{DATE}</item>", GOOD)

    assert [item.title for item in found.items] == ["Good", title, "Good"]
    assert found.fault == ""
    assert "breaks off at line 1" in found.warnings[0]
    assert found.warnings[0].endswith("it was mended")


def test_what_is_mended_may_still_break_off() -> None:
    """Then what came before that place counts, and both are said."""
    found = parse_feed(f"<rss><channel>{GOOD}<item><title>a & b</title></item>\n</a>".encode())

    assert (len(found.items), len(found.skipped)) == (1, 1)
    assert "mismatched tag" in found.fault
    assert "mended" in found.warnings[0]


def test_a_large_document_is_not_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mending holds the text twice."""
    monkeypatch.setattr(module, "MENDED_MAX", 100)
    found = read(GOOD, "<item><title>a & b</title></item>")

    assert (len(found.items), found.warnings) == (1, ())
    assert "breaks off" in found.fault


def test_places_to_mend_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one is an object in memory; a feed of millions is no feed."""
    monkeypatch.setattr(mending, "PLACES_MAX", 3)

    assert mended("& &<![CDATA[&]]>& & &") == "&amp; &amp;<![CDATA[&]]>&amp; & &"
    assert mended("&&&<![CDATA[]]>&&") == "&amp;&amp;&amp;<![CDATA[]]>&&"


@given(st.text())
def test_mending_is_idempotent(text: str) -> None:
    """What has been mended needs no mending."""
    once = mended(text)

    assert mended(once) == once


def test_what_follows_the_end_is_nobodys_loss() -> None:
    """Templates leave comments of their own behind the document, and blank lines before it."""
    found = parse_feed(("\n  " + feed(GOOD) + "\n<!-- 0.1 s --> done").encode())

    assert (len(found.items), found.fault) == (1, "")


def test_long_text_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A summary with pictures in it must not fill the memory, nor cost the episode."""
    monkeypatch.setattr(reader, "TEXT_MAX", 40)
    text = f"{'a' * 20}\n{'b' * 30}"
    found = read(GOOD.replace("</item>", f"<description>{text}</description></item>"))

    assert found.items[0].summary == text[:40]
    assert found.warnings == ("item 1: description is cut; it is very long",)


def test_items_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of empty items are small on the wire and large in memory."""
    monkeypatch.setattr(reader, "ITEMS_MAX", 2)
    found = read(GOOD, GOOD, GOOD)

    assert len(found.items) == 2
    assert "more than 2 items" in found.fault


UMLAUT = feed("<item><title>Käse</title>" + ENCLOSURE + DATE + "</item>", head="")


@pytest.mark.parametrize(
    ("declared", "http", "written"),
    [
        ("", "", "utf-8"),
        ("UTF-8", "", "utf-8"),
        ("ISO-8859-1", "", "iso-8859-1"),
        ("", "iso-8859-1", "iso-8859-1"),
        ("", '"windows-1252"', "windows-1252"),
        ("UTF-8", "iso-8859-1", "iso-8859-1"),
        ("UTF-8", "iso-8859-1", "utf-8"),
        ("ISO-8859-1", "utf-8", "utf-8"),
        ("ISO-8859-1", "", "utf-8-sig"),
        ("UTF-16", "", "utf-16"),
        ("UTF-16", "utf-16", "utf-16"),
        ("UTF-16", "", "utf-8"),
        ("", "", "utf-16-le"),
        ("", "", "utf-16-be"),
        ("", "", "utf-32"),
        ("zip", "rot13", "utf-8"),
        ("unicode_escape", "no-such-charset", "utf-8"),
    ],
)
def test_charsets(declared: str, http: str, written: str) -> None:
    """HTTP, the document and the bytes may disagree; the text must come out as it was meant."""
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else '<?xml version="1.0"?>'

    (item,) = parse_feed((head + UMLAUT).encode(written), http).items
    assert item.title == "Käse"


def test_one_wrong_byte_costs_a_character() -> None:
    """A stray byte of another charset must not cost a thousand episodes."""
    body = UMLAUT.encode().replace(b"se</title>", b"se \x92</title>")

    assert parse_feed(body).items[0].title == "Käse \ufffd"
    assert pick_charset(codecs.BOM_UTF8 + b"\xff").errors == "replace"


@given(
    st.binary(max_size=300)
    | st.text().map(lambda text: feed(text, GOOD).encode("utf-8", "replace"))
)
def test_no_bytes_break_the_reader(body: bytes) -> None:
    """Everything from outside is hostile: a feed, or ValueError, and nothing else."""
    try:
        found = parse_feed(body, "utf-8")
    except ValueError:
        return
    assert len(found.items) + len(found.skipped) <= body.count(b"<item")
