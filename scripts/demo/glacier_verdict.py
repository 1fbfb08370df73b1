"""Whether the glacier runs kept their promises, decided by what was found. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from scripts.demo.checks import Check, some
from scripts.demo.glacier_facts import Ending, Found
from scripts.demo.glacier_land import PASSES, Glacier

_LAMBDA_TILES = 2


def judge(ending: Ending, found: Found) -> Sequence[Check]:
    """Check every promise."""
    return [
        *_plan(ending),
        *_jobs(ending, found),
        *_pixels(found),
        *_bad_moments(ending, found),
        *_commands(ending),
    ]


def _plan(ending: Ending) -> Iterator[Check]:
    yield Check(
        "the dry run needed no network and no credentials",
        ending.planned.status == 0 and not ending.plan_touched,
        some(ending.plan_touched),
    )
    wrong = [
        f"{glacier.name} on {ending.services.get(glacier.name)}"
        for glacier in ending.glaciers
        if ending.services.get(glacier.name) != _service(glacier)
    ]
    counts = Counter(ending.services.values())
    told = ", ".join(f"{count} on {service}" for service, count in sorted(counts.items()))
    yield Check(
        f"regions of up to {_LAMBDA_TILES} tiles go to Lambda, the others to Batch",
        not wrong,
        some(wrong) or told,
    )


def _jobs(ending: Ending, found: Found) -> Iterator[Check]:
    bad = [
        f"{glacier.name} is {found.records[glacier.name].status}"
        if glacier.name in found.records
        else f"{glacier.name} has no record"
        for glacier in ending.glaciers
        if glacier.name not in found.records or found.records[glacier.name].status != "success"
    ]
    yield Check(
        f"all {len(ending.glaciers)} jobs have a record that says success",
        not bad and ending.second.status == 0,
        some(bad) or f"{found.functions} events handled by Lambda's runtime client",
    )
    yield Check(
        "the bucket holds what the contract names, and nothing else",
        not found.missing and not found.strange,
        some(
            [*(f"no {key}" for key in found.missing), *(f"strange {key}" for key in found.strange)]
        ),
    )
    skipped = (
        [
            glacier.name
            for glacier in ending.glaciers
            for entry in found.records[glacier.name].entries[:1]
            if not any(scene.status == "skipped" and scene.reason for scene in entry.scenes)
        ]
        if not bad
        else ["records are missing"]
    )
    unseen = [f"{each.seen:.0%}" for each in PASSES if not each.is_kept]
    yield Check(
        f"passes that saw {', '.join(unseen)} of a region are left out, and the records say why",
        not skipped,
        some(skipped),
    )


def _pixels(found: Found) -> Iterator[Check]:
    whole = found.exact + found.shifted
    yield Check(
        f"{found.scenes} rasters are the known land, pixel by pixel",
        bool(found.scenes) and not found.faults,
        some(found.faults)
        or f"{whole:,} pixels compared, {found.shifted:,} have their neighbour's value; "
        f"{found.across_zones:,} more, across two UTM zones, lie among their neighbours",
    )


def _bad_moments(ending: Ending, found: Found) -> Iterator[Check]:
    yield Check(
        "the instance went away in the middle of a job",
        ending.had_begun and len(ending.attempts) > 1 and ending.attempts[0] != 0,
        f"exit statuses of its attempts: {', '.join(map(str, ending.attempts))}",
    )
    yield Check(
        "its next attempt went on from there, and no scene of any job was stored twice",
        ending.attempts[-1:] == [0] and not found.repeated,
        some(found.repeated),
    )
    yield Check(
        "a page in the place of a raster was never stored",
        not found.pages,
        some(found.pages),
    )
    failed = [name for name, record in ending.after_first.items() if record.status == "failed"]
    yield Check(
        "the one region that had got the page failed, by name, and was mended by sending it again",
        len(failed) == 1
        and ending.first.status == 1
        and ending.first.line("failed: --regions ") == failed[0]
        and ending.second.status == 0,
        some(failed) or f"exit status {ending.first.status}",
    )


def _commands(ending: Ending) -> Iterator[Check]:
    for name, ended in (
        ("sync put the project into the bucket and verified it", ending.synced),
        ("pull brought the results here", ending.pulled),
        ("check found nothing wrong with them", ending.checked),
    ):
        said = ended.said[-1] if ended.said else ""
        detail = f"exit status {ended.status}; {said}" if ended.status else ""
        yield Check(name, ended.status == 0, detail)


def _service(glacier: Glacier) -> str:
    return "lambda" if len(glacier.tiles) <= _LAMBDA_TILES else "batch"
