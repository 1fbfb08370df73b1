"""Step Functions as moto interprets them, with the casing that it has left out.

A definition names a service's members `JobName`; its API names them `jobName`. moto's copy of the
interpreter passes them on as they are, so that `batch:submitJob` fails there. botocore's own models
know the names.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import botocore.session
from botocore import xform_name
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
)

_POLL_SECONDS = 0.05
_CALLBACK = (
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service."
    "state_task_service_callback._DELAY_SECONDS_SYNC_CONDITION_CHECK"
)
"""Between two looks at a job that is waited for."""


@contextmanager
def right_casing() -> Iterator[None]:
    """Put the casing back, in both directions, and look at jobs more often."""
    service = state_task_service.StateTaskService
    with (
        patch.object(service, "_normalise_parameters", _to_request),
        patch.object(service, "_normalise_response", _from_response),
        patch(_CALLBACK, _POLL_SECONDS),
    ):
        yield


def _to_request(
    task: Any,
    parameters: Mapping[str, Any],
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    shape, _ = _shapes(
        task._get_boto_service_name(boto_service_name),
        task._get_boto_service_action(service_action_name),
    )
    if shape is not None:
        task._to_boto_request(parameters, shape)


def _from_response(
    task: Any,
    response: Any,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    _, shape = _shapes(
        task._get_boto_service_name(boto_service_name),
        task._get_boto_service_action(service_action_name),
    )
    if shape is not None:
        task._from_boto_response(response, shape)


@cache
def _shapes(service: str, action: str) -> tuple[Any, Any]:
    model = _session().get_service_model(service)
    for name in model.operation_names:
        if xform_name(name) == action:
            operation = model.operation_model(name)
            return operation.input_shape, operation.output_shape
    return None, None


@cache
def _session() -> Any:
    return botocore.session.get_session()
