from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.handshake.board import NEEDS_A_PERSON, State, make_board, pace_of
from shared.handshake.facts import Facts, SeenClaim, SeenJob, SeenResult, SeenSummary
from shared.handshake.lease import LeaseState
from shared.handshake.summary import Summary
from tests.support.leasing import CID, JOB, NOON, RUNOUT, lease

HOUR = timedelta(hours=1)

COMPLETE = SeenJob(JOB, NOON, NOON)
INCOMPLETE = SeenJob(JOB, NOON, None)
OURS = SeenResult(RUNOUT, has_manifest=True, finished_at=NOON)
SCRIPTS = SeenResult(RUNOUT, has_manifest=False, finished_at=NOON)
HALF = SeenResult(RUNOUT, has_manifest=False, finished_at=None)


def summary(*states: str, service: str = "prod", age: timedelta = timedelta(0)) -> SeenSummary:
    """Return a summary that has the CID in these states."""
    cids = {state: frozenset({CID}) for state in states}
    return SeenSummary(Summary(service, "host", "noon", cids, {CID: "a note"}), NOON - age)


def claim(state: LeaseState, **odd: object) -> SeenClaim:
    """Return a lease that was just written."""
    return SeenClaim(lease(state, **odd), NOON)


def facts(
    *said: str,
    job: SeenJob | None = None,
    result: SeenResult | None = None,
    held: SeenClaim | None = None,
) -> Facts:
    """Return what was seen of one CID."""
    return Facts(
        summaries=[summary(*said)] if said else [],
        jobs={} if job is None else {CID: job},
        results={} if result is None else {CID: result},
        claims={} if held is None else {CID: held},
    )


CLAIMED = claim(LeaseState.CLAIMED)
RELEASED = claim(LeaseState.RELEASED)
COMMITTED = claim(LeaseState.COMMITTED)
PARKED = claim(LeaseState.PARKED, reason="bad seeds")
GARBAGE = SeenClaim(None, NOON, "it is not JSON")


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (facts("new"), State.NEW),
        (facts("new", job=INCOMPLETE), State.INCOMPLETE),
        (facts("answered"), State.ANSWERED),
        (facts("answered", job=INCOMPLETE), State.ANSWERED),
        (facts("quarantined"), State.QUARANTINED),
        (facts("quarantined", job=INCOMPLETE), State.QUARANTINED),
        (facts("sent"), State.SENT),
        (facts(job=COMPLETE), State.WAITING),
        (facts("new", job=COMPLETE), State.WAITING),
        (facts("sent", job=COMPLETE), State.WAITING),
        (facts(job=COMPLETE, result=HALF), State.WAITING),
        (facts(job=COMPLETE, held=RELEASED), State.WAITING),
        (facts(job=COMPLETE, held=CLAIMED), State.CLAIMED),
        (facts(job=COMPLETE, held=CLAIMED, result=HALF), State.CLAIMED),
        (facts(job=COMPLETE, held=CLAIMED, result=SCRIPTS), State.CLAIMED),
        (facts(job=COMPLETE, held=PARKED), State.PARKED),
        (facts(job=COMPLETE, held=PARKED, result=OURS), State.PARKED),
        (facts(job=COMPLETE, held=GARBAGE), State.PARKED),
        (facts(job=COMPLETE, held=PARKED, result=SCRIPTS), State.PROCESSED),
        (facts(job=COMPLETE, held=COMMITTED), State.PROCESSED),
        (facts(job=COMPLETE, result=OURS), State.PROCESSED),
        (facts(job=COMPLETE, result=SCRIPTS), State.PROCESSED),
        (facts("processed", job=COMPLETE), State.PROCESSED),
        (facts("collected", job=COMPLETE, result=OURS), State.COLLECTED),
        (facts("collected", held=PARKED), State.COLLECTED),
        (facts("collected", "conflict", result=OURS), State.CONFLICT),
        (facts("waiting"), None),
        (facts("something_else"), None),
    ],
)
def test_cid_is_in_its_furthest_state(seen: Facts, state: State | None) -> None:
    """The table of the module, row by row."""
    assert make_board(seen, NOON).states.get(CID) == state


CIDS = st.integers(0, 20).map("{:05d}".format)
SETS = st.frozensets(CIDS, max_size=12)
CLAIMS = st.sampled_from([CLAIMED, RELEASED, COMMITTED, PARKED, GARBAGE])


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    """Anything that may be seen, consistent or not."""
    said = draw(st.dictionaries(st.sampled_from([*State, "odd"]), SETS))
    return Facts(
        summaries=[SeenSummary(Summary("prod", "host", "noon", said), NOON)],
        ledgers={".sent_cids": ("sent", draw(SETS))},
        jobs=draw(st.dictionaries(CIDS, st.sampled_from([COMPLETE, INCOMPLETE]))),
        results=draw(st.dictionaries(CIDS, st.sampled_from([OURS, SCRIPTS, HALF]))),
        claims=draw(st.dictionaries(CIDS, CLAIMS)),
    )


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_sums_are_right_whatever_was_seen(seen: Facts) -> None:
    """Each CID is counted once, and what is left to do never includes what a person must mend."""
    board = make_board(seen, NOON)

    assert sum(board.counts.values()) == len(board.states)
    assert board.remaining + sum(board.counts[state] for state in NEEDS_A_PERSON) <= len(
        board.states
    )
    assert board.sent <= len(board.states)
    assert len(list(board.rows(*State))) == len(board.states)


