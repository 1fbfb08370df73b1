"""The budget that somebody is told of."""

from collections.abc import Sequence
from typing import Literal

from aws_cdk import Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns

WARNINGS: Sequence[tuple[Literal["ACTUAL", "FORECASTED"], int]] = (
    ("ACTUAL", 80),
    ("FORECASTED", 100),
)
"""What has been spent, or will be by the end of the month, in percent."""


def add_budget(
    stack: Stack,
    name: str,
    amount_usd: int,
    topic: sns.ITopic,
    *,
    tag: tuple[str, str] | None = None,
    warnings: Sequence[tuple[str, int]] = WARNINGS,
) -> None:
    """Make a monthly budget, unless it is 0: of the account, or of what carries the tag.

    Costs are known by tag only once the account's owner has activated it for cost allocation.
    """
    if not amount_usd:
        return
    budget: dict[str, object] = {
        "budgetName": name,
        "budgetType": "COST",
        "timeUnit": "MONTHLY",
        "budgetLimit": {"amount": amount_usd, "unit": "USD"},
    }
    if tag is not None:
        budget["costFilters"] = {"TagKeyValue": [f"user:{tag[0]}${tag[1]}"]}
    budgets.CfnBudget(
        stack,
        "Budget",
        budget=budget,
        notifications_with_subscribers=[
            {
                "notification": {
                    "notificationType": kind,
                    "comparisonOperator": "GREATER_THAN",
                    "threshold": threshold,
                    "thresholdType": "PERCENTAGE",
                },
                "subscribers": [{"subscriptionType": "SNS", "address": topic.topic_arn}],
            }
            for kind, threshold in warnings
        ],
    )
