import pytest

from daemons.ingester.archive.folders import (
    SYNCED,
    UPLOAD_ORDER,
    EpisodePath,
    Folder,
    audio_path,
    comparable,
    content_type,
    counts,
    episode_path,
    feed_path,
    folder_of,
    search_entries_path,
    transcript_path,
)


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("audio/hard-fork/2022-09-27_A--1749472638931.mp3", Folder.AUDIO),
        ("transcripts/hard-fork/a.srt", Folder.TRANSCRIPTS),
        ("search-entries/hard-fork/a.json", Folder.SEARCH_ENTRIES),
        ("episode-manifest/full-episode-manifest.json", Folder.MANIFEST),
        ("rss/hard-fork.xml", Folder.RSS),
        ("rss/state.json", Folder.RSS),
        ("search-index/orama_index.msp", Folder.INDEX),
        ("index.html", None),
        ("assets/app.json", None),
        ("audio.mp3", None),
        ("audio", None),
        ("audio/", None),
        ("audio/hard-fork/", None),
        ("audio//a.mp3", None),
        ("audio/../a.mp3", None),
        ("audio/./a.mp3", None),
        ("audio/hard-fork/.mp3", None),
        ("audio/hard-fork/.a.mp3", None),
        ("audio/.cache/a.mp3", None),
        ("audio/hard-fork/a.MP3", None),
        ("audio/hard-fork/a.mp3.part", None),
        ("audio/hard-fork/a.mp3.tmp", None),
        ("audio/half.tmp/a.mp3", None),
        ("audio/half.part/a.mp3", None),
        ("audio/Thumbs.db", None),
        ("audio/Thumbs.db/a.mp3", None),
        ("audio/hard.partial/a.tmp.b.mp3", Folder.AUDIO),
        ("audio/my-Thumbs.db.mp3", Folder.AUDIO),
        ("transcripts/.processing-lock.json", None),
        ("transcripts/hard-fork/a.json", None),
        ("rss/.DS_Store", None),
    ],
)
def test_what_counts_and_what_is_passed_over(path: str, folder: Folder | None) -> None:
    """The bucket also holds the web client: nothing outside the six folders is ours."""
    assert folder_of(path) is folder


def test_empty_files_count_as_absent() -> None:
    """An old crash leaves a file of no bytes; it must not pass for an episode."""
    assert not counts("audio/a/b.mp3", 0)
    assert counts("audio/a/b.mp3", 1)
    assert not counts("index.html", 1)


def test_paths_of_an_episode_come_apart_again() -> None:
    """One key ties the files of an episode together."""
    key = "2022-09-27_A--1749472638931"

    for path, folder in (
        (audio_path("hard-fork", key), Folder.AUDIO),
        (transcript_path("hard-fork", key), Folder.TRANSCRIPTS),
        (search_entries_path("hard-fork", key), Folder.SEARCH_ENTRIES),
    ):
        assert folder_of(path) is folder
        assert episode_path(path) == EpisodePath(folder, "hard-fork", key)
    assert episode_path(feed_path("hard-fork.xml")) is None
    assert episode_path("audio/a.mp3") is None
    assert episode_path("audio/a/b/c.mp3") is None


@pytest.mark.parametrize(
    ("path", "stored_as"),
    [
        ("a.mp3", "audio/mpeg"),
        ("a.json", "application/json"),
        ("a.srt", "application/x-subrip"),
        ("a.xml", "application/xml"),
        ("a.msp", "application/octet-stream"),
        ("mp3", "application/octet-stream"),
    ],
)
def test_content_types(path: str, stored_as: str) -> None:
    """Browsers go by the type that the object has."""
    assert content_type(path) == stored_as


def test_paths_compare_composed() -> None:
    """Some file systems decompose what they store; it is the same path."""
    assert comparable("audio/Cafe\u0301.mp3") == "audio/Café.mp3"
    assert comparable("audio/a.mp3") == "audio/a.mp3"


def test_the_manifest_is_uploaded_last() -> None:
    """A visitor must never see an entry whose files are missing."""
    assert UPLOAD_ORDER[-1] is Folder.MANIFEST
    assert set(UPLOAD_ORDER) == set(Folder)
    assert set(SYNCED) == set(Folder) - {Folder.INDEX}
