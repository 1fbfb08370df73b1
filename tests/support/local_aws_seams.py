"""The private names of moto that `local_aws` replaces or reads, and whether they are there.

moto is pinned; whoever raises the pin is told here what has moved instead of by jobs that succeed
without having run.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

_STEPS = "moto.stepfunctions.parser.asl.component.state.exec.state_task.service"


@dataclass(frozen=True, slots=True)
class Seam:
    """A name of moto's, and the parameters that it has where it is a function."""

    module: str
    name: str
    parameters: tuple[str, ...] | None = None


SEAMS: Sequence[Seam] = (
    Seam(
        "moto.awslambda_simple.models",
        "LambdaSimpleBackend.invoke",
        ("self", "function_name", "qualifier", "body", "headers", "response_headers"),
    ),
    Seam(
        "moto.awslambda_simple.models",
        "LambdaSimpleBackend.get_function",
        ("self", "function_name_or_arn", "qualifier"),
    ),
    Seam(
        "moto.batch_simple.models",
        "BatchSimpleBackend._mark_job_as_finished",
        ("self", "include_start_attempt", "job"),
    ),
    Seam("moto.batch_simple.models", "BatchSimpleBackend.backend"),
    Seam("moto.batch.responses", "BatchResponse.submitjob", ("self",)),
    Seam("moto.batch.responses", "BatchResponse._get_param"),
    Seam("moto.batch.models", "Job._mark_stopped", ("self", "success")),
    Seam("moto.batch.models", "Job._start_attempt", ("self",)),
    Seam("moto.batch.models", "Job._stop_attempt", ("self",)),
    Seam("moto.batch.models", "Job._container_details", ("self",)),
    Seam("moto.batch.models", "Job.terminate", ("self", "reason")),
    Seam("moto.core.config", "default_user_config"),
    Seam("moto.stepfunctions.parser.asl.utils.boto_client", "moto_server_port", ()),
    Seam(
        f"{_STEPS}.state_task_service",
        "StateTaskService._normalise_parameters",
        ("self", "parameters", "boto_service_name", "service_action_name"),
    ),
    Seam(
        f"{_STEPS}.state_task_service",
        "StateTaskService._normalise_response",
        ("self", "response", "boto_service_name", "service_action_name"),
    ),
    Seam(
        f"{_STEPS}.state_task_service",
        "StateTaskService._to_boto_request",
        ("self", "parameters", "structure_shape"),
    ),
    Seam(
        f"{_STEPS}.state_task_service",
        "StateTaskService._from_boto_response",
        ("self", "response", "structure_shape"),
    ),
    Seam(f"{_STEPS}.state_task_service_callback", "_DELAY_SECONDS_SYNC_CONDITION_CHECK"),
)


def moved(seams: Sequence[Seam] = SEAMS) -> list[str]:
    """Say of each name that is not what it was, what it is now."""
    return [said for said in map(_difference, seams) if said]


def _difference(seam: Seam) -> str:
    where = f"{seam.module}.{seam.name}"
    try:
        found: Any = import_module(seam.module)
        for part in seam.name.split("."):
            found = inspect.getattr_static(found, part)
    except (ImportError, AttributeError):
        return f"{where} is gone"
    if seam.parameters is None:
        return ""
    if not callable(found):
        return f"{where} is no function any more"
    now = tuple(inspect.signature(found).parameters)
    return "" if now == seam.parameters else f"{where} takes {now}, not {seam.parameters}"
