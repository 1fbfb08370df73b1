import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.handshake.board import State, make_board
from shared.handshake.board_json import board_record, state_record, story_record
from shared.handshake.board_lines import ROWS_MAX, board_lines, duration, state_lines
from shared.handshake.board_story import story_lines
from shared.handshake.facts import Facts, SeenClaim, SeenJob, SeenSummary, Story
from shared.handshake.failure import parse_failure
from shared.handshake.lease import LeaseState, parse_lease
from shared.handshake.listing import Job
from shared.handshake.summary import Summary, parse_summary
from shared.s3.store import ObjectInfo
from shared.s3.uri import S3Uri
from tests.support.leasing import BUCKET, CID, JOB, LAYOUT, NOON, lease, owner, report

EVIL = "\x1b]0;owned\x07\x1b[2J\r\u202enihc\n"


def many(count: int) -> Facts:
    """Return a large hand-shake in which much is wrong."""
    facts = Facts()
    for number in range(count):
        cid = f"{number:05d}"
        facts.jobs[cid] = SeenJob(JOB, NOON, NOON)
        if number % 2:
            state = LeaseState.PARKED if number % 4 == 1 else LeaseState.CLAIMED
            facts.claims[cid] = SeenClaim(lease(state, cid=cid), NOON)
    return facts


def test_table_fits_on_a_screen_or_two_however_many_cids() -> None:
    """A hundred thousand lines tell nobody anything."""
    lines = board_lines(make_board(many(10_000), NOON), "s3://here")

    assert len(lines) < 2 * ROWS_MAX + 30
    assert any("and 2,470 more" in line for line in lines)


def test_state_that_was_asked_for_is_listed_with_the_rest_as_ranges() -> None:
    """No CID is left out, and no terminal drowns."""
    lines = state_lines(make_board(many(8_000), NOON), State.WAITING)

    assert len(lines) == 1001
    assert lines[0].startswith("  00000  waiting")
    assert lines[-1].startswith("  and 02000,02002,")


def test_state_without_cids_says_so() -> None:
    """Silence would look like a failure."""
    assert state_lines(make_board(Facts(), NOON), State.PARKED) == ["  no CID is parked"]


def evil_facts() -> Facts:
    """Return facts whose every word comes from somebody who means no good, as they are read."""
    bad = replace(
        lease(LeaseState.PARKED, since=EVIL, reason=EVIL), owner=replace(owner("a"), host=EVIL)
    )
    other = replace(bad, state=LeaseState.CLAIMED, cid="00001")
    told = Summary("prod", EVIL, EVIL, {"quarantined": frozenset({"00002"})}, {"00002": EVIL})
    return Facts(
        summaries=[SeenSummary(parse_summary(told.to_bytes(), "prod"), NOON)],
        claims={
            CID: SeenClaim(parse_lease(bad.to_bytes(), CID), NOON),
            "00001": SeenClaim(parse_lease(other.to_bytes(), "00001"), NOON),
        },
    )


def evil_story() -> Story:
    """Return the story of a CID whose objects have such names."""
    info = ObjectInfo(S3Uri(BUCKET, f"{LAYOUT.jobs.key}{JOB}/optical_seeds/{EVIL}"), 1, "e", NOON)
    bad = report(reason=EVIL, step=EVIL, host=EVIL, failed_at=EVIL, log_tail=f"one\n{EVIL}two")
    return Story(
        CID, jobs=[Job(JOB, None, {EVIL: info})], report=parse_failure(bad.to_bytes(), CID)
    )


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    """Names and reasons come from other machines; an escape sequence could hide a line."""
    board = make_board(evil_facts(), NOON)

    lines = [
        *board_lines(board, "s3://here"),
        *state_lines(board, State.PARKED),
        *story_lines(board, evil_story()),
    ]

    assert all(line.isprintable() for line in lines)
    assert any("owned" in line for line in lines)


def test_story_of_an_unknown_cid() -> None:
    """A typing error must not look like a new CID."""
    board = make_board(Facts(), NOON)

    assert story_lines(board, Story("00007")) == ["CID 00007: nothing is known of it"]
    assert story_record(board, LAYOUT, Story("00007"))["state"] is None


def test_story_tells_who_failed_and_how() -> None:
    """Whoever mends a CID needs the end of the log more than anything."""
    facts = Facts(
        claims={CID: SeenClaim(lease(LeaseState.PARKED, reason="bad seeds"), NOON)},
        jobs={CID: SeenJob(JOB, NOON, NOON)},
        ledgers={".sent_cids": ("sent", frozenset({CID}))},
    )
    board = make_board(facts, NOON + timedelta(hours=2, minutes=5))

    text = "\n".join(story_lines(board, Story(CID, jobs=[Job(JOB)], report=report())))

    for said in (
        "CID 02104: parked, 2 h 5 min ago (2026-03-01 12:00:00Z)",
        ".sent_cids: sent",
        f"job {JOB}: no marker yet",
        "generation 3, beat 17",
        "failure of step sidecar: the seeds have no column",
        "    reading\n    failed",
    ):
        assert said in text


@pytest.mark.parametrize("reason", ["step sidecar: exit status 7", "sidecar: exit status 7"])
def test_a_story_names_the_step_once(reason: str) -> None:
    """A line that says a thing twice is read as two things."""
    story = Story(CID, jobs=[Job(JOB)], report=replace(report(), reason=reason))

    board = make_board(Facts(jobs={CID: SeenJob(JOB, NOON, NOON)}), NOON)

    lines = story_lines(board, story)

    assert "failure of step sidecar: exit status 7" in lines


def test_json_documents_hold_what_formats_md_promises() -> None:
    """Programs rely on these names."""
    board = make_board(many(8), NOON)

    whole = json.loads(json.dumps(board_record(board, LAYOUT)))
    parked = json.loads(json.dumps(state_record(board, LAYOUT, State.PARKED)))
    story = json.loads(json.dumps(story_record(board, LAYOUT, evil_story())))

    assert whole["schema"] == parked["schema"] == story["schema"] == 1
    assert whole["counts"]["claimed"] == len(whole["claimed"]) == 2
    assert whole["cids"]["waiting"] == "00000,00002,00004,00006"
    assert [row["cid"] for row in parked["rows"]] == ["00001", "00005"]
    assert sum(whole["counts"].values()) == whole["total"] == 8
    assert set(whole) == {
        *("schema", "bucket", "prefix", "at", "warnings", "unseen", "faults", "counts", "total"),
        *("sent", "remaining", "hours_left", "processing", "sending", "cids", "people"),
        *("claimed", "summaries", "ledgers"),
    }
    assert story["failure"]["job"] == str(JOB)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (119, "1 min 59 s"),
        (3600, "1 h"),
        (9000, "2 h 30 min"),
        (40_000, "11 h"),
        (100_000, "1 d 3 h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    """A table's column is narrow."""
    assert duration(timedelta(seconds=seconds)) == text
