"""What the settings say about weather, checked before a run begins; quick to import."""

from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.weather.choice import Configured, find_mistakes
from shared.errors import UsageError


def configured(settings: RunSettings) -> Configured:
    """Return what of the settings decides who is asked."""
    return Configured(
        chain=settings.weather,
        contact=settings.weather_contact.strip(),
        client_id=client_id_of(settings) != "",
        secret=settings.api_keys_secret != "",
        file=settings.weather_file is not None,
    )


def check_weather(settings: RunSettings) -> None:
    """Make sure that weather can be asked for as configured; UsageError, a line each mistake."""
    if mistakes := find_mistakes(configured(settings)):
        raise UsageError("\n".join(mistakes))


def client_id_of(settings: RunSettings) -> str:
    """Return the client id that the settings have; empty where they have none."""
    return settings.frost_client_id.get_secret_value().strip() if settings.frost_client_id else ""
