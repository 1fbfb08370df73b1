"""When a run was last begun, when one was last complete, and how many have failed since.

`interval.json` in the state folder has the three values under the names that people's guards know,
in milliseconds, and for each site when it was last part of a complete run. It only saves work:
where it cannot be read a run is due.

| a run ends                              | it counts as | failures in a row | sites' times |
|-----------------------------------------|--------------|-------------------|--------------|
| every phase at worst `partial`          | complete     | 0                 | its start    |
| the same, confined by options           | attempt      | 0                 | of its own   |
| a site or a phase failed or was blocked | failure      | one more          | as they were |
| it could not begin at all               | failure      | one more          | as they were |
| a signal ended it                       | attempt      | as before         | as they were |

A run that was confined (`--local-only`, `--skip-s3-sync`, `--max-episodes 3`) puts off those that
are confined in the same way and no others: its time stands under the site and those options.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemons.ingester.runs.results import RunResult
from shared.files import write_durably

INTERVAL_NAME = "interval.json"
REPEATED_FAILURES = 4
"""So many in a row are no accident."""

_MILLISECONDS = 1000
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_REMEMBERED = timedelta(days=366)
"""No interval is longer than a year, so that older times decide nothing."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known of the runs so far."""

    last_success_at: datetime | None = None
    """When the last complete run began."""
    last_attempt_at: datetime | None = None
    failures: int = 0
    """How many have failed in a row."""
    sites: Mapping[str, datetime] = field(default_factory=dict)
    """When the last complete run began that each site was part of; of a confined one under the
    site's id, a blank and its options."""

    def due_at(
        self, wanted: Collection[str], least: timedelta, now: datetime, confined_by: str = ""
    ) -> datetime:
        """Return when a run of these sites, so confined, is due; `now` where it is."""
        never = now - least
        at = min((self._last(site, confined_by) or never for site in wanted), default=never)
        # A clock that was set back must not put a run off for years.
        return max(now, at + least) if at <= now else now

    def begun(self, at: datetime) -> "Interval":
        """Return it as it is once a run has begun."""
        return replace(self, last_attempt_at=at)

    def refused(self, at: datetime) -> "Interval":
        """Return it as it is after a run that could not begin."""
        return replace(self, last_attempt_at=at, failures=self.failures + 1)

    def ended(self, result: RunResult, confined_by: str = "") -> "Interval":
        """Return it as it is after a run, which these options confined."""
        began = result.started_at
        attempted = replace(self, last_attempt_at=began)
        if result.interrupted:
            return attempted
        if not result.is_complete:
            return replace(attempted, failures=self.failures + 1)
        sites = {name: at for name, at in self.sites.items() if began - at < _REMEMBERED}
        sites |= {_name(site.site_id, confined_by): began for site in result.sites}
        return Interval(self.last_success_at if confined_by else began, began, 0, sites)

    def _last(self, site: str, confined_by: str) -> datetime | None:
        """Return when a complete run of a site began that did what one so confined does."""
        names = {site, _name(site, confined_by)}
        return max((self.sites[name] for name in names & self.sites.keys()), default=None)


def load_interval(folder: Path) -> Interval:
    """Read what is known; nothing where there is no file, or none that makes sense."""
    try:
        found = json.loads((folder / INTERVAL_NAME).read_bytes())
        sites = found.get("siteSuccessTimestamps", {})
        return Interval(
            _moment(found["lastSuccessTimestamp"]),
            _moment(found["lastAttemptTimestamp"]),
            max(0, int(found["consecutiveFailures"])),
            {str(site): at for site, value in sites.items() if (at := _moment(value))},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Interval()


def save_interval(folder: Path, interval: Interval) -> None:
    """Write it, whole or not at all."""
    document = {
        "lastSuccessTimestamp": _milliseconds(interval.last_success_at),
        "lastAttemptTimestamp": _milliseconds(interval.last_attempt_at),
        "consecutiveFailures": interval.failures,
        "siteSuccessTimestamps": {
            site: _milliseconds(at) for site, at in sorted(interval.sites.items())
        },
    }
    write_durably(folder / INTERVAL_NAME, json.dumps(document, indent=2).encode() + b"\n")


def _name(site: str, confined_by: str) -> str:
    return f"{site} {confined_by}".rstrip()


def _moment(milliseconds: object) -> datetime | None:
    """Read a moment; ValueError or TypeError where it is none, None for 0 and null."""
    if not milliseconds:
        return None
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise TypeError(f"{milliseconds!r} is no number of milliseconds")
    if not 0 <= milliseconds <= _LATEST.timestamp() * _MILLISECONDS:
        raise ValueError(f"{milliseconds!r} is no moment of this age")
    return datetime.fromtimestamp(milliseconds / _MILLISECONDS, UTC)


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * _MILLISECONDS)
