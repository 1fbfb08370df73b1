"""Each promise that the demonstration checks must be able to fail."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scripts.demo.daemon_log import Life, read_lives
from scripts.demo.records import Landed, Produced
from scripts.demo.timing import Outage, delays_of, shown, split_by_burst, spread_of
from scripts.demo.verdict import Crash, Facts, judge

_SECOND_NS = 1_000_000_000
_ONE = Produced("colony-archive/a", 3, "aa", mtime_ns=10 * _SECOND_NS, grew=True)
_LANDED = Landed("colony-archive", "a", 3, "aa", at_ns=11 * _SECOND_NS + 20_000_000)
_CRASH = Crash(
    Outage(20 * _SECOND_NS, 25 * _SECOND_NS),
    status=-9,
    uncommitted=5,
    committed=5,
    open_uploads=1,
    hidden=0,
    on_disk=12,
)


def _facts() -> Facts:
    return Facts(
        produced=[_ONE],
        landed=[_LANDED],
        delays=delays_of([_ONE], [_LANDED], _CRASH.outage),
        broken_effects=[],
        crash=_CRASH,
        lives=[Life(), Life(Counter({"upload_aborted": 1, "file_already_there": 5}))],
        requests=2,
        open_uploads=0,
        left_on_disk=[],
        link_untouched=True,
        writer_status=0,
        daemon_status=0,
    )


def test_a_run_as_it_should_be_passes_every_check() -> None:
    """Else the failures below would say nothing."""
    assert [check.claim for check in judge(_facts()) if not check.holds] == []


def _early(facts: Facts) -> Facts:
    landed = [replace(_LANDED, at_ns=_ONE.settled_ns - 20_000_000)]
    return replace(facts, delays=delays_of([_ONE], landed))


def _with_crash(**changes: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, crash=replace(facts.crash, **changes))


@pytest.mark.parametrize(
    ("spoil", "claim"),
    [
        (lambda f: replace(f, broken_effects=["lost: 'a': ..."]), "byte for byte"),
        (lambda f: replace(f, broken_effects=["never produced: 'a'"]), "half-written"),
        (lambda f: replace(f, broken_effects=["repeated: 'a'"]), "sent twice"),
        (_early, "before it had settled"),
        (lambda f: replace(f, left_on_disk=["colony-archive/a"]), "disk is empty"),
        (lambda f: replace(f, link_untouched=False), "symbolic link"),
        (_with_crash(committed=0), "uploads in flight"),
        (_with_crash(status=0), "uploads in flight"),
        (lambda f: replace(f, open_uploads=1), "half-sent upload"),
        (lambda f: replace(f, lives=[Life()]), "half-sent upload"),
        (_with_crash(hidden=1), "removals"),
        (lambda f: replace(f, lives=[*f.lives[:1], replace(f.lives[1], errors=["x"])]), "no error"),
        (lambda f: replace(f, writer_status=1), "writer"),
        (lambda f: replace(f, daemon_status=1), "SIGTERM"),
    ],
)
def test_a_broken_promise_is_named(spoil: Callable[[Facts], Facts], claim: str) -> None:
    """A demonstration that cannot fail proves nothing."""
    failed = [check for check in judge(spoil(_facts())) if not check.holds]

    assert [claim in check.claim for check in failed] == [True]
    assert failed[0].detail or claim == "symbolic link"


def test_a_daemon_that_was_left_running_has_no_exit_status_to_check() -> None:
    """With KEEP=1 the summary comes before the end."""
    checks = judge(replace(_facts(), daemon_status=None))

    assert all("SIGTERM" not in check.claim for check in checks)


@pytest.mark.parametrize(
    ("settled", "landed", "met"),
    [(10, 11, False), (10, 26, True), (22, 26, True), (26, 27, False)],
    ids=["before", "in flight at the kill", "settled meanwhile", "after"],
)
def test_a_delay_meets_the_outage_if_it_had_to_wait_for_the_second_life(
    settled: int, landed: int, *, met: bool
) -> None:
    """Waiting for a restart is not the daemon's usual latency."""
    outage = Outage(20, 25)

    assert outage.met(settled, landed) is met


def test_while_the_daemon_is_dead_whatever_lands_meets_the_outage() -> None:
    """The board shows numbers before the restart, too."""
    assert Outage(20).met(30, 31)


def test_only_complete_contents_that_landed_have_a_delay() -> None:
    """What is still waiting has none yet, and an unfinished file no settled moment."""
    other = replace(_ONE, sha256="bb")
    unfinished = replace(_ONE, final=False)

    delays = delays_of([_ONE, other, unfinished], [_LANDED])

    assert [(delay.produced, round(delay.seconds, 3)) for delay in delays] == [(_ONE, 0.02)]


def test_a_file_that_settles_amid_a_burst_counts_with_it() -> None:
    """A burst keeps everything busy for a while; the latency of a quiet hour is another number."""
    second = _SECOND_NS
    produced = [
        Produced("distributed_colony/images_shots/first/1.png", 1, "b", 10 * second),
        Produced("colony-archive/alone", 1, "a", 5 * second),
        Produced("colony-archive/amid", 1, "m", 11 * second),
        Produced("colony-archive/after", 1, "z", 13 * second),
    ]
    landed = [
        Landed("distributed-colony", "images_shots/first/1.png", 1, "b", 13 * second),
        *(Landed("colony-archive", one.key, 1, one.sha256, 15 * second) for one in produced[1:]),
    ]

    alone, amid = split_by_burst(delays_of(produced, landed))

    assert [delay.produced.key for delay in alone] == ["alone", "after"]
    assert [delay.produced.key for delay in amid] == ["images_shots/first/1.png", "amid"]


def test_the_spread_is_by_nearest_rank() -> None:
    """No interpolation: each number shown is one that was measured."""
    spread = spread_of([float(number) for number in range(100, 0, -1)])

    assert spread is not None
    assert (spread.count, spread.median, spread.p99, spread.longest) == (100, 50, 99, 100)
    assert spread_of([]) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12 ms"), (1.0, "1.0 s"), (12.34, "12.3 s")]
)
def test_a_time_is_shown_in_its_unit(seconds: float, text: str) -> None:
    """Milliseconds below a second."""
    assert shown(seconds) == text


def test_a_log_is_read_life_by_life() -> None:
    """After a SIGKILL the same file goes on; a torn line counts as an error."""
    lines = [
        '{"event":"open","level":"info"}\n',
        '{"event":"file_uploaded","level":"info","evidence":"ANSWERED"}\n',
        '{"event":"file_upl',
        '{"event":"open","level":"info"}\n',
        '{"event":"file_already_there","level":"info","evidence":"ETAG_MD5"}\n',
        '{"event":"file_failed","level":"error"}\n',
    ]

    first, second = read_lives(lines)

    assert first.events == Counter(open=1, file_uploaded=1)
    assert first.evidence == Counter(ANSWERED=1)
    assert first.errors == ['{"event":"file_upl']
    assert second.evidence == Counter(ETAG_MD5=1)
    assert second.errors == ['{"event":"file_failed","level":"error"}']
