"""What is looked at before a local run begins: mistakes in settings that would end it half-way."""

from pipelines.wildlife.commands.modes import Misconfigured
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.weather.configuration import check_weather
from shared.errors import UsageError

_WITH_MODEL = ("yolo", "megadetector", "http")


def check_settings(settings: RunSettings) -> None:
    """Look at settings together; Misconfigured names every mistake."""
    problems: list[str] = []
    try:
        check_weather(settings)
    except UsageError as error:
        problems += str(error).splitlines()
    if settings.detector in _WITH_MODEL and not settings.model_uri:
        problems.append(f"detector {settings.detector!r} needs a model; give --model-uri")
    if problems:
        raise Misconfigured("\n".join(problems))
