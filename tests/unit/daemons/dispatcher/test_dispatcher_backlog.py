from datetime import timedelta

from structlog.testing import capture_logs

from daemons.dispatcher.backlog import Backlog, OpenChunks, survey_names
from daemons.dispatcher.lookout import Lookout
from shared.fswatch.items import (
    Candidates,
    FoundBy,
    RootMissing,
    ScanFinished,
)
from shared.fswatch.stability import FileIdentity, LocalFile

SCANNED = ScanFinished(1, FoundBy.SCAN, 1, 1, 0, 0, 0, timedelta(0))


def chunk(cid: str, mtime: int = 1) -> LocalFile:
    """A settled chunk."""
    return LocalFile(f"positions_chunk_{cid}.csv", FileIdentity(1, 2, 3, mtime))


def found(*files: LocalFile, by: FoundBy = FoundBy.SCAN) -> Candidates:
    """What a watch hands over."""
    return Candidates("", files, by)


def test_only_a_new_or_changed_chunk_is_news() -> None:
    """Every scan meets every chunk again, and must not wake anybody."""
    backlog = Backlog()

    assert backlog.take([chunk("00001")])
    assert not backlog.take([chunk("00001")])
    assert backlog.take([chunk("00001", mtime=2)])


def test_what_a_whole_scan_does_not_meet_is_forgotten() -> None:
    """A chunk that was removed, or is being written anew, must not be sent."""
    backlog = Backlog()
    backlog.take([chunk("00001"), chunk("00002")])
    backlog.end_scan()

    backlog.take([chunk("00002")])
    assert set(backlog.chunks) == {"00001", "00002"}
    backlog.end_scan()

    assert set(backlog.chunks) == {"00002"}


def test_what_an_event_brings_between_two_scans_is_kept() -> None:
    """It may have settled after the running scan passed it."""
    backlog = Backlog()
    backlog.end_scan()

    backlog.take([chunk("00004")])
    backlog.end_scan()

    assert set(backlog.chunks) == {"00004"}


def test_other_files_are_none() -> None:
    """The folder holds what people put there."""
    backlog = Backlog()
    files = [LocalFile(name, FileIdentity(1, 2, 3, 4)) for name in ("notes.txt", "positions.csv")]

    assert not backlog.take(files)
    assert not backlog.chunks


def test_nothing_is_known_before_a_whole_scan() -> None:
    """Before that neither the order nor the answers are known, so no pass is worth while."""
    rung: list[str] = []
    lookout = Lookout(lambda: rung.append("news"))

    lookout.see(found(chunk("00002")))
    assert not lookout.has_looked
    assert rung == []
    lookout.see(SCANNED)
    assert lookout.has_looked
    lookout.see(found(chunk("00001"), by=FoundBy.EVENT))

    assert rung == ["news", "news"]


def test_a_folder_that_is_gone_leaves_nothing_to_send() -> None:
    """An unmounted disk is no reason to believe anything."""
    lookout = Lookout()
    lookout.see(found(chunk("00001")))
    lookout.see(SCANNED)

    lookout.see(RootMissing("/data/new", "no such file or directory"))

    assert "no such file" in lookout.missing
    assert not lookout.backlog.chunks
    lookout.see(found(chunk("00001")))
    lookout.see(SCANNED)
    assert lookout.missing == ""
    assert set(lookout.backlog.chunks) == {"00001"}


def test_names_alone_tell_chunks_from_answers() -> None:
    """A hundred thousand files are not looked at one by one."""
    names = ["positions_chunk_00001.csv", "positions00002_closest.csv", "positions_chunk_2.csv"]

    survey = survey_names(names)

    assert survey.chunks == {"00001"}
    assert survey.answers == {"00002"}
    assert survey.misnamed == {"positions_chunk_2.csv"}


def test_a_misnamed_chunk_is_said_once_while_it_lies_there() -> None:
    """A warning a pass would fill the journal for months."""
    lookout = Lookout()

    with capture_logs() as events:
        for names in ({"positions_chunk_2.csv"}, {"positions_chunk_2.csv"}, set[str]()):
            lookout.are_misnamed(names)
        lookout.are_misnamed({"positions_chunk_2.csv"})

    assert [event["file"] for event in events] == ["positions_chunk_2.csv"] * 2
    assert events[0]["reason"] == "a CID is exactly five digits"


def test_only_chunks_that_are_still_to_be_sent_are_looked_at() -> None:
    """Those that are done must cost no look in any scan of the next months."""
    lookout = Lookout()
    rules = OpenChunks(done=lookout.done)

    lookout.are_done({"00001", "00002"})
    lookout.are_done({"00001"})

    assert rules.skips("positions_chunk_00001.csv")
    assert not rules.skips("positions_chunk_00002.csv")
    assert rules.skips("positions00003_closest.csv")
    assert rules.skips("old")
    assert rules.skips_path("positions_chunk_00002.csv/positions_chunk_00002.txt")
