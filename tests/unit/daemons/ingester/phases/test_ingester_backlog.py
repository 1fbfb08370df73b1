import pytest

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.folders import Folder
from daemons.ingester.archive.holdings import Holdings
from daemons.ingester.phases.backlog import UnderWay, Waiting, plan_backlog, seconds_left
from daemons.ingester.speech.progress import Pace
from tests.support.syncing import episode

OLD, NEW = "2024-07-25_A--1700000000000", "2024-07-25_A--1800000000000"
OTHER = "2024-07-26_B--1700000000000"
LEGACY = "2020-01-23_The-Transfer-Window"


def holding(*paths: str) -> Holdings:
    """Hold these files."""
    holdings = Holdings()
    for path in paths:
        holdings.add(path, path)
    return holdings


def audio(*keys: str) -> list[str]:
    """Where audio lies."""
    return [f"audio/hard-fork/{key}.mp3" for key in keys]


def transcript(key: str) -> str:
    """Where a transcript lies."""
    return f"transcripts/hard-fork/{key}.srt"


def entries(*keys: str) -> list[Episode]:
    """Manifest entries, dated as their keys are."""
    return [Episode(episode(1, fileKey=key, publishedAt=key[:10])) for key in keys]


@pytest.mark.parametrize(
    ("files", "listed", "waiting"),
    [
        (audio(OLD), [OLD], [OLD]),
        (audio(OLD, OTHER, LEGACY), [OLD, OTHER, LEGACY], [OTHER, OLD, LEGACY]),
        ([*audio(OLD), transcript(OLD)], [OLD], []),
        (audio(OLD, NEW), [OLD, NEW], [NEW]),
        ([*audio(OLD, NEW), transcript(NEW)], [OLD, NEW], []),
        ([*audio(OLD), transcript(NEW)], [OLD, NEW], []),
        (audio(OLD), [OLD, NEW], [OLD]),
        (audio(OLD), [], []),
        ([transcript(OLD)], [OLD], []),
    ],
)
def test_audio_waits_that_lacks_a_transcript_and_counts(
    files: list[str], listed: list[str], waiting: list[str]
) -> None:
    """Never twice, never an older version, never what no entry speaks of; the newest first."""
    found = plan_backlog(holding(*files), entries(*listed))

    assert [each.episode.file_key for each in found.waiting] == waiting


def test_what_is_left_is_named_with_its_reason() -> None:
    """An orphan is somebody's mistake; an older version is nobody's."""
    found = plan_backlog(holding(*audio(OLD, NEW, OTHER)), entries(NEW))

    assert found.orphans == tuple(audio(OTHER))
    assert found.older == 1
    assert found.undecided == ()


@pytest.mark.parametrize(
    ("avoid", "folders", "undecided"),
    [
        ([transcript(OLD)], [], audio(OLD)),
        (audio(OLD), [], audio(OLD)),
        ([f"search-entries/hard-fork/{OLD}.json", "rss/feed.xml"], [], []),
        ([], [Folder.TRANSCRIPTS], audio(OLD)),
        ([], [Folder.AUDIO, Folder.RSS], []),
    ],
)
def test_what_s3_may_have_is_not_paid_for_again(
    avoid: list[str], folders: list[Folder], undecided: list[str]
) -> None:
    """A transcript that could not be downloaded today is there tomorrow."""
    found = plan_backlog(holding(*audio(OLD)), entries(OLD), avoid=avoid, avoid_folders=folders)

    assert list(found.undecided) == undecided
    assert len(found.waiting) == (0 if undecided else 1)


def test_a_newer_version_that_only_s3_has_counts_as_one() -> None:
    """Its audio will be here soon; both would be two transcripts of one episode."""
    found = plan_backlog(holding(*audio(OLD)), entries(OLD, NEW), avoid=audio(NEW))

    assert found.waiting == ()


def test_one_episode_can_be_asked_for() -> None:
    """By any part of its key."""
    found = plan_backlog(holding(*audio(OLD, OTHER)), entries(OLD, OTHER), only="26_B")

    assert [each.audio for each in found.waiting] == audio(OTHER)
    assert found.waiting[0].transcript == transcript(OTHER)


def test_a_transcript_is_named_as_the_manifest_names_its_episode() -> None:
    """The function that builds the index compares the names letter by letter."""
    composed, decomposed = "2020-01-23_Café", "2020-01-23_Cafe\u0301"
    holdings = Holdings()
    holdings.add(f"audio/hard-fork/{composed}.mp3", f"audio/hard-fork/{composed}.mp3")

    found = plan_backlog(holdings, entries(decomposed))

    assert found.waiting[0].transcript == transcript(decomposed)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(754, 754.0), (1.5, 1.5), (0, None), (-1, None), (True, None), ("754", None), (None, None)],
)
def test_a_length_is_taken_where_it_is_one(value: object, seconds: float | None) -> None:
    """It comes from a feed and serves a guess only."""
    entry = Episode(episode(1, durationInSeconds=value))

    assert Waiting(entry, "audio/hard-fork/x.mp3").seconds == seconds


@pytest.mark.parametrize(
    ("ratio", "under_way", "later", "at_once", "left"),
    [
        (None, [600.0], [600.0], 1, None),
        (0.5, [], [None], 1, None),
        (0.5, [600.0], [], 1, 200.0),
        (0.5, [600.0], [600.0, 1200.0], 1, 1100.0),
        (0.5, [600.0], [600.0, None], 1, 800.0),
        (0.5, [600.0, 600.0], [600.0], 2, 350.0),
        (0.1, [600.0], [], 1, 6.0),
    ],
)
def test_the_time_left_is_measured_and_never_a_wish(
    ratio: float | None,
    under_way: list[float],
    later: list[float | None],
    at_once: int,
    left: float | None,
) -> None:
    """What is under way has had 100 s; unknown lengths are taken for usual ones."""
    busy = [UnderWay(seconds, 900.0) for seconds in under_way]

    found = seconds_left(Pace(ratio), busy, later, now=1000.0, at_once=at_once)

    assert found == (None if left is None else pytest.approx(left))
