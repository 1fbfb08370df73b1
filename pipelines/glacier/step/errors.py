"""What may go wrong with one scene or one region; the others go on."""

from collections.abc import Mapping
from typing import Final

from shared.errors import ExitStatus, PermanentError, SuiteError, TransientError

LOST: Final = (SuiteError, OSError, MemoryError)
"""What ends one scene or one region, and nothing else: a mistake of ours ends the step."""
STATUSES: Final[Mapping[int, int]] = {
    status: ExitStatus.UNEXPECTED for status in ExitStatus if status > ExitStatus.USAGE
}
"""A contract with three numbers: a full disk and an interruption are failures."""


class StepFailed(PermanentError):
    """A scene, or a region, cannot be done, and trying again at once would not help."""


class SourceUnavailable(TransientError):
    """A server did not give what it has; it may do so when it is asked again."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self._retry_after = retry_after

    @property
    def retry_after(self) -> float:
        """Seconds that the server asked us to wait."""
        return self._retry_after


def told(error: BaseException) -> str:
    """Return an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
