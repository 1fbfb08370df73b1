"""Where the glacier runs live in AWS: the names that permissions are bounded by. Pure.

Names may hold references that a template resolves, such as `${AWS::AccountId}`.
"""

from dataclasses import dataclass

EXECUTION_ROLE = "lambda-glacier-execution-role"
TASK_ROLE = "lambda-glacier-task-role"
TASK_EXECUTION_ROLE = "lambda-glacier-task-execution-role"
PROJECT_PREFIX = "scripts/greenland-glacier-flow"
"""Where project code lies in the bucket."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The account, the bucket and the names of everything that belongs to the runs."""

    aws_region: str
    account_id: str
    bucket: str
    base_path: str
    function: str
    repository: str
    partition: str = "aws"
    project_prefix: str = PROJECT_PREFIX
    execution_role: str = EXECUTION_ROLE
    """Whom the function acts as: a role's name, with its path where it has one."""
    task_role: str = TASK_ROLE
    """Whom containers of Batch and ECS act as."""
    task_execution_role: str = TASK_EXECUTION_ROLE
    """Whom ECS pulls the image and writes the log as."""
    log_group: str = "/aws/glacier-processing"
    """Of the containers."""
    topic_arn: str = ""
    """Who is told of ends and failures; empty: nobody."""
    state_machine_arn: str = ""

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something in the account and its region."""
        place = f"{self.aws_region}:{self.account_id}"
        return f"arn:{self.partition}:{service}:{place}:{resource}"

    def role_arn(self, name: str) -> str:
        """Return the ARN of a role."""
        return f"arn:{self.partition}:iam::{self.account_id}:role/{name}"

    @property
    def bucket_arn(self) -> str:
        """The bucket itself."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def repository_arn(self) -> str:
        """The repository of the image."""
        return self.arn("ecr", f"repository/{self.repository}")

    @property
    def function_arn(self) -> str:
        """The function, without a version."""
        return self.arn("lambda", f"function:{self.function}")

    @property
    def function_log_group(self) -> str:
        """Where Lambda writes what the function prints."""
        return f"/aws/lambda/{self.function}"

    @property
    def project_objects(self) -> str:
        """The objects of the project's code."""
        return f"{self.bucket_arn}/{self.project_prefix}/*"

    @property
    def result_objects(self) -> tuple[str, ...]:
        """The objects of both satellites' results, records and logs among them."""
        folder = f"{self.bucket_arn}/{self.base_path}"
        return tuple(f"{folder}/{satellite}/*" for satellite in ("sentinel2", "landsat"))
