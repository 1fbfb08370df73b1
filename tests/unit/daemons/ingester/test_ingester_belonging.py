import json
from pathlib import Path
from shutil import rmtree

import anyio
import pytest

from daemons.ingester.archive.folders import (
    MANIFEST_PATH,
    Folder,
    audio_path,
    search_entries_path,
    transcript_path,
)
from daemons.ingester.mirror.consistency import ConsistencyReport, Kind
from daemons.ingester.mirror.consistency_reader import check_consistency
from daemons.ingester.phases.entries import write_entries
from daemons.ingester.syncing.place import LocalFilesMissing, save_counts
from shared.files import make_folders
from tests.support.speech_ground import PODCAST, WORDS, SpeechGround
from tests.support.syncing import episode

KEY = "2024-07-21_E--1700000000000"
NEWER = "2024-07-21_E--1800000000000"
OTHER = "2024-07-22_F--1700000000000"
AUDIO, TRANSCRIPT, ENTRIES = (
    path(PODCAST, KEY) for path in (audio_path, transcript_path, search_entries_path)
)


@pytest.fixture
def ground(tmp_path: Path) -> SpeechGround:
    """A site of two episodes without a fault."""
    place = SpeechGround(tmp_path)
    place.manifest(KEY, OTHER)
    place.whole(KEY, OTHER)
    anyio.run(write_entries, place.site, place.place)
    return place


def check(ground: SpeechGround) -> ConsistencyReport:
    """Check it; that changes nothing."""
    before = ground.stamps()
    report = anyio.run(check_consistency, ground.site, ground.place)
    assert ground.stamps() == before
    return report


def found(report: ConsistencyReport) -> list[tuple[str, str]]:
    """Kinds and items."""
    return sorted((finding.kind.value, finding.item) for finding in report.findings)


def test_files_that_are_gone_are_not_called_consistent(ground: SpeechGround) -> None:
    """An empty folder has no fault, and a drive that is not mounted looks like one."""
    make_folders(ground.place.state)
    save_counts(ground.place, {Folder.AUDIO: 2})
    rmtree(ground.root)

    with pytest.raises(LocalFilesMissing, match="mount the drive"):
        anyio.run(check_consistency, ground.site, ground.place)


def test_a_site_without_a_fault_is_counted(ground: SpeechGround) -> None:
    """Exit 0, and numbers that can be compared from day to day."""
    report = check(ground)

    assert report.findings == []
    assert report.status == 0
    assert report.to_json()["counts"] == {
        "audioFiles": 2,
        "transcriptFiles": 2,
        "searchEntryFiles": 2,
        "manifestEntries": 2,
        "episodes": 2,
    }


@pytest.mark.parametrize(
    ("removed", "kinds", "status"),
    [
        ([TRANSCRIPT], [("missing-file", AUDIO)], 1),
        ([ENTRIES], [("missing-file", AUDIO)], 1),
        ([TRANSCRIPT, ENTRIES], [("missing-file", AUDIO)] * 2, 1),
        ([AUDIO], [("orphaned-file", ENTRIES), ("orphaned-file", TRANSCRIPT)], 2),
        ([AUDIO, TRANSCRIPT, ENTRIES], [("missing-file", f"{PODCAST}/{KEY}")], 1),
    ],
)
def test_what_lacks_its_other_half_is_named(
    ground: SpeechGround, removed: list[str], kinds: list[tuple[str, str]], status: int
) -> None:
    """Audio without text is an error; text without audio can still be found and read."""
    for path in removed:
        (ground.root / path).unlink()

    report = check(ground)

    assert found(report) == kinds
    assert report.status == status


@pytest.mark.parametrize(
    ("path", "content", "kinds"),
    [
        ("audio/hard-fork/no-date.mp3", "x", ["parse-error"]),
        ("audio/hard-fork/deeper/a.mp3", "x", ["parse-error"]),
        ("audio/hard-fork/new\nline.mp3", "x", ["parse-error"]),
        (TRANSCRIPT, "no cue", ["parse-error", "stale-entries"]),
        (ENTRIES, "{}", ["parse-error"]),
        (ENTRIES, "no JSON", ["parse-error"]),
        (ENTRIES, "[" * 100_000, ["parse-error"]),
        (ENTRIES, "[1]", ["parse-error"]),
        (ENTRIES, '[{"id": 1}]', ["parse-error"]),
        (ENTRIES, '[{"id": "2_1000"}]', ["duplicate-ids", "stale-entries"]),
        (ENTRIES, '[{"id": "1_0"}, {"id": "1_0"}]', ["duplicate-ids", "stale-entries"]),
        (ENTRIES, "[]", ["stale-entries"]),
        (TRANSCRIPT, WORDS.format("Corrected."), ["stale-entries"]),
        (MANIFEST_PATH, "{", ["parse-error"]),
        (".DS_Store", "x", []),
        ("rss/feed.xml", "x", []),
    ],
)
def test_odd_content_is_named_by_kind(
    ground: SpeechGround, path: str, content: str, kinds: list[str]
) -> None:
    """Whoever builds the index trusts what lies here."""
    ground.file(path, content)

    report = check(ground)

    assert [kind for kind, _ in found(report)] == kinds


