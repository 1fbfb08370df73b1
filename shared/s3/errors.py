"""What can go wrong with an object, in the suite's own words.

    TransientError                    PermanentError                   beside both
      Throttled        503, 429         NotFound            404          OutcomeUnknown
      Unreachable      no connection    BucketMissing       404
      ServerError      5xx              PreconditionFailed  412
      Conflict         409              AccessDenied        403
      CredentialsExpired                InvalidKey
      ChecksumMismatch BadDigest        TooLarge            EntityTooLarge
                                        Unsupported         501, ...
                                        SourceChanged       the file is another one now
                                        CertificateInvalid

Every one carries the URI, the service's code, the HTTP status, the request id and the number of
attempts that were made, so that a log line needs nothing else.

A command that ends in one exits with 6 (unreachable, denied, no such bucket), 3 (credentials) or 1.
A daemon outlives every transient one, OutcomeUnknown, AccessDenied and BucketMissing: a policy or
a bucket is mended from outside.
"""

from dataclasses import dataclass, replace

from shared.errors import ExitStatus, PermanentError, SuiteError, TransientError
from shared.s3.uri import S3Uri


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about the request that failed; empty fields mean that no answer came."""

    code: str = ""
    message: str = ""
    status: int = 0
    request_id: str = ""
    attempts: int = 1
    retry_after: float = 0.0
    """Seconds the service asked us to wait, 0 when it did not."""


class ObjectError(SuiteError):
    """The common part of every error about an object."""

    def __init__(self, uri: S3Uri, answer: Answer = Answer(), note: str = "") -> None:
        self.uri = uri
        self.answer = answer
        said = " ".join(part for part in (answer.code, answer.message) if part)
        super().__init__(f"{uri}: {note or said or type(self).__name__}")

    @property
    def code(self) -> str:
        """The service's own error code, or the name of this class when there was no answer."""
        return self.answer.code or type(self).__name__

    @property
    def retry_after(self) -> float:
        """Seconds that the service asked us to wait, 0 when it did not."""
        return self.answer.retry_after

    def note_attempts(self, attempts: int) -> None:
        """Remember how often it was tried."""
        self.answer = replace(self.answer, attempts=attempts)


class Throttled(ObjectError, TransientError):
    """The service asked us to slow down."""

    status = ExitStatus.UNREACHABLE


class Unreachable(ObjectError, TransientError):
    """No connection, or no whole answer to a request that may be repeated at will."""

    status = ExitStatus.UNREACHABLE


class ServerError(ObjectError, TransientError):
    """The service failed (5xx) and says so."""

    status = ExitStatus.UNREACHABLE


class Conflict(ObjectError, TransientError):
    """Another writer is busy with the same key (409)."""


class CredentialsExpired(ObjectError, TransientError):
    """The token is too old; a refreshed one may do."""

    status = ExitStatus.CREDENTIALS


class ChecksumMismatch(ObjectError, TransientError):
    """What arrived is not what was sent: BadDigest, or another checksum in the answer."""


class NotFound(ObjectError, PermanentError):
    """There is no object under the key."""


class BucketMissing(ObjectError, PermanentError):
    """There is no such bucket."""

    status = ExitStatus.UNREACHABLE
    survivable = True


class PreconditionFailed(ObjectError, PermanentError):
    """The object is not in the state that the request required (412)."""


class AccessDenied(ObjectError, PermanentError):
    """We are known and not allowed."""

    status = ExitStatus.UNREACHABLE
    survivable = True


class InvalidKey(ObjectError, PermanentError):
    """The key cannot be sent exactly as it is; it is never rewritten."""


class TooLarge(ObjectError, PermanentError):
    """The service takes no object or part of this size."""


class Unsupported(ObjectError, PermanentError):
    """The service does not know a feature that the request needs."""


class SourceChanged(ObjectError, PermanentError):
    """The local file is not the one that was pinned; the next scan will find what it is now."""


class CertificateInvalid(ObjectError, PermanentError):
    """The endpoint's certificate is not trusted."""

    status = ExitStatus.UNREACHABLE


class OutcomeUnknown(ObjectError):
    """Sent, and no whole answer came: it may have been carried out. Read back."""

    status = ExitStatus.UNREACHABLE
    survivable = True
