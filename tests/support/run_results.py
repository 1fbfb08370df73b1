"""Results of runs of the ingester, as tests need them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from daemons.ingester.phases.outcome import Outcome, Phase
from daemons.ingester.runs.results import RunResult, SiteResult

AT = datetime(2026, 11, 21, 8, 0, 3, 412_000, tzinfo=UTC)


def outcome(*failed: tuple[str, str], fatal: str = "", skipped: str = "") -> Outcome:
    """Return a phase's outcome in which these items failed, each with its reason."""
    made = Outcome(fatal=fatal, skipped=skipped)
    for item, reason in failed:
        made.problems.add(item, reason)
    return made


def site_result(site_id: str, outcomes: Mapping[Phase, Outcome] | None = None) -> SiteResult:
    """Return a site's result, by default one in which all is well."""
    given = {Phase.RSS: Outcome()} if outcomes is None else outcomes
    return SiteResult(site_id, site_id.title(), dict(given))


def run_result(
    *sites: SiteResult, at: datetime = AT, seconds: float = 75, interrupted: bool = False
) -> RunResult:
    """Return a run's result."""
    return RunResult(at, at + timedelta(seconds=seconds), sites, interrupted=interrupted)


def good_run(*site_ids: str, at: datetime = AT) -> RunResult:
    """Return a run in which all was well."""
    return run_result(*map(site_result, site_ids or ("hardfork",)), at=at)


def partial_run() -> RunResult:
    """Return a run that is complete, though a download failed."""
    phases = {Phase.RSS: outcome(("hard-fork/a", "HTTP 404"))}
    return run_result(site_result("hardfork", phases))


def failed_run(at: datetime = AT) -> RunResult:
    """Return a run in which a phase of one of two sites failed."""
    phases = {Phase.PRE_SYNC: outcome(fatal="the role was refused")}
    return run_result(site_result("hardfork", phases), site_result("naddpod"), at=at)
