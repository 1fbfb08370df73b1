"""Whether a bucket is worth a request now. Pure: the time is an argument.

A bucket that is missing or denied, or an endpoint that is down, must not cost a request for each of
a hundred thousand files. Files that are held back stay where they are; the next probe decides.

| state  | admits                     | success | refusal                | other failure      |
|--------|----------------------------|---------|------------------------|--------------------|
| open   | all                        | open    | closed; proven: by 5   | closed by 5 in row |
| closed | one, when its time is come | open    | closed                 | closed             |
| probe  | none, for another pause    | open    | closed, twice as long  | closed, twice      |

A probe may end without a word about the bucket: its file vanished or changed. The next file is the
probe then, after the pause that a failure would have cost.
"""

from dataclasses import dataclass, field
from enum import Enum

_FAILURES_MAX = 5
_LONGEST_SECONDS = 300.0
_DOUBLINGS_MAX = 16


class GateState(Enum):
    """Where a bucket stands."""

    OPEN = "open"
    CLOSED = "closed"
    PROBE = "probe"


@dataclass(slots=True)
class BucketGate:
    """One bucket's gate."""

    interval_seconds: float
    state: GateState = GateState.OPEN
    held_back: int = 0
    """Files not tried since the last report."""
    reason: str = ""
    code: str = ""
    _failures: int = 0
    _proven: bool = False
    _closings: int = 0
    _opens_at: float = field(default=0.0)

    def admits(self, now: float) -> bool:
        """Say whether a file may be tried at `now` (monotonic seconds); count one held back."""
        if self.state is GateState.OPEN:
            return True
        if now >= self._opens_at:
            self.state = GateState.PROBE
            self._opens_at = now + self._pause()
            return True
        self.held_back += 1
        return False

    def succeeded(self) -> bool:
        """Note that the bucket took something; say whether that opened the gate."""
        opened = self.state is not GateState.OPEN
        self.state = GateState.OPEN
        self._failures = self._closings = 0
        self._proven = True
        if not self.held_back:
            # Else the report that is still to come says why files were held back.
            self.reason = self.code = ""
        return opened

    def failed(self, code: str, reason: str, *, refusal: bool, now: float) -> bool:
        """Note a failure that is not the file's own; say whether the gate is closed now.

        A refusal (missing, denied) speaks for the bucket at once, unless the bucket has taken
        something before: then it may be about one prefix, and only a row of them closes.
        """
        self.code, self.reason = code, reason
        self._failures += 1
        at_once = self.state is GateState.PROBE or (refusal and not self._proven)
        if self.state is GateState.OPEN and not at_once and self._failures < _FAILURES_MAX:
            return False
        if self.state is not GateState.CLOSED:
            self._closings += 1
            self._opens_at = now + self._pause()
        self.state = GateState.CLOSED
        self._proven = False
        return True

    def hurry(self) -> None:
        """Let the next file probe at once: there is no later (spot interruption)."""
        self._opens_at = 0.0
        self._closings = 0

    def take_report(self) -> int:
        """Return the number of files held back and begin to count anew."""
        count, self.held_back = self.held_back, 0
        return count

    def _pause(self) -> float:
        doublings = min(max(self._closings - 1, 0), _DOUBLINGS_MAX)
        pause = min(_LONGEST_SECONDS, self.interval_seconds * 2.0**doublings)
        # Half an interval early, or the pass that should probe would come just too soon.
        return pause - min(pause, self.interval_seconds) / 2
