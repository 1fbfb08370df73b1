"""What AWS charges, in US dollars: us-west-2, Linux on x86, on demand. Pure.

Without taxes, free tiers and discounts. Spare capacity never costs more than what is on demand, so
it is counted like that. The figures are of about 2025 and were not compared with AWS's own pages;
whoever does that gives `PRICES` their date.
"""

from typing import Final

PRICES: Final = "about 2025, not compared with AWS's pages"
SOURCES: Final = (
    "aws.amazon.com/lambda/pricing, /fargate/pricing, /ec2/pricing/on-demand, "
    "/step-functions/pricing, /s3/pricing"
)

LAMBDA_REQUEST: Final = 0.20 / 1_000_000
LAMBDA_GB_SECOND: Final = 0.000_016_666_7
LAMBDA_STORAGE_GB_SECOND: Final = 0.000_000_030_9
LAMBDA_STORAGE_FREE_GB: Final = 0.5

FARGATE_VCPU_HOUR: Final = 0.040_48
FARGATE_GB_HOUR: Final = 0.004_445

EC2_VCPU_HOUR: Final = 0.048
"""Of a general-purpose instance: m5.large has two for 0.096."""
EC2_GB_OF_VCPU: Final = 4
"""Memory that comes with each; a job that wants more pays for further ones."""

TRANSITION: Final = 0.025 / 1_000
"""Of a state machine."""
TRANSITIONS_OF_JOB: Final = 10

PUT_REQUEST: Final = 0.005 / 1_000
OBJECTS_OF_SCENE: Final = 4
"""Scene, lineage, and its share of records, logs and tables."""
