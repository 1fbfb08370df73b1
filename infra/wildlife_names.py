"""What the wildlife stack's parts are called, and their ARNs. Pure.

Names may hold references that a template resolves, such as the environment, which is a parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.policies import check_arn, check_bucket
from pipelines.wildlife.layout import PROJECT_TAG


@dataclass(frozen=True, slots=True)
class WildlifeNames:
    """Everything of one environment.

    Raises:
        ValueError: the bucket's name is none.
    """

    environment: str
    aws_region: str
    account_id: str
    bucket: str
    input_prefix: str = "raw"
    output_prefix: str = "out"
    settings_prefix: str = "metadata"
    partition: str = "aws"

    def __post_init__(self) -> None:
        """Refuse what would make another policy than the one that is meant."""
        check_bucket(self.bucket)
        check_arn(self.objects(self.output_prefix))

    def named(self, what: str) -> str:
        """Return `<environment>-wildlife-<what>`."""
        return f"{self.environment}-wildlife-{what}"

    def function(self, module: str) -> str:
        """Return the name of the function of a state, by the state's module."""
        return self.named(module.replace("_", "-"))

    def function_arn(self, module: str) -> str:
        """Return the ARN of that function."""
        return self.arn("lambda", f"function:{self.function(module)}")

    @property
    def machine(self) -> str:
        """Name of the state machine."""
        return self.named("pipeline")

    @property
    def machine_arn(self) -> str:
        """ARN of the state machine."""
        return self.arn("states", f"stateMachine:{self.machine}")

    @property
    def queues(self) -> Mapping[str, str]:
        """The queues by what their jobs may cost."""
        queue = self.named("queue")
        return {"spot": queue, "either": f"{queue}-either", "on_demand": f"{queue}-on-demand"}

    @property
    def job_definition(self) -> str:
        """Name of the detection's definition."""
        return self.named("detector")

    @property
    def secret(self) -> str:
        """Name of the secret with what providers want to know us by."""
        return f"{self.environment}/wildlife/api-keys"

    @property
    def trail_arn(self) -> str:
        """ARN of the trail."""
        return self.arn("cloudtrail", f"trail/{self.named('audit-trail')}")

    @property
    def audit_bucket(self) -> str:
        """Name of the trail's bucket."""
        return self.named(f"audit-logs-{self.account_id}")

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket itself."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    def objects(self, pattern: str) -> str:
        """Return the ARN of objects; in a key `*` stands for any text, slashes too."""
        return f"{self.bucket_arn}/{pattern}"

    def log_group(self, name: str) -> str:
        """Return the ARN of a log group."""
        return self.arn("logs", f"log-group:{name}")

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something in this region and account."""
        return f"arn:{self.partition}:{service}:{self.aws_region}:{self.account_id}:{resource}"

    @property
    def tags(self) -> Mapping[str, str]:
        """What everything here is tagged with; the budget counts what carries the first."""
        return {"Project": PROJECT_TAG, "Environment": self.environment}