@pytest.mark.parametrize(
    ("number", "kinds"),
    [
        (3, [("stale-entries", ENTRIES)]),
        (2, [("duplicate-ids", "2"), ("stale-entries", ENTRIES)]),
    ],
)
def test_entries_must_have_the_manifests_numbers(
    ground: SpeechGround, number: int, kinds: list[tuple[str, str]]
) -> None:
    """Hits would open another episode; a number that two have is no number."""
    entries = [episode(number, fileKey=KEY), episode(2, fileKey=OTHER)]
    ground.manifest(episodes=entries)

    assert found(check(ground)) == kinds


def test_entries_alone_are_judged_by_their_numbers(ground: SpeechGround) -> None:
    """Without a transcript nobody can say more."""
    (ground.root / TRANSCRIPT).unlink()

    ground.file(ENTRIES, '[{"id": "1_5"}]')
    assert "stale-entries" not in dict(found(check(ground)))
    ground.file(ENTRIES, '[{"id": "7_5"}]')
    assert "stale-entries" in dict(found(check(ground)))


def test_files_without_an_entry_are_named(ground: SpeechGround) -> None:
    """They are uploaded and nobody can find them."""
    ground.manifest(episodes=[episode(2, fileKey=OTHER)])

    assert found(check(ground)) == [
        ("manifest-mismatch", path) for path in sorted([AUDIO, TRANSCRIPT, ENTRIES])
    ]


def test_an_older_version_is_named_once_as_such(ground: SpeechGround) -> None:
    """What it lacks nobody will make."""
    ground.whole(NEWER)
    ground.manifest(NEWER, OTHER)
    anyio.run(write_entries, ground.site, ground.place)
    (ground.root / TRANSCRIPT).unlink()

    report = check(ground)

    assert found(report) == [("duplicate-versions", AUDIO), ("duplicate-versions", ENTRIES)]
    assert report.status == 2
    assert report.counts.episodes == 2


@pytest.mark.parametrize(
    ("end", "text", "kinds"),
    [
        ("00:00:46,000", "no end in sight", ["no-punctuation"]),
        ("00:00:45,999", "no end in sight", []),
        ("00:00:46,000", "an end. in sight", []),
    ],
)
def test_a_long_stretch_without_punctuation_is_a_warning(
    ground: SpeechGround, end: str, text: str, kinds: list[str]
) -> None:
    """It is how a recogniser sounds that has lost its way."""
    ground.file(TRANSCRIPT, f"1\n00:00:01,000 --> {end}\n{text}\n")
    anyio.run(write_entries, ground.site, ground.place)

    assert [kind for kind, _ in found(check(ground))] == kinds


def test_a_file_that_cannot_be_read_is_named(ground: SpeechGround) -> None:
    """The check itself goes on."""
    target = ground.root / TRANSCRIPT
    body = target.read_bytes()
    target.unlink()
    target.symlink_to(ground.file("elsewhere", body))

    assert ("parse-error", TRANSCRIPT) in found(check(ground))


def test_the_report_is_told_to_people_and_programs(ground: SpeechGround) -> None:
    """Warnings first, errors last, where one looks after a long list."""
    (ground.root / ENTRIES).unlink()
    (ground.root / audio_path(PODCAST, OTHER)).unlink()

    report = check(ground)
    document = json.loads(json.dumps(report.to_json()))
    lines = report.to_text().splitlines()

    assert (document["siteId"], document["errorCount"], document["warningCount"]) == (
        *("hardfork", 1, 2),
    )
    assert document["countsByType"]["missing-file"] == 1
    assert {finding["level"] for finding in document["findings"]} == {"error", "warning"}
    assert lines[0] == (
        "site hardfork: 1 audio files, 2 transcripts, 1 files of search entries, "
        "2 manifest entries, 2 episodes"
    )
    assert lines[1] == "warning: orphaned-file: 2"
    assert lines[4] == "error: missing-file: 1"
    assert lines[5] == f"  {AUDIO}: it has no file in search-entries"
    assert lines[-1] == "1 error, 2 warnings"


def test_a_name_cannot_forge_a_line(ground: SpeechGround) -> None:
    """Whoever can name a file must not be able to write the report."""
    ground.file("audio/hard-fork/a\nerror: forged.mp3")

    lines = check(ground).to_text().splitlines()

    assert len(lines) == 4
    assert "'audio/hard-fork/a\\nerror: forged.mp3'" in lines[2]


def test_a_million_faults_are_counted_and_not_all_kept() -> None:
    """A site with the wrong manifest has one for each of its files."""
    report = ConsistencyReport("hardfork")
    for number in range(10_050):
        report.add(Kind.MANIFEST_MISMATCH, str(number), "the manifest has no entry for it")

    assert len(report.findings) == 10_000
    assert report.errors == 10_050
    assert "  and 50 more" in report.to_text().splitlines()
