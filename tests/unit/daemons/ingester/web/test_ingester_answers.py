import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.web.errors import WebRefused, WebUnavailable, shown
from daemons.ingester.web.headers import (
    ContentRange,
    Validators,
    parse_content_range,
    retry_after_seconds,
    strong_etag,
)
from daemons.ingester.web.partial import Note, parse_note
from daemons.ingester.web.sniffing import disguise
from shared.errors import PermanentError, TransientError


@pytest.mark.parametrize(
    ("head", "label", "verdict"),
    [
        (b"<!DOCTYPE html><html>", "audio/mpeg", "an HTML or XML page"),
        (b"\r\n <html>", "", "an HTML or XML page"),
        (codecs.BOM_UTF8 + b"<?xml version='1.0'?><Error/>", "", "an HTML or XML page"),
        (b"<Error><Code>AccessDenied</Code></Error>", "", "an HTML or XML page"),
        (codecs.BOM_UTF16_LE + "<html>".encode("utf-16-le"), "", "an HTML or XML page"),
        (codecs.BOM_UTF16_BE + "<html>".encode("utf-16-be"), "", "an HTML or XML page"),
        (b'{"error": "gone"}', "audio/mpeg", "a JSON document"),
        (b"{}", "", "a JSON document"),
        (b'[ {"a": 1} ]', "", "a JSON document"),
        (b"Not found", "text/plain", "text labelled 'text/plain'"),
        ("Nicht verfügbar".encode(), "text/html; charset=utf-8", "text labelled"),
        (b"rate limited", "application/json", "text labelled"),
        (b"caf\xe9 ferm\xe9", "text/plain", "text labelled"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x23TSSE", "text/html", ""),
        (b"\xff\xfb\x90\x00", "text/plain", ""),
        (b"\x00\x00\x00\x20ftypM4A ", "", ""),
        (b"OggS\x00\x02", "", ""),
        (b"RIFF\x00\x00\x00\x00WAVE", "application/json", ""),
        (b"<\x00\x01\x02a", "", ""),
        (b"{\x00\x01\x02", "", ""),
        (b"\xff\xfe<\x80\x00", "", ""),
        (b"Not found", "audio/mpeg", ""),
        (b"", "", ""),
        (b"", "text/plain", "text labelled"),
    ],
)
def test_pages_in_place_of_audio_are_recognised(head: bytes, label: str, verdict: str) -> None:
    """An error page with status 200 would count as the episode for ever."""
    found = disguise(head, label)

    assert found.startswith(verdict)
    assert bool(found) == bool(verdict)


@given(st.binary(max_size=2000), st.text(max_size=40))
def test_no_bytes_break_the_recognition(head: bytes, label: str) -> None:
    """Whatever a server sends gets a verdict."""
    assert isinstance(disguise(head, label), str)


def test_audio_cut_in_the_middle_of_a_character_is_judged_as_text() -> None:
    """The first bytes end anywhere, in the middle of an umlaut too."""
    assert disguise(("ü" * 1024).encode()[:1023], "text/plain")


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes 0-9/10", ContentRange(0, 9, 10)),
        ("bytes 5-9/*", ContentRange(5, 9, None)),
        ("bytes 9-5/10", None),
        ("bytes 0-10/10", None),
        ("bytes */10", None),
        ("items 0-9/10", None),
        ("bytes 0-9/10, 20-29", None),
        ("bytes 0-" + "9" * 40 + "/*", None),
        ("", None),
    ],
)
def test_content_ranges(text: str, span: ContentRange | None) -> None:
    """A part that is not what was asked for would be glued into the middle of an episode."""
    assert parse_content_range(text) == span


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        ('"abc"', '"abc"'),
        ('W/"abc"', ""),
        ("abc", ""),
        ('"a\r\nX: 1"', ""),
        ("", ""),
        ('"a"b"', ""),
    ],
)
def test_only_strong_etags_stand_for_bytes(text: str, etag: str) -> None:
    """A weak one promises the same music, not the same bytes."""
    assert strong_etag(text) == etag


def test_validators_become_a_conditional_request() -> None:
    """What is sent back was a stranger's: nothing else may ride on it."""
    assert Validators('W/"a"', "Thu, 25 Jul 2024 22:00:00 GMT").headers() == {
        "If-None-Match": 'W/"a"',
        "If-Modified-Since": "Thu, 25 Jul 2024 22:00:00 GMT",
    }
    assert Validators('"a"\r\nX: 1', "now\nX: 1").headers() == {}
    assert Validators().headers() == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("", 0.0), ("-7", 0.0), ("Thu, 25 Jul 2024 22:00:00 GMT", 0.0)],
)
def test_retry_after(text: str, seconds: float) -> None:
    """A server that asks for a pause gets one."""
    assert retry_after_seconds(text) == seconds


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://a.example/1.mp3?token=x", "https://a.example/1.mp3?..."),
        ("https://me:pw@a.example:8443/1.mp3", "https://a.example:8443/1.mp3"),
        ("http://me:pw@a.example:x/1.mp3?token=x", "http://a.example:x/1.mp3?..."),
        ("http://[me:pw@a/", "a URL that cannot be read"),
        ("no url", "://no url"),
    ],
)
def test_messages_show_no_secret_of_a_url(url: str, seen: str) -> None:
    """A private feed has its token in the query; logs and summaries travel."""
    error = WebUnavailable(url, "took too long", status=503, retry_after=3)

    assert shown(url) == seen
    assert str(error) == f"{seen!r} took too long"
    assert (error.retry_after, error.http_status) == (3, 503)


def test_kinds_of_error_decide_about_another_try() -> None:
    """The retry policy goes by the class alone."""
    assert issubclass(WebUnavailable, TransientError)
    assert issubclass(WebRefused, PermanentError)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"schema": 2, "etag": "\\"a\\"", "size": 1, "total": 2}',
        b'{"schema": 1, "etag": "a", "size": 1, "total": 2}',
        b'{"schema": 1, "etag": "\\"a\\"", "size": -1, "total": 2}',
        b'{"schema": 1, "etag": "\\"a\\"", "size": true, "total": 2}',
        b'{"schema": 1, "etag": "\\"a\\"", "size": 3, "total": 2}',
        b'{"schema": 1, "etag": "\\"a\\"", "size": 1, "total": "2"}',
        b"[" * 5000,
    ],
)
def test_a_note_that_cannot_be_trusted_is_none(body: bytes) -> None:
    """Going on with the wrong bytes is worse than beginning anew."""
    assert parse_note(body) is None


@pytest.mark.parametrize("note", [Note('"a"', 5, 9), Note('"a"', 5, None)])
def test_notes_round_trip(note: Note) -> None:
    """What is written for the next run is what the next run reads."""
    assert parse_note(note.to_bytes()) == note
