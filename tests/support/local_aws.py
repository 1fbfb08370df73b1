"""An AWS on loopback in one process: what is invoked, submitted or executed really runs.

moto keeps the control planes; a function's handler runs under AWS's own runtime client in a process
of its own, a job's command in another, and Step Functions are interpreted and call both.

    with open_local_aws(moto_server, tmp_path, images={"towpath:1": GLACIER_IMAGE}) as aws:
        aws.add_function("glacier-processing", "towpath:1")
        aws.client("lambda").invoke(FunctionName="glacier-processing", Payload=b"{}")
        aws.wait()

Not here: ECS tasks (moto's own stay RUNNING), array jobs, dependencies of jobs; JSONata, variables
and nested executions of Step Functions.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from unittest.mock import patch

import botocore.session
from botocore.config import Config

from tests.support.local_aws_batch import Jobs
from tests.support.local_aws_functions import Functions, Invoked, deployed
from tests.support.local_aws_lambda import Outcome
from tests.support.local_aws_sandbox import Image
from tests.support.moto_server import MotoServer

REGION = "us-west-2"
ROLE = "arn:aws:iam::123456789012:role/local"
_LIMIT_SECONDS = 60.0
_FUNCTION_SECONDS = 900
"""The longest time limit of a function."""
_LOOK_SECONDS = 0.02
"""Between two looks at an execution, of which nothing else tells the end."""
_ASSUMED = json.dumps({"Version": "2012-10-17", "Statement": []})


class LocalAws:
    """The account; made by `open_local_aws`."""

    def __init__(
        self, server: MotoServer, images: Mapping[str, Image], functions: Functions, jobs: Jobs
    ) -> None:
        self.url = server.url
        self.images = images
        self.jobs = jobs
        self.functions = functions
        self._environment = server.environment(REGION)

    @property
    def invoked(self) -> Sequence[Invoked]:
        """Every event that a function has handled, in the order of their ends."""
        return tuple(self.functions.invoked)

    def environment(self) -> dict[str, str]:
        """Return the variables with which any AWS client talks to this account."""
        return dict(self._environment)

    def client(self, service: str) -> Any:
        """Return a client of the account, one that waits for long functions."""
        return _client(self.url, service)

    def add_function(
        self,
        name: str,
        image: str,
        *,
        timeout: int = 60,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Create a function from an image; `timeout` in seconds."""
        role = self._role("lambda-glacier-execution-role")
        self.client("lambda").create_function(
            FunctionName=name,
            Role=role,
            PackageType="Image",
            Code={"ImageUri": image},
            Timeout=timeout,
            MemorySize=10240,
            EphemeralStorage={"Size": 10240},
            Environment={"Variables": dict(variables or {})},
        )

    def add_job_queue(self, name: str) -> None:
        """Create a queue, and the compute environment behind it."""
        batch = self.client("batch")
        environment = batch.create_compute_environment(
            computeEnvironmentName=f"{name}-environment",
            type="UNMANAGED",
            state="ENABLED",
            serviceRole=self._role("batch-service"),
        )["computeEnvironmentArn"]
        batch.create_job_queue(
            jobQueueName=name,
            state="ENABLED",
            priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
        )

    def add_job_definition(
        self,
        name: str,
        image: str,
        *,
        command: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Register a job definition; without a command, the image's own runs."""
        environment = [{"name": key, "value": value} for key, value in (variables or {}).items()]
        self.client("batch").register_job_definition(
            jobDefinitionName=name,
            type="container",
            containerProperties={
                "image": image,
                "command": list(command),
                "environment": environment,
                "resourceRequirements": [
                    {"type": "VCPU", "value": "2"},
                    {"type": "MEMORY", "value": "8192"},
                ],
            },
        )

    def execute(
        self, definition: Mapping[str, Any], given: Mapping[str, Any], name: str = "run"
    ) -> Any:
        """Execute a definition to its end, and return what DescribeExecution says of it."""
        steps = self.client("stepfunctions")
        machine = steps.create_state_machine(
            name=f"machine-{name}",
            definition=json.dumps(definition),
            roleArn=self._role("states"),
        )["stateMachineArn"]
        # Without a name, moto's executions all have the same ARN.
        execution = steps.start_execution(
            stateMachineArn=machine, name=name, input=json.dumps(given)
        )["executionArn"]
        return self.await_execution(execution)

    def await_execution(self, execution: str, seconds: float = _LIMIT_SECONDS) -> Any:
        """Wait for the end of an execution, and return what DescribeExecution says of it."""
        steps = self.client("stepfunctions")
        until = monotonic() + seconds
        while (said := steps.describe_execution(executionArn=execution))["status"] == "RUNNING":
            if monotonic() > until:
                raise TimeoutError(f"{execution} has not ended in {seconds:g} s")
            sleep(_LOOK_SECONDS)
        return said

    def wait(self, seconds: float = _LIMIT_SECONDS) -> None:
        """Wait until everything that was accepted has been done; raises TimeoutError."""
        self.functions.wait(seconds)
        self.jobs.wait(seconds)

    def _role(self, name: str) -> str:
        iam = self.client("iam")
        try:
            role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_ASSUMED)
        except iam.exceptions.EntityAlreadyExistsException:
            role = iam.get_role(RoleName=name)
        arn: str = role["Role"]["Arn"]
        return arn


