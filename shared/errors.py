"""The root of every exception the suite raises, and the exit statuses they lead to.

    SuiteError
      TransientError        the next pass may succeed
        s3.errors.Throttled, Unreachable, ServerError, Conflict, ...
      PermanentError        someone must act
        UsageError          exit 2: an option, a configuration file or an input is wrong
        CredentialsMissing  exit 3: nobody to act as
        AlreadyRunning      exit 5: another instance holds the lock
        EndpointRefused     exit 6: endpoint or bucket unreachable or denied at start
        s3.errors.NotFound, BucketMissing, PreconditionFailed, AccessDenied, ...
      s3.errors.OutcomeUnknown   neither: read back before deciding

Those of s3.errors exit 6 where the endpoint or bucket is unreachable or denied, and 3 where the
credentials are to blame. A full disk is an OSError and exits 7.

A message says what failed with the value in `repr`, then `; ` and what to do.
"""

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """Exit statuses of every command; a contract with numbers of its own wins."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CREDENTIALS = 3
    PARTLY_DONE = 4
    LOCKED = 5
    UNREACHABLE = 6
    SAFETY_STOP = 7
    INTERRUPTED = 130


class SuiteError(Exception):
    """Anything the suite raises on purpose; a command that it ends exits with `status`."""

    status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED
    survivable: ClassVar[bool] = False
    """Whether a daemon logs a pass that ended in it and goes on with the next: what is wrong may
    be mended without touching the daemon."""

    @property
    def retry_after(self) -> float:
        """Seconds that a service asked us to wait, 0 when it did not."""
        return 0.0

    def note_attempts(self, attempts: int) -> None:
        """Remember how often it was tried, where log lines look for it."""


class TransientError(SuiteError):
    """It may work when tried again: wait, or leave it for the next pass."""

    survivable = True


class PermanentError(SuiteError):
    """It will fail again until someone acts."""


class UsageError(PermanentError):
    """Bad option, configuration or input; each line says what, where and what is allowed."""

    status = ExitStatus.USAGE


class CredentialsMissing(PermanentError):
    """There is nobody to act as; the message names the command that mends it."""

    status = ExitStatus.CREDENTIALS


class AlreadyRunning(PermanentError):
    """Another process holds the lock; the message says which."""

    status = ExitStatus.LOCKED


class EndpointRefused(PermanentError):
    """The endpoint or bucket cannot be reached or refuses us, and the command cannot go on."""

    status = ExitStatus.UNREACHABLE
