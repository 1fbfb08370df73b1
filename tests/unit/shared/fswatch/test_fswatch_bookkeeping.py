from datetime import timedelta

import pytest

from shared.fswatch.clock import Moment
from shared.fswatch.hints import Hints
from shared.fswatch.intake import Intake, by_directory
from shared.fswatch.items import Candidates, FoundBy, Oddity, OddityKind, StillChanging
from shared.fswatch.stability import FileIdentity, LocalFile, Observation, StabilityRule
from shared.fswatch.timetable import Timetable
from shared.fswatch.waiting import Waiter, Waiting

NS = 1_000_000_000
RULE = StabilityRule(timedelta(seconds=2))


def at(second: float) -> Moment:
    """That second on both clocks."""
    return Moment(second, round(second * NS) + 1)


def file(path: str, *, written_at: float, size: int = 1) -> LocalFile:
    """A file last written then."""
    return LocalFile(path, FileIdentity(1, 1, size, round(written_at * NS) + 1))


def waiter() -> Waiter:
    """Somebody who waits, no matter for what."""
    return Waiter(Observation(FileIdentity(1, 1, 1, 1), 0.0, 0), FoundBy.EVENT)


def test_waiting_files_come_due_in_order_and_once() -> None:
    """One timer for all of them is enough because the earliest is always known."""
    waiting = Waiting(10)
    for path, due in (("late", 9.0), ("early", 1.0), ("middle", 5.0)):
        assert waiting.add(path, due, waiter())

    first = list(waiting.take_due(5.0, most=10))

    assert first == ["early", "middle"]
    assert waiting.next_look_at == 9.0
    assert waiting.take_due(8.9, most=10) == {}
    assert list(waiting.take_due(9.0, most=10)) == ["late"]
    assert waiting.next_look_at is None


def test_waiting_is_bounded() -> None:
    """A million growing files cost no more memory than the capacity."""
    waiting = Waiting(2)

    added = [waiting.add(path, 1.0, waiter()) for path in "abc"]

    assert added == [True, True, False]
    assert len(waiting) == 2
    assert waiting.room == 0
    assert len(waiting.take_due(1.0, most=1)) == 1
    assert waiting.room == 1


def test_hints_collapse_into_everything() -> None:
    """A flood of events costs one scan and a bounded set, not a queue."""
    hints = Hints(capacity=3)

    hints.add(["a", "b", "a"])
    hints.add(["b", "c"])
    assert hints.take(2) == ["a", "b"]
    hints.add(["d", "e", "f", "g"])

    assert hints.everything
    assert len(hints) == 0
    hints.add(["h"])
    assert len(hints) == 0
    hints.clear()
    assert not hints.everything


def test_an_event_does_not_repeat_what_was_handed_over() -> None:
    """A changed mode or a second event is no new content."""
    intake = Intake(RULE, Waiting(10))
    same, changed = file("a", written_at=1), file("a", written_at=5)

    assert intake.take([same], FoundBy.SCAN, at(10)).settled == (same,)
    assert intake.take([same], FoundBy.EVENT, at(11)).settled == ()
    assert intake.take([changed], FoundBy.EVENT, at(12)).settled == (changed,)
    assert intake.take([changed], FoundBy.SCAN, at(13)).settled == (changed,)
    intake.begin_scan()
    assert intake.take([changed], FoundBy.EVENT, at(14)).settled == (changed,)


def test_a_file_that_keeps_changing_is_told_once_until_it_settles() -> None:
    """One warning a file, not one a look."""
    waiting = Waiting(10)
    intake = Intake(RULE, waiting)
    taken = intake.take([file("a", written_at=9)], FoundBy.EVENT, at(10))
    assert (taken.settled, taken.unsettled, taken.overlooked) == ((), 1, 0)

    told = []
    for second, written_at in ((11.5, 10.5), (13, 12.2), (14.5, 12.2)):
        due = waiting.take_due(second, most=10)
        now = file("a", written_at=written_at)
        told.append(list(intake.look_again([(now, due["a"])], at(second))))

    settled = Candidates("", (file("a", written_at=12.2),), FoundBy.EVENT)
    assert told == [[StillChanging("a")], [], [settled]]


def test_a_file_that_was_merely_young_is_not_told() -> None:
    """Every file is young once; a warning for each would hide those that matter."""
    waiting = Waiting(10)
    intake = Intake(RULE, waiting)
    young = file("b/young", written_at=9)
    intake.take([young], FoundBy.FIRST_SCAN, at(10))

    due = waiting.take_due(11, most=10)
    told = list(intake.look_again([(young, due["b/young"])], at(11.1)))

    assert told == [Candidates("b", (young,), FoundBy.FIRST_SCAN)]


def test_files_there_is_no_room_to_wait_for_are_counted() -> None:
    """They are left to the next scan, and the report of the scan says so."""
    intake = Intake(RULE, Waiting(1))
    files = [file(path, written_at=9) for path in ("a", "b", "c")]

    taken = intake.take(files, FoundBy.SCAN, at(10))

    assert (taken.unsettled, taken.overlooked) == (3, 2)


def test_an_oddity_is_told_again_only_after_a_scan_without_it() -> None:
    """One warning for each link, for as long as it lies there."""
    intake = Intake(RULE, Waiting(1))
    link = Oddity("b/link", OddityKind.SYMLINK, "a link")

    told = []
    for met in (True, True, False, True):
        intake.begin_scan()
        told.append(len(list(intake.notice([link] if met else []))))
        intake.end_scan()

    assert told == [1, 0, 0, 1]


def test_files_of_several_directories_come_by_directory() -> None:
    """Consumers list a prefix once for all files below it."""
    files = [file(path, written_at=1) for path in ("b/z", "a", "b/c/d", "b/y")]

    items = list(by_directory(files, FoundBy.EVENT))

    assert [(item.directory, [f.path for f in item.files]) for item in items] == [
        ("", ["a"]),
        ("b", ["b/y", "b/z"]),
        ("b/c", ["b/c/d"]),
    ]


@pytest.mark.parametrize(
    ("situation", "due"),
    [
        ({"has_events": True, "events_tried": True, "anything_changed": False}, 160.0),
        ({"has_events": False, "events_tried": True, "anything_changed": False}, 105.0),
        ({"has_events": True, "events_tried": True, "anything_changed": True}, 104.0),
    ],
    ids=["events", "no events", "anything may have changed"],
)
def test_the_timetable(situation: dict[str, bool], due: float) -> None:
    """The rows of the table, after a scan that began at 100 and walked for half a second."""
    timetable = Timetable(interval_seconds=60, polling_seconds=5)
    timetable.root_appeared(90)
    assert timetable.expects_first
    assert timetable.due_at(**(situation | {"events_tried": False})) == 90.5
    assert timetable.due_at(**(situation | {"events_tried": True})) == 90

    timetable.began(100)
    timetable.ended(102, working_seconds=0.5)

    assert not timetable.expects_first
    assert timetable.due_at(**situation) == due
    timetable.ask()
    assert timetable.due_at(**situation) <= 100


def test_a_huge_tree_is_not_scanned_all_the_time() -> None:
    """A scan that walked for ten seconds rests for forty, but never longer than the interval."""
    timetable = Timetable(interval_seconds=60, polling_seconds=5)
    timetable.began(100)

    timetable.ended(110, working_seconds=10)
    resting = timetable.due_at(has_events=False, events_tried=True, anything_changed=True)
    timetable.ended(200, working_seconds=100)
    capped = timetable.due_at(has_events=False, events_tried=True, anything_changed=True)

    assert (resting, capped) == (150, 260)
