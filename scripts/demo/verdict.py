"""Whether the uploader kept its promises in this run. Pure: facts in, one check a promise out."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.demo.daemon_log import Life
from scripts.demo.records import Landed, Produced
from scripts.demo.timing import Delay, Outage

_CLOCK_SECONDS = 0.01
"""The kernel stamps files with a clock that lags a tick behind."""


@dataclass(frozen=True, slots=True)
class Crash:
    """What the SIGKILL met and left, looked at while the daemon was dead."""

    outage: Outage
    status: int
    uncommitted: int
    """Requests in flight that S3 had not carried out."""
    committed: int
    """Requests in flight that S3 had carried out and not answered."""
    open_uploads: int
    hidden: int
    """Files in the middle of being removed."""
    on_disk: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was seen of one run."""

    produced: Sequence[Produced]
    landed: Sequence[Landed]
    delays: Sequence[Delay]
    broken_effects: Sequence[str]
    """What the effect check has to say; each begins with the kind and a colon."""
    crash: Crash
    lives: Sequence[Life]
    requests: int
    open_uploads: int
    left_on_disk: Sequence[str]
    link_untouched: bool
    writer_status: int | None
    daemon_status: int | None
    """None: it was left running."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise."""

    claim: str
    holds: bool
    detail: str = ""
    """How often or how much when it holds, what is wrong otherwise."""


def judge(facts: Facts) -> Sequence[Check]:
    """Check every promise."""
    return [*_contents(facts), *_local(facts), *_crash(facts), *_lives(facts)]


def _contents(facts: Facts) -> Iterator[Check]:
    complete = sum(one.final for one in facts.produced)
    lost = _of_kind(facts, "lost")
    detail = f"sha256 of {complete} contents compared"
    yield Check("S3 holds what the writer wrote, byte for byte", not lost, lost or detail)
    strange = _of_kind(facts, "never produced")
    yield Check("nothing half-written was ever visible in S3", not strange, strange)
    repeated = _of_kind(facts, "repeated")
    known = facts.lives[-1].events["file_already_there"]
    detail = (
        f"{len(facts.landed)} writes for {len(set(_contents_landed(facts)))} contents; "
        f"{known} files were found in S3 after the restart and only removed"
    )
    yield Check("nothing was sent twice", not repeated, repeated or detail)
    early = [one for one in facts.delays if one.seconds < -_CLOCK_SECONDS]
    grew = sum(one.produced.grew for one in facts.delays)
    detail = f"{grew} files that grew for seconds among them"
    wrong = f"{early[0].produced.path!r} went {-early[0].seconds:.2f} s early" if early else ""
    yield Check("nothing was sent before it had settled", not early, wrong or detail)


def _contents_landed(facts: Facts) -> Iterator[tuple[str, str, str]]:
    return ((one.bucket, one.key, one.sha256) for one in facts.landed)


def _local(facts: Facts) -> Iterator[Check]:
    left = facts.left_on_disk
    wrong = f"{len(left)} files are left, such as {left[0]!r}" if left else ""
    yield Check("the disk is empty", not left, wrong)
    yield Check("the symbolic link was neither followed nor removed", facts.link_untouched)


def _crash(facts: Facts) -> Iterator[Check]:
    crash = facts.crash
    in_flight = min(crash.uncommitted, crash.committed, crash.open_uploads)
    detail = (
        f"{crash.uncommitted} requests not carried out, {crash.committed} carried out and not "
        f"answered, {crash.open_uploads} large file half sent"
    )
    struck = in_flight > 0 and crash.status == -signal.SIGKILL
    yield Check("the SIGKILL struck uploads in flight", struck, detail)
    aborted = facts.lives[-1].events["upload_aborted"]
    yield Check(
        "the half-sent upload was aborted after the restart",
        facts.open_uploads == 0 and aborted == crash.open_uploads,
        f"{crash.open_uploads} left by the kill, {aborted} aborted, {facts.open_uploads} open now",
    )
    resumed = facts.lives[-1].events["removal_resumed"]
    yield Check(
        "removals that the kill interrupted were resumed",
        resumed == crash.hidden,
        f"{crash.hidden} left by the kill, {resumed} resumed",
    )


def _lives(facts: Facts) -> Iterator[Check]:
    errors = [line for life in facts.lives for line in life.errors]
    wrong = f"{len(errors)} lines, the first: {errors[0]}" if errors else ""
    yield Check("the daemon logged no error", not errors, wrong)
    yield Check("the writer ended well", facts.writer_status == 0, _status(facts.writer_status))
    if facts.daemon_status is not None:
        held = facts.daemon_status == 0
        yield Check("SIGTERM ended the daemon", held, _status(facts.daemon_status))


def _of_kind(facts: Facts, kind: str) -> str:
    found = [line for line in facts.broken_effects if line.startswith(f"{kind}:")]
    return f"{len(found)} cases; {found[0]}" if found else ""


def _status(status: int | None) -> str:
    return f"exit status {status}"
