"""What can go wrong with a URL, in two kinds: try again, or someone must act.

    TransientError             PermanentError
      WebUnavailable             WebRefused
        timeouts, resets, DNS      other statuses, a refused address, too many redirects
        a body cut off             larger than allowed, an error page instead of audio
        429, 5xx                   a certificate that does not fit, a URL that is none

Messages show a URL without its query: a private feed has its token there, a signed one its
signature.
"""

from urllib.parse import urlsplit

from shared.errors import PermanentError, SuiteError, TransientError

_LONGEST = 500


class WebError(SuiteError):
    """The common part: which URL, what was answered, and in a word why it is an error."""

    def __init__(self, url: str, reason: str, *, status: int = 0, retry_after: float = 0.0) -> None:
        self.url = url
        self.reason = reason
        self.http_status = status
        """What was answered, 0 where nothing was."""
        self.attempts = 1
        self._retry_after = retry_after
        super().__init__(f"{shown(url)!r} {reason}")

    @property
    def retry_after(self) -> float:
        """Seconds that the server asked us to wait, 0 when it did not."""
        return self._retry_after

    def note_attempts(self, attempts: int) -> None:
        """Remember how often it was tried."""
        self.attempts = attempts


class WebUnavailable(WebError, TransientError):
    """It may work when tried again."""


class WebRefused(WebError, PermanentError):
    """It will fail again, in this run at least."""


def shown(url: str) -> str:
    """Return a URL for people: no user, no password, no query."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return "a URL that cannot be read"
    host = parts.netloc.rpartition("@")[2]
    query = "?..." if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"[:_LONGEST]
