"""When the next full scan is due. Pure: time is always an argument, in monotonic seconds."""

_ARMING_PATIENCE_SECONDS = 0.5
_REST_PER_WORK = 4.0


class Timetable:
    """Decides when to scan.

    | situation                         | the next scan is due                                  |
    |-----------------------------------|-------------------------------------------------------|
    | asked for                         | at once                                               |
    | the root has just appeared        | once events are listened to or refused, at the latest |
    |                                   | half a second later                                   |
    | anything may have changed         | at once, after a rest                                 |
    | no events                         | `polling_seconds` after the last began, after a rest  |
    | else                              | `interval_seconds` after the last began, after a rest |

    The rest is four times what the last scan took to walk, at most one interval, so that scanning a
    huge tree leaves most of a processor alone whatever the reason to scan.
    """

    def __init__(self, interval_seconds: float, polling_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._polling_seconds = min(interval_seconds, polling_seconds)
        self._asked = False
        self._appeared_at: float | None = None
        self._began_at = 0.0
        self._rested_at = 0.0

    @property
    def expects_first(self) -> bool:
        """Whether the next scan is the first of this root."""
        return self._appeared_at is not None

    def root_appeared(self, now: float) -> None:
        """A root is there that was not scanned yet."""
        self._appeared_at = now

    def ask(self) -> None:
        """Somebody wants a scan now."""
        self._asked = True

    def began(self, now: float) -> None:
        """A scan begins."""
        self._asked = False
        self._appeared_at = None
        self._began_at = now

    def ended(self, now: float, working_seconds: float) -> None:
        """The scan has ended."""
        self._rested_at = now + min(_REST_PER_WORK * working_seconds, self._interval_seconds)

    def due_at(self, *, has_events: bool, events_tried: bool, anything_changed: bool) -> float:
        """When the next scan is due; a moment in the past means now."""
        if self._asked:
            return 0.0
        if self._appeared_at is not None:
            return self._appeared_at + (0 if events_tried else _ARMING_PATIENCE_SECONDS)
        if anything_changed:
            return self._rested_at
        interval_seconds = self._interval_seconds if has_events else self._polling_seconds
        return max(self._began_at + interval_seconds, self._rested_at)
