"""Each promise that the ingester's chapter checks must be able to fail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.demo.ingester_board import Entry, Tail, standing
from scripts.demo.ingester_facts import Ending, Found
from scripts.demo.ingester_model import Listener
from scripts.demo.ingester_runs import Ended
from scripts.demo.ingester_shows import FAIRPLAY, FORK, NADD, NEW, SITES, republished
from scripts.demo.ingester_verdict import judge
from tests.support.aws_answers import Assumed, Invalidated, Invoked
from tests.support.ingest_checks import NOTHING_DONE
from tests.support.strict_s3.history import Mutation, MutationKind

_KEYS = [f"episode-{number}" for number in range(sum(map(len, NEW.values())))]
_STRUCK = [
    {"event": "transcription_started", "key": _KEYS[1]},
    {"event": "phase_started", "site": NADD.id, "phase": "cloud-indexing"},
    {"event": "phase_started", "site": NADD.id, "phase": "cloudfront-invalidation"},
]


def _heard(*keys: str) -> Sequence[Entry]:
    return [
        {"event": f"transcription_{name}", "key": key, "chunks": 2}
        for key in keys
        for name in ("started", "finished")
    ]


def _run(status: int, events: Sequence[Entry], summary: Mapping[str, int] | None = None) -> Ended:
    tail = Tail(Path("run.log"))
    tail.seen = list(events)
    return Ended(status, tail, summary or {})


def _session(account: str) -> Assumed:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Assumed(account, "role", "name", 3600, {"Statement": []}, "key", "token", at)


_SESSION = _session(FORK.account)
_INVOKED = [Invoked(site.indexer, "Event", b"{}", _SESSION) for site in SITES]
_PURGED = [Invalidated(site.distribution, ("/*",), "1", _SESSION) for site in (FORK, NADD)]
_SENT = Mutation(1, MutationKind.PUT, FORK.bucket, "audio/a.mp3", 3, "aa")
_IDLE = _run(0, [], dict.fromkeys(NOTHING_DONE, 0))
_FOUND = Found(
    files=34,
    faults=[],
    known=9,
    wrong=[],
    misspelt=False,
    labelled_cues=2,
)


def _ending() -> Ending:
    return Ending(
        planned=_run(0, []),
        plan_changed=False,
        killed=_run(-9, [*_heard(_KEYS[0]), *_STRUCK]),
        finished=_run(0, _heard(*_KEYS[1:])),
        idle=_IDLE,
        idle_wrote=[],
        written=[_SENT],
        fetched=["/feeds/hard-fork.xml"],
        assumed=[_session(site.account) for site in SITES],
        invoked=_INVOKED,
        invalidated=_PURGED,
        listener=Listener("heard by the double"),
    )


def _failed(ending: Ending, found: Found = _FOUND) -> list[str]:
    return [check.claim for check in judge(ending, found) if not check.holds]


def test_a_good_night_keeps_every_promise() -> None:
    """Otherwise the failures below would prove nothing."""
    assert _failed(_ending()) == []


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"plan_changed": True}, "the plan of a first run changed nothing"),
        ({"planned": _run(1, [])}, "the plan of a first run changed nothing"),
        ({"killed": _run(-9, _heard(_KEYS[0]))}, "the SIGKILL struck"),
        ({"killed": _run(0, [*_heard(_KEYS[0]), *_STRUCK])}, "the SIGKILL struck"),
        ({"finished": _run(0, _heard(*_KEYS))}, "5 new episodes were transcribed"),
        ({"finished": _run(0, _heard(*_KEYS[2:]))}, "5 new episodes were transcribed"),
        ({"finished": _run(1, _heard(*_KEYS[1:]))}, "the next run finished"),
        ({"written": [_SENT, replace(_SENT, sequence=2)]}, "S3's history"),
        ({"written": [_SENT, replace(_SENT, kind=MutationKind.DELETE, sha256="")]}, "S3's history"),
        ({"written": []}, "S3's history"),
        ({"fetched": [republished()[0].path]}, "2 episodes that a second feed has"),
        ({"fetched": []}, "2 episodes that a second feed has"),
        ({"assumed": [_SESSION]}, "1 accounts"),
        (
            {"assumed": [replace(_session(site.account), policy=None) for site in SITES]},
            "2 accounts",
        ),
        ({"invoked": _INVOKED[1:]}, "the index of every site"),
        ({"invoked": [*_INVOKED, _INVOKED[0]]}, "the index of every site"),
        ({"invalidated": [*_PURGED, _PURGED[0]]}, "caches were emptied"),
        ({"invalidated": []}, "caches were emptied"),
        ({"idle_wrote": ["put audio/a.mp3"]}, "the run after that wrote nothing"),
        ({"idle": _run(0, [])}, "the run after that wrote nothing"),
        ({"idle": replace(_IDLE, status=1)}, "the run after that wrote nothing"),
    ],
)
def test_what_happened_otherwise_is_told(change: Mapping[str, object], claim: str) -> None:
    """A promise whose check cannot fail is none."""
    change_it: Callable[..., Ending] = replace

    failed = _failed(change_it(_ending(), **change))

    assert len(failed) == 1
    assert failed[0].startswith(claim)


@pytest.mark.parametrize(
    ("found", "claim"),
    [
        (replace(_FOUND, faults=["hardfork: there is no manifest"]), "34 files of 3 sites"),
        (replace(_FOUND, files=0), "0 files of 3 sites"),
        (replace(_FOUND, wrong=["1984"]), "9 transcripts in S3"),
        (replace(_FOUND, misspelt=True), "'turdice' is spelt"),
        (replace(_FOUND, labelled_cues=0), "the labelled episode"),
    ],
)
def test_what_was_found_otherwise_is_told(found: Found, claim: str) -> None:
    """The files are what people keep, so nothing about them is taken on trust."""
    failed = _failed(_ending(), found)

    assert len(failed) == 1
    assert failed[0].startswith(claim)


def test_a_call_that_the_kill_fell_into_may_come_twice() -> None:
    """Nobody can know whether it was made, so the next run makes it; that is as promised."""
    again = _INVOKED[SITES.index(NADD)]

    ending = replace(_ending(), invoked=[*_INVOKED, again], invalidated=[*_PURGED, _PURGED[1]])

    assert _failed(ending) == []


def test_the_table_says_where_each_site_stands() -> None:
    """It is all that is to be seen while a run goes on."""
    events = [
        {"event": "phase_started", "site": FORK.id, "phase": "rss-retrieval"},
        {"event": "phase_ended", "site": FORK.id, "phase": "rss-retrieval", "status": "ok"},
        {"event": "audio_downloaded"},
        {"event": "phase_started", "site": FAIRPLAY.id, "phase": "audio-processing"},
        {"event": "transcription_started", "key": "2024-03-01_Pilot--1"},
    ]

    shown = standing([FORK.id, FAIRPLAY.id], events, 7)

    assert shown.line() == (
        "listenfairplay audio-processing   audio 1   transcripts 0   objects in S3 7"
    )
    assert shown.hearing == "2024-03-01_Pilot"
    assert standing([FORK.id], [], 7).line().startswith("it starts")
    assert standing([FORK.id], events[:2], 7).line().startswith("every phase has ended")


def test_a_log_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    """A run is killed in the middle of a line, or read while it writes one."""
    log = tmp_path / "run.log"
    log.write_text('{"event": "ready"}\nrun finished\n17\n{"event": "half')
    tail = Tail(log)

    first = tail.news()
    with log.open("a") as stream:
        stream.write('way"}\n')

    assert [each["event"] for each in first] == ["ready"]
    assert [each["event"] for each in tail.news()] == ["halfway"]
    assert tail.said == ["run finished", "17"]
