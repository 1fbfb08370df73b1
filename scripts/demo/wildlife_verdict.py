"""Whether the wildlife run kept its promises, decided by what was found. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from scripts.demo.checks import Check, some
from scripts.demo.wildlife_card import temperature
from scripts.demo.wildlife_facts import Ending, Found, Sighting
from scripts.demo.wildlife_forest import Visit

_HALF_AN_HOUR = timedelta(minutes=30)
_BUDGET_EXCEEDED = 3
_TOLERANCE = 1e-6


def judge(ending: Ending, found: Found) -> Sequence[Check]:
    """Check every promise."""
    return [
        *_table(ending, found),
        *_pictures(ending, found),
        *_report(ending, found),
        *_money(ending, found),
    ]


def _table(ending: Ending, found: Found) -> Iterator[Check]:
    truth = {(v.camera.name, v.kind, v.begin): v for v in ending.forest.visits}
    seen = {(s.camera, s.kind, s.begin): s for s in found.sightings}
    wrong = [
        *(
            f"no {kind} at {camera} {begin:%d %b %H:%M:%S}"
            for camera, kind, begin in truth.keys() - seen
        ),
        *(
            f"a {kind} too many at {camera} {begin:%d %b %H:%M:%S}"
            for camera, kind, begin in seen.keys() - truth
        ),
    ]
    yield Check(
        f"{len(truth)} visits, each a row of its own at its true time, though no two clocks agreed",
        not wrong and len(found.sightings) == len(truth),
        some(wrong),
    )
    pairs = [(truth[key], seen[key]) for key in truth.keys() & seen]
    yield Check(
        "each has its pictures, its end and the position of its camera",
        all(_is_whole(visit, sighting) for visit, sighting in pairs),
        "GPS of two cameras, the configuration's for the third",
    )
    cold = [f"{s.kind} {s.begin:%H:%M}" for _, s in pairs if not _has_its_weather(s)]
    yield Check("each has the weather of its hour", not cold, some(cold))


def _is_whole(visit: Visit, sighting: Sighting) -> bool:
    return (
        sighting.end == visit.end
        and sighting.pictures == len(visit.shots)
        and sighting.latitude is not None
        and abs(sighting.latitude - visit.camera.latitude) < _TOLERANCE
    )


def _has_its_weather(sighting: Sighting) -> bool:
    hour = sighting.begin.replace(minute=0, second=0, microsecond=0)
    if sighting.begin - hour > _HALF_AN_HOUR:
        hour += timedelta(hours=1)
    return sighting.temperature == temperature(hour)


def _pictures(ending: Ending, found: Found) -> Iterator[Check]:
    names = {uri.partition("/cards/")[2] for uri in found.unreadable}
    yield Check(
        f"{len(ending.cards.broken)} files that are no pictures cost a line each",
        names == set(ending.cards.broken) and found.pictures == ending.cards.count,
        some(sorted(names)),
    )
    people, crops = len(ending.forest.people), sum(len(v.shots) for v in ending.forest.visits)
    excluded = found.report.get("humans_excluded")
    yield Check(
        f"{people} pictures of people are counted and nothing of them is kept",
        excluded == people and found.crops == crops,
        f"{found.crops} crops, of animals"
        if found.crops == crops
        else f"{excluded} counted, {found.crops} crops",
    )


def _report(ending: Ending, found: Found) -> Iterator[Check]:
    yield Check(
        "the report is one page that asks nobody for anything",
        "http://" not in found.page.replace("http://www.w3.org/", "") and "<svg" in found.page,
        f"{len(found.page) // 1024} KiB",
    )
    yield Check(
        "a second run changes no byte of tables and manifests",
        ending.again.status == 0 and ending.unchanged,
    )


def _money(ending: Ending, found: Found) -> Iterator[Check]:
    summary = found.report.get("execution_summary", {})
    total, budget = summary.get("estimated_total_dkk", 0), summary.get("budget_dkk", 0)
    yield Check(
        "the run stayed within its budget",
        ending.ran.status == 0 and 0 < total <= budget,
        f"{total:.4f} of {budget:.4f} DKK",
    )
    yield Check(
        "a run that costs more than it may is refused before anything is spent",
        ending.refused.status == _BUDGET_EXCEEDED and not ending.refused_left,
        some(ending.refused_left) or f"exit status {ending.refused.status}",
    )
