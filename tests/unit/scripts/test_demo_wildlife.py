"""The chapter's verdict fails for each thing that may go wrong."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripts.demo.checks import Check
from scripts.demo.ended import Ended
from scripts.demo.wildlife_card import Cards, temperature
from scripts.demo.wildlife_facts import Ending, Found, Sighting
from scripts.demo.wildlife_forest import CAMERAS, Forest, clock_of, grow_forest
from scripts.demo.wildlife_verdict import judge

_FOREST = grow_forest(datetime(2026, 11, 1, tzinfo=UTC), visits=3, quiet=2)
_CARDS = Cards(Path("cards"), Path("c"), Path("w"), Path("p"), len(_FOREST.shots), ["a/b.JPG"])
_DONE = Ended(0, [])


def _ending() -> Ending:
    refused = Ended(3, [])
    return Ending(_FOREST, _CARDS, _DONE, _DONE, _DONE, refused, unchanged=True, refused_left=[])


def _sightings(forest: Forest) -> Sequence[Sighting]:
    return [
        Sighting(
            visit.camera.name,
            visit.kind,
            visit.begin,
            visit.end,
            len(visit.shots),
            visit.camera.latitude,
            temperature(
                (visit.begin + timedelta(minutes=29, seconds=59)).replace(minute=0, second=0)
            ),
        )
        for visit in forest.visits
    ]


def _found() -> Found:
    return Found(
        sightings=_sightings(_FOREST),
        unreadable=["file:///x/cards/a/b.JPG"],
        pictures=len(_FOREST.shots),
        crops=sum(len(visit.shots) for visit in _FOREST.visits),
        report={
            "humans_excluded": len(_FOREST.people),
            "execution_summary": {"estimated_total_dkk": 0.03, "budget_dkk": 1.0},
        },
        page="<svg></svg>",
    )


def _failed(checks: Sequence[Check]) -> Sequence[str]:
    return [check.claim for check in checks if not check.holds]


def test_a_run_as_it_should_be_passes() -> None:
    """A verdict that nothing can pass says nothing."""
    assert _failed(judge(_ending(), _found())) == []


@pytest.mark.parametrize(
    ("ending", "found", "claim"),
    [
        (_ending(), replace(_found(), sightings=_found().sightings[1:]), "visits"),
        (
            _ending(),
            replace(_found(), sightings=[replace(s, pictures=9) for s in _found().sightings]),
            "each has its pictures",
        ),
        (
            _ending(),
            replace(_found(), sightings=[replace(s, temperature=0.0) for s in _found().sightings]),
            "weather of its hour",
        ),
        (_ending(), replace(_found(), unreadable=[]), "no pictures"),
        (_ending(), replace(_found(), crops=0), "people"),
        (_ending(), replace(_found(), page="<img src='http://x/y'><svg>"), "asks nobody"),
        (replace(_ending(), unchanged=False), _found(), "second run"),
        (replace(_ending(), ran=Ended(4, [])), _found(), "within its budget"),
        (replace(_ending(), refused=Ended(0, [])), _found(), "refused before"),
        (replace(_ending(), refused_left=["x"]), _found(), "refused before"),
    ],
)
def test_each_thing_that_went_wrong_is_told(ending: Ending, found: Found, claim: str) -> None:
    """A demonstration that is always content would prove nothing."""
    (failed,) = _failed(judge(ending, found))

    assert claim in failed


def test_no_two_clocks_agree() -> None:
    """Three rules of the clock are needed to find the truth."""
    moment = datetime(2026, 6, 15, 20, 0, tzinfo=UTC)

    shown = {camera.name: clock_of(camera, moment).strftime("%H:%M") for camera in CAMERAS}

    assert shown == {"kilsbergen": "22:02", "tiveden": "21:00", "bergslagen": "20:30"}
