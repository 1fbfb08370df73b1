"""What is looked at before a local run begins: mistakes in settings that would end it half-way."""

import os

from pipelines.wildlife.commands.modes import Misconfigured
from pipelines.wildlife.document.checks import Request
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.weather.configuration import check_weather
from pipelines.wildlife.weather.static import load_static
from shared.errors import UsageError

_WITH_MODEL = ("yolo", "megadetector", "http")


def check_settings(settings: RunSettings) -> None:
    """Look at settings together; Misconfigured names every mistake."""
    problems: list[str] = []
    for check in (check_weather, _check_weather_file):
        try:
            check(settings)
        except UsageError as error:
            problems += str(error).splitlines()
    if settings.detector in _WITH_MODEL and not settings.model_uri:
        problems.append(f"detector {settings.detector!r} needs a model; give --model-uri")
    if problems:
        raise Misconfigured("\n".join(problems))


def _check_weather_file(settings: RunSettings) -> None:
    """Read it: a run would say of its mistakes only at its end, and go without weather."""
    if settings.weather_file is not None:
        load_static(settings.weather_file, settings.max_station_km)


def check_apart(request: Request) -> None:
    """Look where links lead; InvalidInput where results would lie among the pictures after all."""
    source, target = _real(request.source), _real(request.target)
    if source.overlaps(target):
        raise InvalidInput(
            f"output_uri {str(request.target)!r} leads to {target.prefix!r}, and input_uri "
            f"{str(request.source)!r} to {source.prefix!r}; neither may contain the other"
        )


def _real(place: Place) -> Place:
    if place.scheme != "file":
        return place
    return Place("file", "", f"{os.path.realpath(place.prefix)}/")