@cache
def _client(url: str, service: str) -> Any:
    """Make a client once for all tests: parsing what it knows of its service takes long."""
    return _session().create_client(
        service,
        endpoint_url=url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=_FUNCTION_SECONDS),
    )


@cache
def _session() -> Any:
    # Nothing of the person who runs it: no profile, no file of theirs.
    nothing = dict.fromkeys(("profile", "config_file"), (None, None, None, None))
    return botocore.session.Session(nothing)


@contextmanager
def open_local_aws(
    server: MotoServer,
    folder: Path,
    *,
    images: Mapping[str, Image] | None = None,
    environ: Mapping[str, str] | None = None,
    at_a_time: int = 2,
) -> Iterator[LocalAws]:
    """Have moto run things while the block lasts, in `folder`; nothing outlives it.

    `environ` is what every function and job finds besides what it is configured with, such as
    where another endpoint is. `at_a_time` functions run side by side, and as many jobs.
    """
    # Imported late, as moto takes a second.
    from tests.support.local_aws_seams import moved  # noqa: PLC0415 - see above
    from tests.support.local_aws_steps import right_casing  # noqa: PLC0415 - the same

    assert not moved(), f"moto is not what it was: {moved()}"
    places = images or {}
    world = {
        **server.environment(REGION),
        "AWS_EC2_METADATA_DISABLED": "true",
        **(environ or {}),
    }
    functions = Functions(folder, world, at_a_time=at_a_time)
    jobs = Jobs(folder, world, places, at_a_time=at_a_time)
    with ExitStack() as stack:
        stack.callback(jobs.close)
        stack.callback(functions.close)
        stack.enter_context(right_casing())
        stack.enter_context(_running_what_is_kept(server, functions, jobs, places, folder))
        yield LocalAws(server, places, functions, jobs)


@contextmanager
def _running_what_is_kept(
    server: MotoServer,
    functions: Functions,
    jobs: Jobs,
    images: Mapping[str, Image],
    folder: Path,
) -> Iterator[None]:
    """Put our ways of running things in the place of moto's."""
    from moto.awslambda_simple.models import LambdaSimpleBackend  # noqa: PLC0415 - slow to import
    from moto.batch.responses import BatchResponse  # noqa: PLC0415 - the same
    from moto.batch_simple.models import BatchSimpleBackend  # noqa: PLC0415 - the same
    from moto.core.config import default_user_config  # noqa: PLC0415 - the same

    submitted = threading.local()
    submit = BatchResponse.submitjob

    def submit_job(response: Any) -> Any:
        # moto lets the strategy of a submission fall under the table.
        submitted.strategy = response._get_param("retryStrategy")
        return submit(response)

    def start_job(backend: Any, include_start_attempt: bool, job: Any) -> None:  # noqa: FBT001 - as moto calls it
        assert "size" not in job.array_properties, "array jobs are not run here"
        backend.backend._jobs[job.job_id] = job
        jobs.start(job, submitted.strategy or job.job_definition.retry_strategy or {})

    def invoke(
        backend: Any, name: str, qualifier: str | None, body: Any, headers: Any, answer: Any
    ) -> bytes:
        function = deployed(backend.get_function(name, qualifier), images, folder)
        payload = body if isinstance(body, bytes) else (body or "{}").encode()
        kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind == "Event":
            functions.promise(function, payload)
        if kind != "RequestResponse":
            return b""
        outcome: Outcome = functions.call(function, payload)
        if outcome.failed:
            answer["x-amz-function-error"] = "Unhandled"
        return outcome.payload

    ways: Any = default_user_config
    chosen = {
        "lambda": {"use_docker": False},
        "batch": {"use_docker": False},
        "stepfunctions": {"execute_state_machine": True},
    }
    # Where the interpreter of Step Functions calls the services.
    port = {"MOTO_PORT": server.url.rpartition(":")[2]}
    with (
        patch.dict(ways, chosen),
        patch.dict("os.environ", port),
        patch.object(LambdaSimpleBackend, "invoke", invoke),
        patch.object(BatchResponse, "submitjob", submit_job),
        patch.object(BatchSimpleBackend, "_mark_job_as_finished", start_job),
    ):
        yield
