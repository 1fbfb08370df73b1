"""What is deployed, and under which names: out of the line and `aws_config.ini`. Pure.

Memory, time limit and storage of the function are always set: what a service would take instead
makes runs fail after minutes of work (no space left, killed at three seconds).
"""

from dataclasses import dataclass

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.permissions.scope import (
    EXECUTION_ROLE,
    TASK_EXECUTION_ROLE,
    TASK_ROLE,
    Scope,
)
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.storage import Storage, resolve_storage
from pipelines.glacier.project import aws_keys

FUNCTION_NAME = "glacier-sentinel2-processor"
REPOSITORY = "glacier-lambda"
MEMORY_MB, TIMEOUT_SECONDS, STORAGE_MB = 10_240, 900, 10_240
LOG_GROUP, LOG_DAYS = "/aws/glacier-processing", 30
PYTHON_VERSION = "3.11"
"""The one that every test of the processing has run on."""
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
"""As docker calls what Lambda calls an architecture."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that has a name or a size."""

    storage: Storage
    function: str = FUNCTION_NAME
    repository: str = REPOSITORY
    memory_mb: int = MEMORY_MB
    timeout_seconds: int = TIMEOUT_SECONDS
    storage_mb: int = STORAGE_MB
    architecture: str = "x86_64"
    python_version: str = PYTHON_VERSION
    task_role: str = TASK_ROLE
    task_execution_role: str = TASK_EXECUTION_ROLE
    log_group: str = LOG_GROUP
    log_days: int = LOG_DAYS
    topic_arn: str = ""
    account_id: str = ""
    """That the file names; empty: whoever the credentials belong to."""

    @property
    def platform(self) -> str:
        """The architecture as docker calls it."""
        return PLATFORMS[self.architecture]

    def scope(self, account_id: str, partition: str = "aws") -> Scope:
        """Return the names in an account."""
        return Scope(
            aws_region=self.storage.aws_region,
            account_id=account_id,
            bucket=self.storage.s3_bucket,
            base_path=self.storage.s3_base_path,
            function=self.function,
            repository=self.repository,
            partition=partition,
            execution_role=EXECUTION_ROLE,
            task_role=self.task_role,
            task_execution_role=self.task_execution_role,
            log_group=self.log_group,
            topic_arn=self.topic_arn,
        )


def resolve_deployment(sources: Sources) -> Deployment:
    """Return what the line and the file say."""
    key = sources.aws_key
    return Deployment(
        storage=resolve_storage(sources),
        function=function_name(
            sources.from_aws(flags.FUNCTION, aws_keys.FUNCTION_NAME, FUNCTION_NAME)
        ),
        repository=key(REPOSITORY, aws_keys.ECR_REPOSITORY),
        memory_mb=key(MEMORY_MB, aws_keys.MEMORY_SIZE),
        timeout_seconds=key(TIMEOUT_SECONDS, aws_keys.TIMEOUT),
        storage_mb=key(STORAGE_MB, aws_keys.EPHEMERAL_STORAGE),
        architecture=key("x86_64", aws_keys.ARCHITECTURE),
        python_version=key(PYTHON_VERSION, aws_keys.PYTHON_VERSION),
        task_role=role_name(key(TASK_ROLE, aws_keys.TASK_ROLE)),
        task_execution_role=role_name(key(TASK_EXECUTION_ROLE, aws_keys.EXECUTION_ROLE)),
        log_group=key(LOG_GROUP, aws_keys.LOG_GROUP),
        log_days=key(LOG_DAYS, aws_keys.LOG_RETENTION_DAYS),
        topic_arn=key("", aws_keys.SNS_TOPIC),
        account_id=sources.from_aws(flags.ACCOUNT, aws_keys.ACCOUNT_ID, ""),
    )


def function_name(text: str) -> str:
    """Return the name of a function that is written with an alias, or as an ARN."""
    return (text.partition(":function:")[2] or text).partition(":")[0]


def role_name(text: str) -> str:
    """Return the name of a role, with its path, that is written as a name or as an ARN."""
    return text.partition(":role/")[2] or text
