import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.dispatcher.plan import (
    Blamed,
    Built,
    Facts,
    Halted,
    KnownJob,
    Record,
    Send,
    Skip,
    StepEnd,
    answer_cid,
    chunk_cid,
    is_misnamed,
    judge_step,
    plan_cid,
    prefer_job,
    retry_delay_seconds,
)
from shared.handshake.layout import JobFolder, chunk_name, closest_name
from tests.support.dispatching import DAY

CID = "02104"
TODAY = JobFolder("2026-03-01", CID)
EARLIER = JobFolder("2025-12-24", CID)
NOTHING = Facts(CID, sent=False, answered=False, job=None, intended=None, held="")


@pytest.mark.parametrize(
    ("path", "cid"),
    [
        ("positions_chunk_02104.csv", CID),
        ("positions_chunk_123.csv", None),
        ("positions_chunk_021045.csv", None),
        ("positions_chunk_02104.csv.bak", None),
        ("positions_chunk_02104.csv\n", None),
        ("Positions_chunk_02104.csv", None),
        ("old/positions_chunk_02104.csv", None),
        ("positions_chunk_٠٢١٠٤.csv", None),
        ("positions02104_closest.csv", None),
        ("", None),
    ],
)
def test_only_five_digits_make_a_chunk(path: str, cid: str | None) -> None:
    """A backup beside a chunk must not become a job."""
    assert chunk_cid(path) == cid


@pytest.mark.parametrize(
    ("path", "cid"),
    [
        ("positions02104_closest.csv", CID),
        ("positions02104_closest.csv.part", None),
        ("positions2104_closest.csv", None),
        ("positions_chunk_02104.csv", None),
        ("old/positions02104_closest.csv", None),
    ],
)
def test_only_the_whole_name_is_an_answer(path: str, cid: str | None) -> None:
    """A CID taken for answered is never computed."""
    assert answer_cid(path) == cid


@given(st.text(alphabet=string.digits, min_size=5, max_size=5))
def test_names_that_we_make_are_recognised(cid: str) -> None:
    """Layout and plan must spell the names alike."""
    assert chunk_cid(chunk_name(cid)) == cid
    assert answer_cid(closest_name(cid)) == cid


COMPLETE = KnownJob(EARLIER, complete=True)
BEGUN = KnownJob(EARLIER, complete=False)


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        (NOTHING, Send(TODAY, "new")),
        (replace(NOTHING, sent=True, job=BEGUN), Skip("sent")),
        (replace(NOTHING, answered=True, job=COMPLETE), Skip("answered")),
        (replace(NOTHING, job=COMPLETE, held="bad"), Record(EARLIER)),
        (replace(NOTHING, job=BEGUN), Send(EARLIER, "its folder lacks the marker")),
        (replace(NOTHING, job=BEGUN, held="bad"), Skip("bad")),
        (replace(NOTHING, intended=EARLIER), Send(EARLIER, "it was begun")),
        (replace(NOTHING, intended=TODAY, job=BEGUN), Send(EARLIER, "its folder lacks the marker")),
    ],
)
def test_every_row_of_the_table(facts: Facts, action: Send | Record | Skip) -> None:
    """One CID must never get two folders, and none may be left out."""
    assert plan_cid(facts, DAY) == action


@given(
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, COMPLETE, BEGUN]),
    st.sampled_from([None, EARLIER, TODAY]),
    st.sampled_from(["", "bad"]),
)
def test_a_second_folder_is_never_chosen(
    sent: bool,  # noqa: FBT001 - hypothesis gives facts by position
    answered: bool,  # noqa: FBT001 - the same
    job: KnownJob | None,
    intended: JobFolder | None,
    held: str,
) -> None:
    """Whatever else is true, what the bucket holds decides where a job goes."""
    action = plan_cid(Facts(CID, sent, answered, job, intended, held), DAY)

    if isinstance(action, Send | Record) and job is not None:
        assert action.folder == job.folder
    if sent or answered or held:
        assert not isinstance(action, Send)


def test_a_complete_folder_is_preferred_and_else_the_earlier() -> None:
    """Scripts that were interrupted on two days left two folders."""
    later = KnownJob(TODAY, complete=False)

    assert prefer_job(None, later) == later
    assert prefer_job(BEGUN, later) == BEGUN
    assert prefer_job(BEGUN, KnownJob(TODAY, complete=True)).folder == TODAY
    assert prefer_job(COMPLETE, KnownJob(TODAY, complete=True)) == COMPLETE


WELL = StepEnd(ok=True, exit_status=0, fault=False, reason="exit status 0", tail="", built_in=True)


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (WELL, Built),
        (replace(WELL, ok=False, exit_status=None, fault=True), Halted),
        (replace(WELL, ok=False, exit_status=3), Halted),
        (replace(WELL, ok=False, exit_status=6), Halted),
        (replace(WELL, ok=False, exit_status=1, tail="OSError: No space left on device"), Halted),
        (replace(WELL, ok=False, exit_status=2), Blamed),
        (replace(WELL, ok=False, exit_status=1), Blamed),
        (replace(WELL, ok=False, exit_status=127), Blamed),
        (replace(WELL, ok=False, exit_status=None), Blamed),
    ],
)
def test_the_step_is_judged_by_its_table(
    end: StepEnd, verdict: type[Built | Blamed | Halted]
) -> None:
    """A full disk must not bring a hundred thousand CIDs into quarantine."""
    assert isinstance(judge_step(end), verdict)


def test_bad_input_is_final_and_anything_else_may_have_been_an_accident() -> None:
    """A person is needed for the former only."""
    bad, crash = (
        judge_step(replace(WELL, ok=False, exit_status=status, reason="r", tail="a\nline 7: x\n"))
        for status in (2, 1)
    )

    assert bad == Blamed(final=True, reason="the seed step: r; line 7: x")
    assert crash == Blamed(final=False, reason="the seed step: r; line 7: x")


@pytest.mark.parametrize("status", [2, 3, 6, 7])
def test_a_status_of_somebodys_own_command_means_nothing(status: int) -> None:
    """A script that ends by `exit 3` has not heard of our credentials: the others must go on."""
    ended = replace(WELL, ok=False, exit_status=status, reason="r", built_in=False)

    assert judge_step(ended) == Blamed(final=False, reason="the seed step: r")
    assert isinstance(judge_step(replace(ended, tail="No space left on device")), Halted)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("positions_chunk_6.csv", True),
        ("positions_chunk_000006.csv", True),
        ("positions_chunk_00006 (copy).csv", True),
        ("positions_chunk_00006.csv", False),
        ("positions_chunk_00006.csv.bak", False),
        ("positions00006_closest.csv", False),
        (".positions_chunk_6.csv", False),
    ],
)
def test_what_was_meant_as_a_chunk_is_known(name: str, *, meant: bool) -> None:
    """A file that is never sent must be named; what is nobody's chunk must not."""
    assert is_misnamed(name) is meant


def test_delays_double_up_to_the_longest() -> None:
    """A chunk that fails for hours must not keep the machine busy."""
    delays = [retry_delay_seconds(n, first=60, longest=3600) for n in (0, 1, 2, 3, 7, 10_000)]

    assert delays == [60, 60, 120, 240, 3600, 3600]
