import pytest

from daemons.ingester.archive.folders import Folder
from daemons.ingester.archive.holdings import Holdings, older_versions, superseded_files

OLD, NEW = "2024-07-25_A--1700000000000", "2024-07-25_A--1800000000000"
NEWEST = "2024-07-25_A--1900000000000"
LEGACY = "2024-07-25_A"


def named(*keys: str) -> set[tuple[str, str]]:
    """Identities of one podcast."""
    return {("p", key) for key in keys}


@pytest.mark.parametrize(
    ("here", "listed", "older"),
    [
        ([OLD, NEW], [OLD, NEW], {OLD: NEW}),
        ([OLD, NEW], [NEW], {OLD: NEW}),
        ([OLD, NEW], [OLD], {}),
        ([OLD, NEW], [], {OLD: NEW}),
        ([OLD, NEW, NEWEST], [OLD, NEW], {OLD: NEW}),
        ([OLD, NEW, NEWEST], [NEW], {OLD: NEWEST}),
        ([OLD, LEGACY], [OLD, LEGACY], {}),
        ([OLD, "2024-07-26_A--1800000000000"], [], {}),
        (["no key", OLD], [OLD], {}),
    ],
)
def test_the_larger_timestamp_is_current_among_those_that_the_manifest_knows(
    here: list[str], listed: list[str], older: dict[str, str]
) -> None:
    """Files without an entry must not push an episode with one out of the search."""
    found = older_versions(named(*here), named(*listed))

    assert found == {("p", key): ("p", current) for key, current in older.items()}


def test_versions_are_of_one_podcast() -> None:
    """Two feeds may have an episode of the same title on the same day."""
    assert older_versions({("p", OLD), ("q", NEW)}, ()) == {}


def test_files_are_found_in_any_form_and_strays_are_named() -> None:
    """What lies elsewhere belongs to no episode, and is not forgotten either."""
    holdings = Holdings()
    holdings.add("audio/p/2020-01-23_Café.mp3", "audio/p/2020-01-23_Cafe\u0301.mp3")
    holdings.add("audio/p/deeper/x.mp3", "audio/p/deeper/x.mp3")

    identity = ("p", "2020-01-23_Café")
    assert holdings.has(Folder.AUDIO, identity)
    assert holdings.names(identity) == ("audio/p/2020-01-23_Cafe\u0301.mp3",)
    assert not holdings.is_complete(identity)
    assert holdings.identities() == {identity}
    assert holdings.strays == ["audio/p/deeper/x.mp3"]


def test_older_files_are_superseded_once_the_newer_transcript_is_there() -> None:
    """Until then the older one is the only text that there is."""
    holdings = Holdings()
    for path in (f"audio/p/{OLD}.mp3", f"transcripts/p/{OLD}.srt", f"audio/p/{NEW}.mp3"):
        holdings.add(path, path)

    assert superseded_files(holdings, named(NEW)) == ()
    holdings.add(f"transcripts/p/{NEW}.srt", f"transcripts/p/{NEW}.srt")
    assert superseded_files(holdings, named(NEW)) == (
        f"audio/p/{OLD}.mp3",
        f"transcripts/p/{OLD}.srt",
    )
