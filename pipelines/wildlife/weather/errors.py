"""What can go wrong with a provider of weather. None of it ends a run.

    TransientError            PermanentError
      WeatherUnavailable        WeatherRefused     401, 403: nothing more is asked of the provider
        no answer, cut off,     WeatherNonsense    an answer that cannot be used
        429, 5xx

Messages never have a header, and no URL here has a secret in it.
"""

from shared.errors import PermanentError, SuiteError, TransientError


class WeatherError(SuiteError):
    """The common part: who was asked, and what came of it."""

    def __init__(self, provider: str, reason: str, *, retry_after: float = 0.0) -> None:
        self.provider = provider
        self.reason = reason
        self._retry_after = retry_after
        super().__init__(f"{provider!r} {reason}")

    @property
    def retry_after(self) -> float:
        """Seconds that the provider asked us to wait, 0 when it did not."""
        return self._retry_after


class WeatherUnavailable(WeatherError, TransientError):
    """It may answer when asked again."""


class WeatherRefused(WeatherError, PermanentError):
    """It does not serve us; someone has to look at key or contact."""


class WeatherNonsense(WeatherError, PermanentError):
    """It said something that no weather can be read from."""
