"""What moto's CloudFormation lacks for a stack with Batch and a state machine, put back.

- A compute environment without a role gets the one that AWS makes by itself for Batch.
- Batch's resources tell their ARN.
- Batch's resources and route tables are removed with their stack.
- A state machine's definition has what its substitutions say.
- A key takes the tags of its stack, and there are secrets.

Private names of moto are replaced: it is pinned, and what has moved fails loudly here.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

_BATCH_ROLE = "AWSServiceRoleForBatch"


@contextmanager
def closed_gaps() -> Iterator[None]:
    """Have moto do all of it while the block lasts."""
    # Imported late, as moto takes a second.
    from moto.batch.models import ComputeEnvironment, JobDefinition, JobQueue  # noqa: PLC0415
    from moto.cloudformation import parsing  # noqa: PLC0415
    from moto.ec2.models.route_tables import RouteTable  # noqa: PLC0415
    from moto.kms.models import Key  # noqa: PLC0415
    from moto.stepfunctions.models import StateMachine  # noqa: PLC0415

    make_environment = ComputeEnvironment.create_from_cloudformation_json
    make_machine = StateMachine.create_from_cloudformation_json
    make_key = Key.create_from_cloudformation_json

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

    def key(
        _class: Any, /, name: str, document: dict[str, Any], account: str, region: str, **more: Any
    ) -> Any:
        said = document["Properties"]
        said["Tags"] = [
            {"TagKey": one["Key"], "TagValue": one["Value"]} for one in said.get("Tags", [])
        ]
        return make_key(name, document, account, region, **more)

    made: tuple[tuple[Any, Any], ...] = (
        (ComputeEnvironment, environment),
        (StateMachine, machine),
        (Key, key),
    )
    of_batch: tuple[Any, ...] = (ComputeEnvironment, JobQueue, JobDefinition)
    types = {**parsing.get_model_map(), **_more()}
    changes: list[tuple[Any, str, Any]] = [
        *((kind, "create_from_cloudformation_json", classmethod(make)) for kind, make in made),
        (parsing, "get_model_map", lambda: types),
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


@cache
def _more() -> dict[str, Any]:
    """Return the resources that are not known at all, by their types."""
    from moto.core.common_models import CloudFormationModel  # noqa: PLC0415 - as above
    from moto.secretsmanager.models import secretsmanager_backends  # noqa: PLC0415 - as above

    class Secret(CloudFormationModel):
        """A secret with nothing in it."""

        def __init__(self, arn: str) -> None:
            self.physical_resource_id = arn

        @staticmethod
        def cloudformation_name_type() -> str:
            """Return the property that is its name."""
            return "Name"

        @staticmethod
        def cloudformation_type() -> str:
            """Return what templates call it."""
            return "AWS::SecretsManager::Secret"

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            """It has nothing to ask for but itself."""
            return False

        @classmethod
        def create_from_cloudformation_json(
            cls,
            resource_name: str,
            cloudformation_json: Any,
            account_id: str,
            region_name: str,
            **kwargs: Any,
        ) -> "Secret":
            """Make it."""
            said = cloudformation_json["Properties"]
            made = secretsmanager_backends[account_id][region_name].create_secret(
                name=said["Name"],
                secret_string=None,
                secret_binary=None,
                description=said.get("Description"),
                tags=said.get("Tags", []),
                kms_key_id=said.get("KmsKeyId"),
                client_request_token=None,
                replica_regions=[],
                force_overwrite=False,
            )
            return cls(json.loads(made)["ARN"])

        def delete(self, account: str, region: str) -> None:
            """Remove it at once, as CloudFormation does."""
            secretsmanager_backends[account][region].delete_secret(
                self.physical_resource_id,
                recovery_window_in_days=None,
                force_delete_without_recovery=True,
            )

    return {Secret.cloudformation_type(): Secret}


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
