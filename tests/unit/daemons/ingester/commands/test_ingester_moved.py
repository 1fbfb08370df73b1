import pytest

from daemons.ingester.archive.folders import Folder
from daemons.ingester.commands.moved import has_failed, reasons_of, to_json, to_text
from daemons.ingester.syncing.compare import Action, Direction, State
from daemons.ingester.syncing.gap import GapReport
from daemons.ingester.syncing.report import Fate, FolderCounts, SyncReport


def report(direction: Direction | None = Direction.PUSH) -> SyncReport:
    """Return the report of a sync that did nothing yet."""
    return SyncReport("hardfork", direction, GapReport("hardfork", "bucket"))


def test_counts_are_told_a_folder_at_a_time() -> None:
    """The totals alone do not say whether it was the audio that is still missing."""
    made = report()
    states = {State.SAME: 3, State.ONLY_LOCAL: 2}
    made.folders[Folder.AUDIO] = FolderCounts(states, moved=2, moved_bytes=10)
    made.folders[Folder.RSS] = FolderCounts()

    assert list(to_text(made, dry_run=False)) == [
        "push: 2 files moved, 10 bytes",
        "  audio                   2 moved, of 3 same, 2 only local",
        "  rss                     0 moved, of nothing",
    ]
    document = to_json(made, dry_run=False)
    assert document["folders"] == {
        "audio": {"moved": 2, "same": 3, "only_local": 2},
        "rss": {"moved": 0},
    }


def test_text_names_a_few_of_each_kind_and_json_all() -> None:
    """Ten thousand lines on a terminal push away the one that matters."""
    made = report()
    for number in range(25):
        made.plan(Action.UPLOAD, f"audio/{number}.mp3")
        made.note(f"audio/{number}.mp3", Fate.FAILED, "refused")

    lines = list(to_text(made, dry_run=True))

    assert lines[0] == "push: 0 files to move"
    assert lines.count("  and 5 more, which --format json names") == 2
    document = to_json(made, dry_run=True)
    assert document["planned"] == sorted(f"upload audio/{number}.mp3" for number in range(25))
    failures = document["failures"]
    assert isinstance(failures, list)
    assert len(failures) == 25
    assert failures[0] == {"path": "audio/0.mp3", "reason": "refused"}


@pytest.mark.parametrize(
    ("fate", "words"),
    [(Fate.SKIPPED, "left out"), (Fate.DEFERRED, "changed meanwhile"), (Fate.FAILED, "failed")],
)
def test_every_fate_has_its_words(fate: Fate, words: str) -> None:
    """Who reads it wants to know whether to act."""
    made = report()
    made.note("audio/a.mp3", fate, "so it is")

    assert f"  {words}: 'audio/a.mp3': so it is" in list(to_text(made, dry_run=False))
    assert has_failed(made) is (fate is Fate.FAILED)


def test_failures_are_reasons_in_the_order_of_their_weight() -> None:
    """The manifest stops the site, a folder stops itself, a file nothing else."""
    made = report(None)
    made.note("audio/a.mp3", Fate.FAILED, "refused")
    made.unlisted[Folder.RSS] = "denied"
    assert list(reasons_of(made)) == ["rss: denied", "'audio/a.mp3': refused"]
    made.blocked = "the manifest is broken"

    assert list(reasons_of(made)) == [
        "the manifest is broken",
        "rss: denied",
        "'audio/a.mp3': refused",
    ]
    assert has_failed(made)
    assert to_json(made, dry_run=False)["direction"] == "look"
