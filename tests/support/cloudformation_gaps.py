"""What moto's CloudFormation lacks for a stack with Batch and a state machine, put back.

- A compute environment without a role gets the one that AWS makes by itself for Batch.
- Batch's resources tell their ARN.
- Batch's resources and route tables are removed with their stack.
- A state machine's definition has what its substitutions say.

Private names of moto are replaced: it is pinned, and what has moved fails loudly here.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

_BATCH_ROLE = "AWSServiceRoleForBatch"


@contextmanager
def closed_gaps() -> Iterator[None]:
    """Have moto do all of it while the block lasts."""
    # Imported late, as moto takes a second.
    from moto.batch.models import ComputeEnvironment, JobDefinition, JobQueue  # noqa: PLC0415
    from moto.ec2.models.route_tables import RouteTable  # noqa: PLC0415
    from moto.stepfunctions.models import StateMachine  # noqa: PLC0415

    make_environment = ComputeEnvironment.create_from_cloudformation_json
    make_machine = StateMachine.create_from_cloudformation_json

    def environment(
        _class: Any, /, name: str, document: dict[str, Any], account: str, region: str, **more: Any
    ) -> Any:
        document["Properties"].setdefault("ServiceRole", _service_role(account))
        return make_environment(name, document, account, region, **more)

    def machine(
        _class: Any, /, name: str, document: dict[str, Any], account: str, region: str, **more: Any
    ) -> Any:
        said = document["Properties"]
        known = said.get("DefinitionSubstitutions", {})
        said["DefinitionString"] = re.sub(
            r"\$\{(\w+)\}",
            lambda found: str(known.get(found[1], found[0])),
            said["DefinitionString"],
        )
        return make_machine(name, document, account, region, **more)

    made: tuple[tuple[Any, Any], ...] = ((ComputeEnvironment, environment), (StateMachine, machine))
    of_batch: tuple[Any, ...] = (ComputeEnvironment, JobQueue, JobDefinition)
    changes: list[tuple[Any, str, Any]] = [
        *((kind, "create_from_cloudformation_json", classmethod(make)) for kind, make in made),
        *((kind, "get_cfn_attribute", _attribute) for kind in of_batch),
        *((kind, "has_cfn_attr", classmethod(_has_attribute)) for kind in of_batch),
        *(
            (kind, "delete_from_cloudformation_json", classmethod(_delete))
            for kind in (*of_batch, RouteTable)
        ),
    ]
    with ExitStack() as stack:
        for kind, name, value in changes:
            stack.enter_context(patch.object(kind, name, value, create=True))
        yield


def _has_attribute(_class: Any, /, name: str) -> bool:
    return name.endswith("Arn")


def _attribute(resource: Any, name: str) -> Any:
    assert name.endswith("Arn"), f"{name} of {resource} is not known here"
    return resource.arn


def _delete(kind: Any, /, name: str, _document: dict[str, Any], account: str, region: str) -> None:
    from moto.batch.models import batch_backends  # noqa: PLC0415 - as above
    from moto.ec2.models import ec2_backends  # noqa: PLC0415 - as above

    batch = batch_backends[account][region]
    kept: dict[str, Any] = {
        "ComputeEnvironment": batch._compute_environments,
        "JobQueue": batch._job_queues,
        "JobDefinition": batch._job_definitions,
        "RouteTable": ec2_backends[account][region].route_tables,
    }
    # By its physical name; what is not there any more is removed.
    kept[kind.__name__].pop(name, None)


def _service_role(account: str) -> str:
    from moto.iam.models import iam_backends  # noqa: PLC0415 - as above

    iam = iam_backends[account]["aws"]
    found = [each for each in iam.roles.values() if each.name == _BATCH_ROLE]
    made = (
        found[0]
        if found
        else iam.create_role(
            role_name=_BATCH_ROLE,
            assume_role_policy_document="{}",
            path="/aws-service-role/batch.amazonaws.com/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )
    )
    return str(made.arn)
