"""The parts of a wildlife stack at LocalStack, made one by one and as often as one likes.

Only what LocalStack offers without a plan is asked of it by CloudFormation's own names; where it
has no Batch, nothing of Batch is made, and `towpath wildlife run --mode localstack` looks for
animals on this machine instead.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from pipelines.wildlife.machine.definition import (
    FUNCTION_PLACEHOLDERS,
    JOB_DEFINITION,
    SPECIES,
    read_definition,
    substitute,
)
from pipelines.wildlife.states.index import FUNCTIONS
from shared.aws.calls import Answer, AwsCalls
from shared.errors import SuiteError
from shared.s3.errors import ObjectError

BUCKET = "towpath-wildlife-local"
_NAME = "dev-wildlife"
_MACHINE, _QUEUE, _JOB = f"{_NAME}-pipeline", f"{_NAME}-queue", f"{_NAME}-detector"
_ROLE = f"{_NAME}-local"
_RUNTIME, _HANDLER = "python3.12", "index.handler"
_MEMORY_MB = 1769
_TABLES = "write_parquet"
_SECONDS = {"stage0_exif": 900, "guard_budget": 60, "cost_estimation": 60}
_USUAL_SECONDS = 300
_ASSUMED = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {
                    "Service": [
                        f"{name}.amazonaws.com"
                        for name in ("lambda", "states", "batch", "ecs-tasks")
                    ]
                },
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


@dataclass(frozen=True, slots=True)
class LocalAccount:
    """LocalStack's account; every method can be called again and changes nothing then."""

    calls: AwsCalls
    aws_region: str
    image: str
    """Of the detection, where there is Batch."""

    async def deploy(self, packages: Path) -> Mapping[str, str]:
        """Make everything, and return what there is; `packages` holds the functions' zips."""
        await self._make_bucket()
        role = await self._make_role()
        functions = {
            state: await self._make_function(module, role, packages)
            for state, module in FUNCTIONS.items()
        }
        batch = await self.has_batch()
        if batch:
            await self._make_batch(role)
        machine = await self._make_machine(role, functions)
        detection = _QUEUE if batch else "no Batch here: animals are looked for on this machine"
        return {"bucket": BUCKET, "machine": machine, "detection": detection}

    async def has_batch(self) -> bool:
        """Tell whether LocalStack's plan has Batch."""
        try:
            await self.calls.send("batch", "describe_job_queues", maxResults=1)
        except SuiteError:
            return False
        return True

    async def destroy(self) -> None:
        """Remove what `deploy` has made; the bucket stays where there is something in it."""
        if machine := await self._machine_arn():
            await self.calls.send("stepfunctions", "delete_state_machine", stateMachineArn=machine)
        for module in FUNCTIONS.values():
            await self._find("lambda", "delete_function", FunctionName=_function(module))
        await self._find("iam", "delete_role", RoleName=_ROLE)
        if await self._has_bucket():
            held = await self.calls.send("s3", "list_objects_v2", Bucket=BUCKET, MaxKeys=1)
            if not held.get("KeyCount"):
                await self.calls.send("s3", "delete_bucket", Bucket=BUCKET)

    async def list_all(self) -> Mapping[str, list[str]]:
        """Return what there is: machines, functions, queues and the last executions."""
        machines = await self.calls.send("stepfunctions", "list_state_machines")
        functions = await self.calls.send("lambda", "list_functions")
        found = {
            "state machines": [each["name"] for each in machines["stateMachines"]],
            "functions": [each["FunctionName"] for each in functions["Functions"]],
            "queues": [],
            "executions": [],
        }
        if await self.has_batch():
            queues = await self.calls.send("batch", "describe_job_queues")
            found["queues"] = [each["jobQueueName"] for each in queues["jobQueues"]]
        if machine := await self._machine_arn():
            last = await self.calls.send(
                "stepfunctions", "list_executions", stateMachineArn=machine, maxResults=10
            )
            found["executions"] = [f"{one['name']} {one['status']}" for one in last["executions"]]
        return found

    async def _make_bucket(self) -> None:
        if await self._has_bucket():
            return
        place = {"LocationConstraint": self.aws_region}
        more = {} if self.aws_region == "us-east-1" else {"CreateBucketConfiguration": place}
        await self.calls.send("s3", "create_bucket", Bucket=BUCKET, **more)

    async def _has_bucket(self) -> bool:
        listed = await self.calls.send("s3", "list_buckets")
        return BUCKET in [each["Name"] for each in listed["Buckets"]]

    async def _make_role(self) -> str:
        role = await self._find("iam", "get_role", RoleName=_ROLE) or await self.calls.send(
            "iam", "create_role", RoleName=_ROLE, AssumeRolePolicyDocument=_ASSUMED
        )
        return str(role["Role"]["Arn"])

    async def _make_function(self, module: str, role: str, packages: Path) -> str:
        name = _function(module)
        package = "tables.zip" if module == _TABLES else "states.zip"
        key = f"functions/{packages.name}/{package}"
        body = await anyio.to_thread.run_sync((packages / package).read_bytes)
        await self.calls.send("s3", "put_object", Bucket=BUCKET, Key=key, Body=body)
        configuration = {
            "Role": role,
            "Runtime": _RUNTIME,
            "Handler": _HANDLER,
            "Timeout": _SECONDS.get(module, _USUAL_SECONDS),
            "MemorySize": _MEMORY_MB,
            "Environment": {"Variables": _variables(module)},
        }
        code = {"S3Bucket": BUCKET, "S3Key": key}
        if await self._find("lambda", "get_function", FunctionName=name) is None:
            made = await self.calls.send(
                "lambda", "create_function", FunctionName=name, Code=code, **configuration
            )
            return str(made["FunctionArn"])
        await self.calls.send("lambda", "update_function_code", FunctionName=name, **code)
        made = await self.calls.send(
            "lambda", "update_function_configuration", FunctionName=name, **configuration
        )
        return str(made["FunctionArn"])

    async def _make_batch(self, role: str) -> None:
        queues = await self.calls.send("batch", "describe_job_queues", jobQueues=[_QUEUE])
        if not queues["jobQueues"]:
            environment = await self.calls.send(
                "batch",
                "create_compute_environment",
                computeEnvironmentName=f"{_NAME}-compute",
                type="UNMANAGED",
                state="ENABLED",
                serviceRole=role,
            )
            order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
            await self.calls.send(
                "batch",
                "create_job_queue",
                jobQueueName=_QUEUE,
                state="ENABLED",
                priority=1,
                computeEnvironmentOrder=order,
            )
        await self.calls.send(
            "batch",
            "register_job_definition",
            jobDefinitionName=_JOB,
            type="container",
            containerProperties={
                "image": self.image,
                "jobRoleArn": role,
                "resourceRequirements": [
                    {"type": "VCPU", "value": "2"},
                    {"type": "MEMORY", "value": "3584"},
                ],
            },
        )

    async def _make_machine(self, role: str, functions: Mapping[str, str]) -> str:
        values = {FUNCTION_PLACEHOLDERS[state]: arn for state, arn in functions.items()}
        definition = substitute(read_definition(), {**values, JOB_DEFINITION: _JOB, SPECIES: ""})
        if machine := await self._machine_arn():
            await self.calls.send(
                "stepfunctions",
                "update_state_machine",
                stateMachineArn=machine,
                definition=definition,
                roleArn=role,
            )
            return machine
        made = await self.calls.send(
            "stepfunctions",
            "create_state_machine",
            name=_MACHINE,
            definition=definition,
            roleArn=role,
        )
        return str(made["stateMachineArn"])

    async def _machine_arn(self) -> str:
        listed = await self.calls.send("stepfunctions", "list_state_machines")
        found = [one for one in listed["stateMachines"] if one["name"] == _MACHINE]
        return str(found[0]["stateMachineArn"]) if found else ""

    async def _find(self, service: str, operation: str, **arguments: object) -> Answer | None:
        """Look something up; None where it is not there."""
        try:
            return await self.calls.send(service, operation, **arguments)
        except ObjectError as error:
            if error.code not in _ABSENT:
                raise
            return None


_ABSENT = frozenset({"NoSuchEntity", "ResourceNotFoundException"})


def _function(module: str) -> str:
    return f"{_NAME}-{module.replace('_', '-')}"


def _variables(module: str) -> Mapping[str, str]:
    queue = {f"TOWPATH_WILDLIFE_JOB_QUEUE_{kind}": _QUEUE for kind in ("SPOT", "ON_DEMAND")}
    return {**queue, "WILDLIFE_STATE": module}
