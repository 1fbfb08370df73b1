"""Numbers of a run for CloudWatch, in a line that it takes out of a function's log. Pure.

The form is CloudWatch's embedded metric format: no request, no permission, nothing that can fail.

| metric                | from                                                  |
|-----------------------|-------------------------------------------------------|
| `EstimatedCostDkk`    | GuardBudget: `estimated_total_dkk`                    |
| `ImagesProcessed`     | Stage0Exif                                            |
| `ObservationsCreated` | Stage2Post                                            |
| `WeatherCalls`        | WeatherEnrichment                                     |
| `StageSeconds`        | every function                                        |
| `RunFailed`           | 0 from WriteParquet; 1 where a function raised        |

A failed try counts even if the next one goes well, and a detection that fails is not seen here: the
alarm on executions that failed is the service's own.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

NAMESPACE = "WildlifePipeline"
_FIGURES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "GuardBudget": ("EstimatedCostDkk", ("estimated_total_dkk",)),
        "Stage0Exif": ("ImagesProcessed", ("stage0_results", "processed_images")),
        "Stage2Post": ("ObservationsCreated", ("stage2_results", "observations_created")),
        "WeatherEnrichment": ("WeatherCalls", ("weather_results", "weather_calls")),
    }
)
_LAST = "WriteParquet"


def metrics_line(
    state: str,
    environment: str,
    payload: Mapping[str, object],
    seconds: float,
    milliseconds: int,
) -> str:
    """Return the line of a state that is done; `milliseconds` is the time of the epoch."""
    numbers: dict[str, float] = {"StageSeconds": round(seconds, 3)}
    name, path = _FIGURES.get(state, ("", ()))
    figure = _figure(payload, path)
    if figure is not None:
        numbers[name] = figure
    if state == _LAST:
        numbers["RunFailed"] = 0
    return _line(state, environment, payload.get("session_id"), numbers, milliseconds)


def failed_line(state: str, environment: str, milliseconds: int) -> str:
    """Return the line of a state that raised an error."""
    return _line(state, environment, None, {"RunFailed": 1}, milliseconds)


def _figure(payload: Mapping[str, object], path: tuple[str, ...]) -> float | None:
    found: object = payload
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if path and isinstance(found, int | float) else None


def _line(
    state: str,
    environment: str,
    session: object,
    numbers: Mapping[str, float],
    milliseconds: int,
) -> str:
    units = {"StageSeconds": "Seconds", "EstimatedCostDkk": "None"}
    named = [{"Name": name, "Unit": units.get(name, "Count")} for name in numbers]
    about = {"Namespace": NAMESPACE, "Dimensions": [["Environment"]], "Metrics": named}
    document = {
        "_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [about]},
        "Environment": environment,
        "State": state,
        "session_id": session,
        **numbers,
    }
    return json.dumps(document)
