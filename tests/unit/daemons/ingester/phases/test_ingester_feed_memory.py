import json
from pathlib import Path

import pytest

from daemons.ingester.phases.feed_memory import FeedMemory, Remembered, digest_of
from daemons.ingester.web.headers import NO_VALIDATORS, Validators

URL = "http://a.example/feed?token=secret"
BODY = b"<rss/>"
KEPT = Remembered(digest_of(URL, BODY), Validators('"1"', "Tue, 02 Jul 2024 09:00:00 GMT"), "latin")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is kept; the folder is not there yet."""
    return tmp_path / "feeds" / "hardfork.json"


def memory(path: Path, *podcasts: str) -> FeedMemory:
    """Read it as a new process does."""
    return FeedMemory(path, podcasts or ("a", "b"))


def test_next_process_knows_what_was_kept(path: Path) -> None:
    """A URL may hold a token: it is not written down."""
    memory(path).remember("a", KEPT)

    assert memory(path).recall("a", URL, BODY) == KEPT
    assert memory(path).recall("b", URL, BODY) is None
    assert b"secret" not in path.read_bytes()


@pytest.mark.parametrize(
    ("url", "body"), [(URL, BODY + b" "), (URL, b""), (f"{URL}2", BODY), (URL[:-1], b"t" + BODY)]
)
def test_other_bytes_or_another_url_know_nothing(path: Path, url: str, body: bytes) -> None:
    """With a validator of something else `304` would keep the wrong feed for ever."""
    memory(path).remember("a", KEPT)

    assert memory(path).recall("a", url, body) is None


def test_what_is_known_already_is_not_written(path: Path) -> None:
    """A run that finds nothing new writes nothing."""
    memory(path).remember("a", KEPT)
    before = path.stat().st_ino

    memory(path).remember("a", KEPT)
    memory(path).remember("b", Remembered("", NO_VALIDATORS, ""))

    assert path.stat().st_ino == before


def test_server_that_gives_nothing_out_is_forgotten(path: Path) -> None:
    """It had an ETag once; the feed has none any more."""
    memory(path).remember("a", KEPT)
    memory(path).remember("a", Remembered(KEPT.of, Validators("no etag"), ""))

    assert memory(path).recall("a", URL, BODY) is None
    assert json.loads(path.read_bytes())["feeds"] == {}


def test_podcasts_that_are_gone_are_forgotten(path: Path) -> None:
    """The file must not grow with every podcast that a site once had."""
    memory(path).remember("a", KEPT)
    memory(path, "b").remember("b", KEPT)

    assert list(json.loads(path.read_bytes())["feeds"]) == ["b"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"schema": 2, "feeds": {}}',
        b'{"schema": 1}',
        b'{"schema": 1, "feeds": {"a": {}}}',
        b'{"schema": 1, "feeds": {"a": null}}',
        b'{"schema": 1, "feeds": []}',
    ],
    ids=lambda body: body[:20],
)
def test_what_cannot_be_read_counts_as_nothing(path: Path, body: bytes) -> None:
    """It saves a download and no more; the next feed makes the file good again."""
    path.parent.mkdir()
    path.write_bytes(body)

    assert memory(path).recall("a", URL, BODY) is None
    memory(path).remember("a", KEPT)
    assert memory(path).recall("a", URL, BODY) == KEPT
