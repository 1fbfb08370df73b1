"""What the glacier stack's outputs mean for a submission: the text of `aws_config.ini`.

cdk deploy --app cdk.out towpath-glacier --outputs-file outputs.json
python -m infra.glacier_outputs outputs.json > aws/config/aws_config.ini
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.glacier.deploy.function.function_plan import ALIAS
from pipelines.glacier.project import aws_keys
from pipelines.glacier.project.ini_text import Key
from shared.errors import UsageError

KEYS: Mapping[str, tuple[Key[object], ...]] = {
    "AwsRegion": (aws_keys.AWS_REGION_KEY,),
    "BucketName": (aws_keys.S3_BUCKET,),
    "BasePath": (aws_keys.S3_BASE_PATH,),
    "FunctionName": (aws_keys.FUNCTION_NAME,),
    "RepositoryName": (aws_keys.ECR_REPOSITORY,),
    "JobQueue": (aws_keys.BATCH_JOB_QUEUE,),
    "JobDefinition": (aws_keys.BATCH_JOB_DEFINITION,),
    "ClusterName": (aws_keys.ECS_CLUSTER, aws_keys.FARGATE_CLUSTER),
    "EcsTaskFamily": (aws_keys.ECS_TASK_DEFINITION,),
    "FargateTaskFamily": (aws_keys.FARGATE_TASK_DEFINITION,),
    "ContainerName": (aws_keys.FARGATE_CONTAINER,),
    "FargateCpu": (aws_keys.FARGATE_CPU,),
    "FargateMemory": (aws_keys.FARGATE_MEMORY,),
    "Subnets": (aws_keys.ECS_SUBNETS, aws_keys.FARGATE_SUBNETS),
    "SecurityGroups": (aws_keys.ECS_SECURITY_GROUPS, aws_keys.FARGATE_SECURITY_GROUPS),
    "TaskRoleName": (aws_keys.TASK_ROLE,),
    "TaskExecutionRoleName": (aws_keys.EXECUTION_ROLE,),
    "LogGroup": (aws_keys.LOG_GROUP,),
    "LogDays": (aws_keys.LOG_RETENTION_DAYS,),
    "Topic": (aws_keys.SNS_TOPIC,),
    "StateMachine": (aws_keys.STATE_MACHINE_ARN,),
}
"""By output, the keys that have its value."""
_STATED: Mapping[Key[object], str] = {
    aws_keys.MEMORY_SIZE: "10240",
    aws_keys.TIMEOUT: "900",
    aws_keys.EPHEMERAL_STORAGE: "10240",
    # Jobs meet what has answered a test, and not what was pushed last.
    aws_keys.FUNCTION_ALIAS: ALIAS,
    aws_keys.ENABLE_STEP_FUNCTIONS: "true",
}
"""What every stack has in the same way."""


def config_text(outputs: Mapping[str, str]) -> str:
    """Return the file; outputs that it has no key for are left out.

    Raises:
        UsageError: some are missing, so that these are not the outputs of this stack.
    """
    if missing := [name for name in KEYS if name not in outputs]:
        raise UsageError(f"there is no output {missing[0]!r}; name those of the glacier stack")
    found = {key: outputs[name] for name, keys in KEYS.items() for key in keys}
    sections: dict[str, list[str]] = {}
    for key, value in (*found.items(), *_STATED.items()):
        sections.setdefault(key.section, []).append(f"{key.name} = {value}")
    return "\n".join(
        "\n".join((f"[{section}]", *lines, "")) for section, lines in sorted(sections.items())
    )


def main(argv: Sequence[str]) -> int:
    """Print the file for what `cdk deploy --outputs-file` wrote."""
    [path] = argv
    stacks = json.loads(Path(path).read_text(encoding="utf-8"))
    [outputs] = [each for each in stacks.values() if "StateMachine" in each]
    sys.stdout.write(config_text(outputs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
