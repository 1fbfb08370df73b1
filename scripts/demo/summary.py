"""The end of the uploader's chapter in words that a person understands."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from scripts.demo.board import Row
from scripts.demo.screenplay import ALIASED
from scripts.demo.stage import Stage
from scripts.demo.timing import shown, split_by_burst, spread_of
from scripts.demo.uploader_daemon import UploaderDaemon
from scripts.demo.verdict import Check, Facts

_MEGABYTE = 1_000_000
_PROOFS = {
    "ANSWERED": "checksum in S3's answer",
    "READ_BACK": "checksum read back",
    "ETAG_MD5": "MD5 as ETag",
    "SIZE": "size alone",
}


def show_summary(stage: Stage, facts: Facts, checks: Sequence[Check]) -> None:
    """Show what arrived, how fast, and whether every promise was kept."""
    board = stage.board
    board.summary("What arrived", list(_arrived(facts)))
    board.summary("How long from settled to visible in S3", list(_delays(facts)))
    board.summary("Checked", [_checked(check) for check in checks])
    board.summary(
        "To look at",
        [Row("folder", str(stage.folder)), *(Row(name, text) for name, text in _LEFT)],
    )
    failed = [check.claim for check in checks if not check.holds]
    if failed:
        board.verdict(f"Not true this time: {'; '.join(failed)}.", good=False)
    else:
        board.verdict("Nothing lost, nothing sent twice, nothing left behind.", good=True)


def show_invitation(stage: Stage, daemon: UploaderDaemon, environ: Mapping[str, str]) -> None:
    """Say what can be done with what was left running, and how it is ended."""
    variables = " ".join(f"{name}={value}" for name, value in environ.items())
    stage.board.summary(
        "Still running",
        [
            Row("try it", f"cp README.md {daemon.root / ALIASED}/"),
            Row("status", f".venv/bin/towpath uploader --status --state-directory {daemon.state}"),
            Row("for aws, s5cmd", variables),
            Row("stop", f"Ctrl-C here ends all of it, and so does: kill {os.getpid()}"),
        ],
    )


_LEFT = (
    ("uploader.log", "what the daemon said, a line of JSON an event, both lives"),
    ("state/status.json", "what it tells people; metrics.prom beside it is for monitors"),
    ("output/s3/", "what it watched: folders, the link, and no file"),
)


def _arrived(facts: Facts) -> Iterator[Row]:
    landed = facts.landed
    for bucket, count in sorted(Counter(bucket for bucket, _ in _places(facts)).items()):
        size = sum(one.size for one in landed if one.bucket == bucket)
        yield Row(f"s3://{bucket}", f"{count} objects, {size / _MEGABYTE:.2f} MB")
    large = next((one for one in landed if one.in_parts), None)
    if large is not None:
        yield Row("in parts", f"{large.key}, {large.size / _MEGABYTE:.1f} MB")
    replaced = len(landed) - len(_places(facts))
    yield Row("replaced", f"{replaced} times, by a new content under the same name")
    evidence = sum((life.evidence for life in facts.lives), Counter[str]())
    proofs = (f"{count} by {_PROOFS.get(kind, kind)}" for kind, count in evidence.most_common())
    yield Row("proven", ", ".join(proofs))
    yield Row("requests", f"{facts.requests}, {facts.requests / max(1, len(landed)):.2f} a file")


def _places(facts: Facts) -> set[tuple[str, str]]:
    return {(one.bucket, one.key) for one in facts.landed}


def _delays(facts: Facts) -> Iterator[Row]:
    usual = [delay for delay in facts.delays if not delay.met_outage]
    alone, amid = split_by_burst(usual)
    for manner, delays in (("one by one", alone), ("many at once", amid)):
        spread = spread_of(delay.seconds for delay in delays)
        if spread is not None:
            times = f"median {shown(spread.median)}, p99 {shown(spread.p99)}"
            text = f"{spread.count} files, {times}, longest {shown(spread.longest)}"
            yield Row(manner, text)
    late = spread_of(delay.seconds for delay in facts.delays if delay.met_outage)
    if late is not None:
        outage = facts.crash.outage
        dead = ((outage.ready_ns or outage.killed_ns) - outage.killed_ns) / 1e9
        yield Row(
            "met the kill",
            f"{late.count} files, longest {shown(late.longest)}; "
            f"the daemon was away for {shown(dead)}",
        )


def _checked(check: Check) -> Row:
    text = f"{check.claim}; {check.detail}" if check.detail else check.claim
    return Row("ok", text, "green") if check.holds else Row("FAILED", text, "bold red")
