"""The budget of wildlife runs, and who is told of it, in the region that has budgets.

A stack of its own: CloudFormation makes budgets in some regions only, and those of the runs'
`eu-north-1` it does not. A budget counts what is spent in all of them.
"""

from aws_cdk import CfnParameter, Environment, Stack, Tags
from constructs import Construct

from infra.blocks.alarms import add_topic
from infra.blocks.budget import add_budget
from infra.wildlife_settings import Wildlife
from pipelines.wildlife.layout import PROJECT_TAG

BUDGETS_REGION = "us-east-1"
_SPENT = (("ACTUAL", 80), ("ACTUAL", 100))
_PUBLISHERS = ("budgets.amazonaws.com",)


class WildlifeBudgetStack(Stack):
    """A monthly budget of what carries the project's tag, told at 80 % and at 100 %."""

    def __init__(self, scope: Construct, name: str, wildlife: Wildlife) -> None:
        super().__init__(
            scope,
            name,
            env=Environment(region=BUDGETS_REGION),
            description="Towpath: the budget of wildlife runs",
        )
        environment = CfnParameter(
            self,
            "Environment",
            default=wildlife.environment,
            allowed_values=["dev", "prod"],
            description="First part of every name",
        ).value_as_string
        Tags.of(self).add("Project", PROJECT_TAG)
        topic = add_topic(
            self,
            "wildlife",
            wildlife.alarm_email,
            _PUBLISHERS,
            name=f"{environment}-wildlife-budget-alerts",
        )
        add_budget(
            self,
            f"{environment}-wildlife-budget",
            wildlife.budget_usd,
            topic,
            tag=("Project", PROJECT_TAG),
            warnings=_SPENT,
        )
