"""What a run says in the end to people: a line a site, rates, and what failed last of all. Pure.

Rule: everything comes from the results, nothing from a log, so that the log's level changes
nothing here; and no text from a feed or a file can act on the terminal it is shown on.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from daemons.ingester.archive.episode import format_time
from daemons.ingester.phases.outcome import Phase
from daemons.ingester.runs.results import RunResult, SiteResult
from shared.redact import redact_text

_SHOWN_MAX = 50
"""So many errors of a site are shown; all that are kept by name are in the JSON."""
_PERCENT = 100
_HOUR = 3600
_MINUTE = 60


def summary_lines(result: RunResult) -> Iterator[str]:
    """Yield the summary of a run, errors last."""
    yield _headline(result)
    for site in result.sites:
        yield f"  {_plain(site.site_id)} ({_plain(site.site_title)}): {_phases(site)}"
        yield f"    {_counts(site)}"
        yield from (f"    {line}" for line in _remarks(site))
    yield "  " + "; ".join(f"{name} {rate}" for name, rate in rates(result.sites))
    errors = [(site, list(site.errors())) for site in result.sites if site.error_count]
    if errors:
        yield "errors:"
    for site, found in errors:
        for error in found[:_SHOWN_MAX]:
            item = f" {_plain(error.item)}:" if error.item else ""
            yield f"  {_plain(site.site_id)}: {error.phase}:{item} {_plain(error.message)}"
        if left := site.error_count - min(len(found), _SHOWN_MAX):
            yield f"  {_plain(site.site_id)}: and {left} more, in the JSON"


def history_entry(result: RunResult) -> str:
    """Return what the page of runs says of one, in Markdown."""
    lines = [f"## {format_time(result.started_at)}: {_status(result)}", ""]
    lines += [f"- {line.strip()}" for line in summary_lines(result) if line != "errors:"]
    return "\n".join(lines) + "\n"


def rates(sites: Sequence[SiteResult]) -> Sequence[tuple[str, str]]:
    """Return what was done of what was attempted."""
    transcribed = sum(site.transcribed for site in sites)
    failures = sum(site.transcription_failures for site in sites)
    uploaded = sum(site.upload_total for site in sites)
    refused = sum(_failed(site, Phase.UPLOAD) for site in sites)
    fetched = sum(site.pre_sync_downloads for site in sites)
    unfetched = sum(_failed(site, Phase.PRE_SYNC) for site in sites)
    return (
        ("sites", rate(sum(not site.has_errors for site in sites), len(sites))),
        ("downloads", rate(fetched, fetched + unfetched)),
        ("transcriptions", rate(transcribed, transcribed + failures)),
        ("uploads", rate(uploaded, uploaded + refused)),
        (
            "index triggers",
            rate(
                sum(site.index_accepted for site in sites),
                sum(site.index_triggered for site in sites),
            ),
        ),
    )


def rate(done: int, attempted: int) -> str:
    """Say how many of the attempted were done; `n/a` where nothing was."""
    return f"{done}/{attempted} ({_PERCENT * done // attempted} %)" if attempted else "n/a"


def duration(taken: timedelta) -> str:
    """Say how long something took."""
    seconds = max(0.0, taken.total_seconds())
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    hours, rest = divmod(int(seconds), _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    return (f"{hours} h " if hours else "") + f"{minutes} min {rest} s"


def _headline(result: RunResult) -> str:
    sites = _number(len(result.sites), "site")
    errors = _number(result.error_count, "error") if result.error_count else "no errors"
    took = duration(result.ended_at - result.started_at)
    return f"{_status(result)}: {sites} in {took}, {errors}"


def _status(result: RunResult) -> str:
    what = "dry run" if result.dry_run else "run"
    if result.interrupted:
        return f"{what} interrupted"
    return f"{what} finished with errors" if result.has_errors else f"{what} finished"


def _phases(site: SiteResult) -> str:
    if site.misconfigured:
        return "not begun, its configuration is wrong"
    if not site.outcomes:
        return "not begun"
    return ", ".join(f"{phase.value} {each.status.value}" for phase, each in site.outcomes.items())


def _counts(site: SiteResult) -> str:
    counts = (
        (site.pre_sync_downloads, f"{site.pre_sync_downloads} downloaded"),
        (site.new_episodes, _number(site.new_episodes, "new episode")),
        (site.audio_downloads, _number(site.audio_downloads, "audio file")),
        (site.transcribed, f"{site.transcribed} transcribed"),
        (site.entry_files_written, _number(site.entry_files_written, "search-entry file")),
        (site.upload_total, f"{site.upload_total} uploaded"),
        (site.corrections, _number(site.corrections, "correction")),
        (site.pruned, f"{site.pruned} pruned"),
    )
    said = [text for count, text in counts if count]
    if site.index_triggered:
        said.append("index accepted" if site.index_accepted else "index not accepted")
    if site.index_confirmed is not None:
        said.append("index confirmed" if site.index_confirmed else "index not confirmed")
    return ", ".join(said) or "nothing to do"


def _remarks(site: SiteResult) -> Iterator[str]:
    """Yield what is no failure, and somebody should know."""
    if site.skipped_items:
        counted = ", ".join(f"{n} {_plain(why)}" for why, n in sorted(site.skipped_items.items()))
        yield f"feed items skipped: {counted}"
    if site.renumbered:
        moved = _number(site.renumbered, "existing episode")
        yield f"renumbered: {moved}, whose public links are others now"
    if site.left_to_others:
        yield f"left to another process: {_number(site.left_to_others, 'episode')}"
    if site.superseded:
        files = _number(len(site.superseded), "file")
        yield f"{files} of older versions; --prune-superseded deletes them"
    if warnings := sum(each.warnings.count for each in site.outcomes.values()):
        yield f"{_number(warnings, 'warning')}, in the JSON"


def _failed(site: SiteResult, phase: Phase) -> int:
    outcome = site.outcomes.get(phase)
    return 0 if outcome is None else outcome.problems.count


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _plain(text: str) -> str:
    """Return a text as one line that no terminal acts on, without secrets."""
    return "".join(c if c.isprintable() else " " for c in redact_text(text))
