"""Which module is which state; each is loaded when it is first run."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

from pipelines.wildlife.states.world import State

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "GuardBudget": "guard_budget",
        "Stage0Exif": "stage0_exif",
        "CostEstimation": "cost_estimation",
        "Stage2Post": "stage2_post",
        "WeatherEnrichment": "weather_enrichment",
        "WriteParquet": "write_parquet",
    }
)
"""The states that a function does, in their order, and their modules."""
DETECTION = "SubmitBatchStage1"
"""The state that a job does."""


def find_state(name: str) -> State:
    """Return the coroutine of a state; KeyError."""
    module = import_module(f"pipelines.wildlife.states.{FUNCTIONS[name]}")
    return cast("State", module.run)
