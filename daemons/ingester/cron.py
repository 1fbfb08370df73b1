"""When a cron expression wants a run: in local time, and once, whatever clocks do. Pure.

The expressions and what happens to them when summer time begins or ends are those of Debian's
cron: what falls into the hour that is left out is due at its end, what falls into the hour that
comes twice is due once.
"""

from datetime import UTC, datetime, tzinfo

_FIELDS = 5
_LONGEST = 200


class Schedule:
    """A cron expression of five fields; ValueError where it is none, or is never due."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > _LONGEST or len(text.split()) != _FIELDS:
            raise ValueError(
                "allowed: minute, hour, day of month, month and day of week, such as '0 8 * * *'"
            )
        self.next_after(datetime(2000, 1, 1, tzinfo=UTC))

    def next_after(self, moment: datetime) -> datetime:
        """Return when it is due next after an aware moment, in that moment's zone."""
        try:
            from cronsim import CronSim, CronSimError  # noqa: PLC0415 - an extra brings it
        except ImportError:
            raise ValueError(
                "cron expressions need the extra: pip install 'towpath[podcast]'"
            ) from None
        try:
            return next(CronSim(self.text, moment))
        except CronSimError as error:
            raise ValueError(f"it is no cron expression: {str(error).lower()}") from None
        except StopIteration:
            raise ValueError("no day of the next fifty years fits it") from None


class Timetable:
    """Tells when each run of a schedule begins; a run that was missed is made up for, once."""

    def __init__(self, schedule: Schedule, zone: tzinfo, last_attempt: datetime | None) -> None:
        """Begin with when a run was last begun, by whomever; None: never."""
        self._schedule = schedule
        self._zone = zone
        self._last_attempt = last_attempt

    def next_run(self, earliest: datetime) -> datetime:
        """Return when the next run begins, not before this moment."""
        # Only at the start: what falls into a run that lasts longer than its turn is not missed.
        since, self._last_attempt = self._last_attempt or earliest, None
        due = self._schedule.next_after(min(since, earliest).astimezone(self._zone))
        return max(due, earliest.astimezone(self._zone))
