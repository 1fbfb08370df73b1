"""What the project's configuration says of the services that a submission needs. Pure.

The section of a service is stronger than `[COMPUTE]`, which an older file has for all of them. Only
what the chosen service needs must be there.
"""

from collections.abc import Iterable, Mapping

from pipelines.glacier.lines.sources import Findings, Sources
from pipelines.glacier.project import aws_keys
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit import flags
from pipelines.glacier.targets.fargate_sizes import check_size
from pipelines.glacier.targets.target import (
    BatchTarget,
    EcsTarget,
    FargateTarget,
    LambdaTarget,
    ServiceName,
    Target,
)

_FUNCTION = "glacier-sentinel2-processor"
_LAMBDA_MB = 10_240
"""Of memory, and of storage."""
_QUEUE = "glacier-processing-queue"
_JOB_DEFINITION = "satellite-processing"
_VCPUS, _BATCH_MEMORY_MB, _BATCH_SECONDS = 2, 8192, 1800
_CLUSTER = "glacier-processing-cluster"
_ECS_TASK, _FARGATE_TASK = "satellite-processing-task", "glacier-task"
_CONTAINER = "glacier-processing"
_FARGATE_CPU, _FARGATE_MEMORY_MB = 4096, 16_384


def resolve_targets(
    sources: Sources,
    services: Iterable[ServiceName],
    satellite: SatelliteName,
    findings: Findings,
) -> Mapping[ServiceName, Target]:
    """Return the targets of some services; what is missing or does not fit goes to `findings`."""
    return {service: _target(service, sources, satellite, findings) for service in services}


def _target(
    service: ServiceName, sources: Sources, satellite: SatelliteName, findings: Findings
) -> Target:
    if service == "lambda":
        return LambdaTarget(
            sources.aws_key(_FUNCTION, aws_keys.FUNCTION_NAME),
            alias=sources.aws_key("", aws_keys.FUNCTION_ALIAS),
            memory_mb=sources.aws_key(_LAMBDA_MB, aws_keys.MEMORY_SIZE),
            storage_mb=sources.aws_key(_LAMBDA_MB, aws_keys.EPHEMERAL_STORAGE),
        )
    if service == "batch":
        return _batch(sources, satellite)
    if service == "ecs":
        return _ecs(sources)
    return _fargate(sources, findings)


def _batch(sources: Sources, satellite: SatelliteName) -> BatchTarget:
    family = sources.aws_key(_JOB_DEFINITION, aws_keys.BATCH_JOB_DEFINITION)
    return BatchTarget(
        job_queue=sources.aws_key(_QUEUE, aws_keys.JOB_QUEUE, aws_keys.BATCH_JOB_QUEUE),
        # There is one definition a satellite, unless the file names the very one.
        job_definition=sources.aws_key(f"{family}-{satellite}", aws_keys.JOB_DEFINITION),
        vcpus=sources.aws_key(_VCPUS, aws_keys.VCPUS),
        memory_mb=sources.aws_key(_BATCH_MEMORY_MB, aws_keys.BATCH_MEMORY),
        timeout_seconds=sources.aws_key(_BATCH_SECONDS, aws_keys.BATCH_TIMEOUT),
    )


def _ecs(sources: Sources) -> EcsTarget:
    return EcsTarget(
        cluster=sources.aws_key(_CLUSTER, aws_keys.ECS_CLUSTER),
        task_definition=sources.aws_key(_ECS_TASK, aws_keys.ECS_TASK_DEFINITION),
        container_name=sources.aws_key(_CONTAINER, aws_keys.FARGATE_CONTAINER),
    )


def _fargate(sources: Sources, findings: Findings) -> FargateTarget:
    subnets = sources.aws_key((), aws_keys.FARGATE_SUBNETS, aws_keys.ECS_SUBNETS)
    if not subnets:
        place = sources.aws.place(aws_keys.FARGATE_SUBNETS)
        findings.problems.append(f"{place} is required for fargate; name its subnets")
    cpu = sources.aws_key(_FARGATE_CPU, aws_keys.FARGATE_CPU)
    memory_mb = sources.aws_key(_FARGATE_MEMORY_MB, aws_keys.FARGATE_MEMORY)
    if wrong := check_size(cpu, memory_mb):
        place = sources.aws.place(aws_keys.FARGATE_MEMORY)
        findings.problems.append(f"{place} = {str(memory_mb)!r} is not valid; {wrong}")
    return FargateTarget(
        cluster=sources.aws_key(_CLUSTER, aws_keys.FARGATE_CLUSTER, aws_keys.ECS_CLUSTER),
        task_definition=sources.aws_key(
            _FARGATE_TASK, aws_keys.FARGATE_TASK_DEFINITION, aws_keys.ECS_TASK_DEFINITION
        ),
        container_name=sources.aws_key(_CONTAINER, aws_keys.FARGATE_CONTAINER),
        cpu=cpu,
        memory_mb=memory_mb,
        subnets=subnets,
        security_groups=sources.aws_key(
            (), aws_keys.FARGATE_SECURITY_GROUPS, aws_keys.ECS_SECURITY_GROUPS
        ),
        spot=wants_spot(sources),
    )


def resolve_state_machine(sources: Sources, findings: Findings) -> str:
    """Return the ARN of the state machine; what is missing goes to `findings`."""
    if sources.aws.values.get(aws_keys.ENABLE_STEP_FUNCTIONS) is False:
        place = sources.aws.place(aws_keys.ENABLE_STEP_FUNCTIONS)
        findings.problems.append(f"{place} is false; write true, or take --service auto")
    arn = sources.aws_key("", aws_keys.STATE_MACHINE_ARN)
    if not arn and not sources.aws.text_of(aws_keys.STATE_MACHINE_ARN):
        place = sources.aws.place(aws_keys.STATE_MACHINE_ARN)
        findings.problems.append(
            f"{place} is required for stepfunctions; write what the stack tells, or take "
            "--service auto"
        )
    return arn


def wants_spot(sources: Sources) -> bool:
    """Tell whether spare capacity is asked for, on the line or in the file."""
    given = sources.line.get(flags.SPOT)
    keys = (aws_keys.USE_SPOT_INSTANCES, aws_keys.SPOT_INSTANCES)
    return bool(given) or any(sources.aws_key(False, key) for key in keys)  # noqa: FBT003 - a default