@settings(max_examples=60, deadline=None)
@given(worlds(), CIDS)
def test_collecting_a_cid_is_the_end_of_it(seen: Facts, cid: str) -> None:
    """Nothing else that is said or lies about moves it back."""
    seen.ledgers[".completed_cids"] = ("collected", frozenset({cid}))

    assert make_board(seen, NOON).states[cid] in {State.COLLECTED, State.CONFLICT}


@pytest.mark.parametrize(
    ("minutes", "per_hour", "window", "count"),
    [
        ([], None, None, None),
        ([5], None, None, None),
        ([30, 20, 10], 4, 24, 3),
        (list(range(60, 0, -5)), 11, 1, 12),
        # A pause over the weekend is not averaged in.
        ([*[3000] * 500, *range(30, 0, -3)], 18, 1, 10),
        # Nothing for two hours: the pace falls.
        ([130, *[125] * 9], 9 / (130 / 60), 6, 10),
    ],
)
def test_pace_is_counted_from_what_was_finished_lately(
    minutes: list[int], per_hour: float | None, window: int | None, count: int | None
) -> None:
    """A rate since some process started is wrong after every restart and every pause."""
    pace = pace_of([NOON - timedelta(minutes=ago) for ago in minutes], NOON)

    if per_hour is None:
        assert pace is None
    else:
        assert pace is not None
        assert pace.per_hour == pytest.approx(per_hour)
        assert (pace.window / HOUR, pace.count) == (window, count)


def test_time_left_counts_what_nobody_has_to_mend() -> None:
    """Parked CIDs are finished when a person comes, which no rate knows."""
    seen = Facts(
        summaries=[
            SeenSummary(Summary("prod", "h", "noon", {"quarantined": frozenset({"09999"})}), NOON)
        ]
    )
    for number in range(1, 14):
        finished_at = NOON - timedelta(minutes=5 * (number - 1))
        seen.results[f"{number:05d}"] = SeenResult(RUNOUT, True, finished_at)  # noqa: FBT003
        seen.jobs[f"{number + 100:05d}"] = COMPLETE
    seen.claims["00101"] = PARKED

    board = make_board(seen, NOON)

    assert board.remaining == 12
    assert board.time_left == HOUR  # twelve an hour


def test_time_left_is_not_told_when_nobody_computes() -> None:
    """Three hours left, says the table, and every daemon has been stopped since noon."""
    seen = Facts()
    for number in range(1, 14):
        finished_at = NOON - timedelta(minutes=5 * (number - 1))
        seen.results[f"{number:05d}"] = SeenResult(RUNOUT, True, finished_at)  # noqa: FBT003
    seen.jobs["00100"] = COMPLETE
    seen.claims["00001"] = PARKED

    later = make_board(seen, NOON + timedelta(minutes=11))
    seen.claims["00100"] = replace(CLAIMED, written_at=NOON + timedelta(minutes=9))
    claimed = make_board(seen, NOON + timedelta(minutes=11))

    assert make_board(replace(seen, claims={}), NOON + timedelta(minutes=11)).time_left
    assert later.time_left is None
    assert claimed.time_left is not None


def test_clock_that_is_behind_is_noticed() -> None:
    """Ages would be negative, and a dead watcher would look alive."""
    board = make_board(facts(job=COMPLETE, held=CLAIMED), NOON - 3 * HOUR)

    assert board.now == NOON
    assert "10800 s behind" in board.warnings[0]


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (Facts(summaries=[summary("new", age=2 * HOUR)]), "nothing for long"),
        (
            Facts(
                summaries=[summary("collected", age=2 * HOUR)],
                results={"00001": SeenResult(RUNOUT, True, NOON - 2 * HOUR)},  # noqa: FBT003
            ),
            "nothing for long",
        ),
        (facts("sent"), "no job in the bucket"),
        (facts(result=OURS), "nobody says what was collected"),
        (
            Facts(jobs={CID: SeenJob(JOB, NOON - HOUR, NOON - HOUR)}),
            "no watcher is heard of",
        ),
        (
            Facts(claims={CID: SeenClaim(lease(), NOON - HOUR)}, jobs={CID: COMPLETE}),
            "without heartbeat",
        ),
    ],
)
def test_silence_is_an_alarm(seen: Facts, word: str) -> None:
    """A daemon that died quietly leaves a table that looks well."""
    assert any(word in warning for warning in make_board(seen, NOON).warnings)


@pytest.mark.parametrize(
    "seen",
    [
        Facts(summaries=[summary("collected", "sent", age=200 * HOUR)], jobs={CID: COMPLETE}),
        Facts(summaries=[summary("sent")], jobs={CID: COMPLETE}, claims={CID: CLAIMED}),
        Facts(jobs={CID: COMPLETE}),
    ],
)
def test_no_alarm_when_there_is_nothing_to_do(seen: Facts) -> None:
    """Summaries are published when they change; one of last week is fine when all is done."""
    assert make_board(seen, NOON).warnings == ()
