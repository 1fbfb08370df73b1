"""Whether the ingester kept its promises in this run, by the means of the tests."""

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemons.ingester.speech.srt import decode_srt, parse_srt
from scripts.demo.board import Row
from scripts.demo.ingester_board import Tail
from scripts.demo.ingester_runs import Ended
from scripts.demo.ingester_shows import (
    FAIRPLAY,
    FORK,
    LABELLED,
    LONG,
    MISSPELT,
    NADD,
    NEW,
    OLD,
    SITES,
    SPELT,
    republished,
    shows_of,
)
from tests.support.aws_answers import Assumed, Invalidated, Invoked
from tests.support.ingest_checks import NOTHING_DONE, find_faults
from tests.support.ingest_world import IngestWorld


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and whether it was kept."""

    claim: str
    holds: bool
    detail: str = ""

    def row(self) -> Row:
        """Return it as a line of the summary."""
        text = f"{self.claim}; {self.detail}" if self.detail else self.claim
        return Row("ok", text, "green") if self.holds else Row("FAILED", text, "bold red")


@dataclass(frozen=True, slots=True)
class Ending:
    """What was seen of three runs and a plan."""

    planned: Ended
    plan_changed: bool
    """Whether the plan changed anything, anywhere."""
    killed: Ended
    finished: Ended
    idle: Ended
    idle_wrote: Sequence[str]
    """What the last run wrote, here, in S3 or in AWS."""
    assumed: Sequence[Assumed]
    invoked: Sequence[Invoked]
    invalidated: Sequence[Invalidated]
    model: str
    """Who listened to the labelled episode."""


def judge(world: IngestWorld, ending: Ending) -> Sequence[Check]:
    """Check every promise."""
    return [
        Check(
            "the plan of a first run changed nothing, here or in S3",
            ending.planned.status == 0 and not ending.plan_changed,
        ),
        *_in_step(world),
        *_words(world, ending),
        *_once(ending),
        *_accounts(ending),
        _idle(ending),
    ]


def _in_step(world: IngestWorld) -> Iterator[Check]:
    faults = [
        f"{site.id}: {fault}"
        for site in SITES
        for fault in find_faults(world, site.id, killed=True)
    ]
    files = sum(len(world.local(site.id)) for site in SITES)
    yield Check(
        f"{files} files of {len(SITES)} sites are the same here and in S3, and agree with "
        "manifest and feeds",
        not faults,
        "; ".join(faults[:3]),
    )
    asked = [each.path for each in republished() if world.web.asked(each.path)]
    yield Check(f"{len(republished())} episodes that two feeds have are there once", not asked)


def _words(world: IngestWorld, ending: Ending) -> Iterator[Check]:
    wrong, known = [], 0
    for site in SITES:
        held = world.remote(site.id)
        for show in shows_of(site.id):
            bodies = [body for path, body in held.items() if f"{show.stem}--" in path]
            expected = show.transcript.replace(MISSPELT.encode(), SPELT.encode())
            if show.known and expected not in bodies:
                wrong.append(show.title)
            known += show.known
    yield Check(
        f"{known} transcripts in S3 say what was said, to the millisecond",
        not wrong,
        f"not so: {', '.join(wrong)}" if wrong else f"{LONG!r} was joined from two chunks",
    )
    said = b"".join(body for path, body in world.remote(NADD.id).items() if path.endswith(".srt"))
    yield Check(
        f"{MISSPELT!r} is spelt {SPELT!r} everywhere",
        MISSPELT.encode() not in said and SPELT.encode() in said,
    )
    heard = _labelled(world)
    yield Check(f"the labelled episode: {ending.model}", bool(heard), f"{heard} cues")


def _labelled(world: IngestWorld) -> int:
    for path, body in world.remote(FAIRPLAY.id).items():
        if path.endswith(".srt") and LABELLED.partition(" ")[0] in path:
            return len(parse_srt(decode_srt(body)).cues)
    return 0


def _once(ending: Ending) -> Iterator[Check]:
    """Whether the kill struck, and cost nothing that was done."""
    yield Check(
        "the SIGKILL struck in the middle of a transcription",
        ending.killed.status == -signal.SIGKILL and _unfinished(ending.killed.tail) > 0,
    )
    done = Counter(
        entry["key"] for run in _runs(ending) for entry in run.tail.of("transcription_finished")
    )
    new = sum(len(shows) for shows in NEW.values())
    twice = [key for key, count in done.items() if count > 1]
    yield Check(
        f"{new} new episodes were transcribed, none a second time",
        len(done) == new and not twice,
        ", ".join(twice),
    )
    yield Check("the next run finished what was left", ending.finished.status == 0)


def _accounts(ending: Ending) -> Iterator[Check]:
    accounts = {each.account_id for each in ending.assumed}
    longest = max((len(each.session_name) for each in ending.assumed), default=0)
    yield Check(
        f"{len(accounts)} accounts, entered by roles, each session for one site alone",
        len(accounts) == len({site.account for site in SITES})
        and all(each.policy is not None for each in ending.assumed),
        f"the longest session name has {longest} of 64 characters",
    )
    triggered = sorted({each.function for each in ending.invoked})
    yield Check(
        "the index of every site was asked for",
        triggered == sorted(site.indexer for site in SITES),
        ", ".join(triggered),
    )
    purged = {each.distribution for each in ending.invalidated}
    yield Check(
        "caches were emptied where there is a distribution",
        purged == {FORK.distribution, NADD.distribution},
    )


def _idle(ending: Ending) -> Check:
    summary = ending.idle.summary
    idle = ending.idle.status == 0 and not any(summary.get(name, 1) for name in NOTHING_DONE)
    return Check(
        "the run after that wrote nothing: no object, no file, no call",
        idle and not ending.idle_wrote,
        "; ".join(ending.idle_wrote[:3]),
    )


def _runs(ending: Ending) -> Sequence[Ended]:
    return ending.killed, ending.finished


def _unfinished(tail: Tail) -> int:
    return len(tail.of("transcription_started")) - len(tail.of("transcription_finished"))


def archive_sizes() -> tuple[int, int]:
    """Return how many episodes are old, and how many new."""
    return sum(map(len, OLD.values())), sum(map(len, NEW.values()))
