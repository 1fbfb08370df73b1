"""The gap report: the contract's JSON, and memory that does not follow the number of paths."""

import json
import tracemalloc
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.gap import Conflict, GapReport, Part, TextList

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
MANIFEST = "episode-manifest/full-episode-manifest.json"


def test_the_report_is_the_contracts_json() -> None:
    """Others read it."""
    report = GapReport("hardfork", "hardfork-browse-dot-show")
    report.add(Part.LOCAL_ONLY, Folder.AUDIO, "audio/p/a.mp3")
    report.add(Part.LOCAL_ONLY, Folder.AUDIO, 'audio/p/b "é".mp3')
    report.add(Part.S3_ONLY, Folder.SEARCH_ENTRIES, "search-entries/p/a.json")
    report.add(Part.CONSISTENT, Folder.INDEX, "search-index/orama_index.msp")
    moment = 1_772_366_400_123_456_789
    report.add_conflict(Conflict(MANIFEST, 10, 12, moment, 0, "merge"))

    found = json.loads("".join(report.to_json(NOW)))

    empty: dict[str, list[str]] = {
        name: []
        for name in ("audio", "transcripts", "manifest", "rss", "searchEntries", "searchIndex")
    }
    assert found == {
        "siteId": "hardfork",
        "bucket": "hardfork-browse-dot-show",
        "generatedAt": "2026-03-01T12:30:00.000Z",
        "localOnly": {**empty, "audio": ["audio/p/a.mp3", 'audio/p/b "é".mp3']},
        "s3Only": {**empty, "searchEntries": ["search-entries/p/a.json"]},
        "consistent": {**empty, "searchIndex": ["search-index/orama_index.msp"]},
        "conflicts": [
            {
                "path": MANIFEST,
                "localSize": 10,
                "s3Size": 12,
                "localModified": "2026-03-01T12:00:00.123Z",
                "s3Modified": "1970-01-01T00:00:00.000Z",
                "resolution": "merge",
            }
        ],
        "summary": {
            "totalLocalOnlyFiles": 2,
            "totalS3OnlyFiles": 1,
            "totalConsistentFiles": 1,
            "totalConflictFiles": 1,
            "hasLocalOnlyFiles": True,
            "hasS3OnlyFiles": True,
            "hasConflicts": True,
        },
    }
    assert list(found) == [
        "siteId", "bucket", "generatedAt", "localOnly", "s3Only", "consistent", "conflicts",
        "summary",
    ]  # fmt: skip


def test_an_empty_report_is_whole() -> None:
    """A site before its first run."""
    found = json.loads("".join(GapReport("a", "b").to_json(NOW)))

    assert found["conflicts"] == []
    assert found["summary"]["hasConflicts"] is False
    assert "conflicts: 0" in GapReport("a", "b").to_text()


def test_lines_come_back_sorted_whatever_their_number() -> None:
    """The lists are sorted; the few that come late must not spoil it."""
    lines = [f"audio/p/{number:06}.mp3" for number in range(9000)]
    kept = TextList()
    for line in (*lines[1:], lines[0]):
        kept.append(line)

    assert list(kept) == lines
    assert list(kept) == lines
    assert len(kept) == 9000


@given(st.lists(st.lists(st.text("abc", max_size=3), max_size=4), max_size=6))
def test_lines_added_together_are_lines_added_one_by_one(pieces: list[list[str]]) -> None:
    """Whole runs of paths are added at once; whatever order they come in, they are read sorted."""
    together, singly = TextList(), TextList()
    for piece in pieces:
        together.extend(piece)
        for line in piece:
            singly.append(line)

    assert list(together) == list(singly) == sorted(line for piece in pieces for line in piece)
    assert len(together) == len(singly)


def test_a_path_costs_a_few_bytes() -> None:
    """A million paths as strings are more memory than a whole run may have."""
    tracemalloc.start()
    kept = TextList()
    for number in range(20_000):
        kept.append(f"search-entries/hard-fork/2022-09-27_Episode_{number}--1749472638931.json")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 20_000 * 25
