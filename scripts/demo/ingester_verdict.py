"""Whether the ingester kept its promises in this run, decided by what was found."""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from daemons.ingester.phases.outcome import Phase
from scripts.demo.checks import Check, some
from scripts.demo.ingester_board import Entry, Tail
from scripts.demo.ingester_facts import Ending, Found
from scripts.demo.ingester_shows import LONG, MISSPELT, NEW, SITES, SPELT, republished
from tests.support.ingest_checks import NOTHING_DONE
from tests.support.strict_s3.history import MutationKind


def judge(ending: Ending, found: Found) -> Sequence[Check]:
    """Check every promise."""
    return [
        Check(
            "the plan of a first run changed nothing, here or in S3",
            ending.planned.status == 0 and not ending.plan_changed,
        ),
        *_in_step(ending, found),
        *_words(ending, found),
        *_once(ending),
        _history(ending),
        *_accounts(ending),
        *_calls(ending),
        _idle(ending),
    ]


def _in_step(ending: Ending, found: Found) -> Iterator[Check]:
    yield Check(
        f"{found.files} files of {len(SITES)} sites are the same here and in S3, and agree with "
        "manifest and feeds",
        found.files > 0 and not found.faults,
        some(found.faults),
    )
    again = [each.path for each in republished() if each.path in ending.fetched]
    yield Check(
        f"{len(republished())} episodes that a second feed has too were not fetched again",
        bool(ending.fetched) and not again,
        some(again),
    )


def _words(ending: Ending, found: Found) -> Iterator[Check]:
    yield Check(
        f"{found.known} transcripts in S3 say what was said, to the millisecond",
        found.known > 0 and not found.wrong,
        f"not so: {some(found.wrong)}"
        if found.wrong
        else f"{LONG!r} was joined from {_chunks(ending)} chunks",
    )
    yield Check(f"{MISSPELT!r} is spelt {SPELT!r} everywhere", not found.misspelt)
    yield Check(
        f"the labelled episode was {ending.listener.words}",
        found.labelled_cues > 0,
        f"{found.labelled_cues} cues",
    )


def _once(ending: Ending) -> Iterator[Check]:
    """Whether the kill struck, and cost nothing that was done."""
    begun, done = (
        len(ending.killed.tail.of(f"transcription_{name}")) for name in ("started", "finished")
    )
    yield Check(
        "the SIGKILL struck in the middle of a transcription",
        ending.killed.status == -signal.SIGKILL and begun > done,
        f"{done} of {_new()} were made",
    )
    heard = Counter(entry["key"] for entry in _finished(ending))
    twice = [key for key, count in heard.items() if count > 1]
    yield Check(
        f"{_new()} new episodes were transcribed, none a second time",
        len(heard) == _new() and not twice,
        some(twice),
    )
    yield Check(
        "the next run finished what was left",
        ending.finished.status == 0,
        "" if ending.finished.status == 0 else f"exit status {ending.finished.status}",
    )


def _history(ending: Ending) -> Check:
    """Whether S3 was told everything once; the kill may have struck an upload, but not its list."""
    contents = Counter((one.bucket, one.key, one.sha256) for one in ending.written)
    again = [f"{key} sent twice" for (_, key, _), count in contents.items() if count > 1]
    gone = [f"{one.key} deleted" for one in ending.written if one.kind is MutationKind.DELETE]
    return Check(
        f"S3's history: {len(ending.written)} objects sent, none of them twice, none deleted",
        bool(ending.written) and not again and not gone,
        some([*again, *gone]),
    )


def _accounts(ending: Ending) -> Iterator[Check]:
    accounts = {each.account_id for each in ending.assumed}
    longest = max((len(each.session_name) for each in ending.assumed), default=0)
    yield Check(
        f"{len(accounts)} accounts, entered by roles, each session for one site alone",
        accounts == {site.account for site in SITES}
        and all(each.policy is not None for each in ending.assumed),
        f"the longest session name has {longest} of 64 characters",
    )


def _calls(ending: Ending) -> Iterator[Check]:
    """Whether each call was made once; one that the kill fell into may have been made before it."""
    invoked = Counter(each.function for each in ending.invoked)
    yield Check(
        "the index of every site was asked for, once",
        _are_as_often(invoked, {site.indexer: site.id for site in SITES}, ending, Phase.INDEXING),
        _counted(invoked),
    )
    purged = Counter(each.distribution for each in ending.invalidated)
    behind = {site.distribution: site.id for site in SITES if site.distribution}
    yield Check(
        "caches were emptied where there is a distribution, once",
        _are_as_often(purged, behind, ending, Phase.INVALIDATION),
        _counted(purged),
    )


def _are_as_often(
    counts: Mapping[str, int], wanted: Mapping[str, str], ending: Ending, phase: Phase
) -> bool:
    struck = _under_way(ending.killed.tail, phase)
    return counts.keys() == wanted.keys() and all(
        count <= (2 if wanted[name] in struck else 1) for name, count in counts.items()
    )


def _under_way(tail: Tail, phase: Phase) -> set[str]:
    """Return the sites that a run was doing this for when it ended."""
    begun, over = (
        {entry["site"] for entry in tail.of(name) if entry["phase"] == phase}
        for name in ("phase_started", "phase_ended")
    )
    return begun - over


def _idle(ending: Ending) -> Check:
    summary = ending.idle.summary
    done = [name for name in NOTHING_DONE if summary.get(name, 1)]
    return Check(
        "the run after that wrote nothing: no object, no file, no call",
        ending.idle.status == 0 and not done and not ending.idle_wrote,
        some([*ending.idle_wrote, *done]),
    )


def _chunks(ending: Ending) -> int:
    """Return in how many chunks the longest episode was heard."""
    return max((int(entry["chunks"]) for entry in _finished(ending)), default=0)


def _finished(ending: Ending) -> Iterator[Entry]:
    for run in (ending.killed, ending.finished):
        yield from run.tail.of("transcription_finished")


def _new() -> int:
    return sum(map(len, NEW.values()))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(counts.items()))
