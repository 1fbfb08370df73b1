"""The flags of `towpath glacier status`. Pure."""

from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project import config_keys
from pipelines.glacier.values import DATE, NAME, NAMES, SWITCH, choice

SATELLITE = Flag(
    "--satellite",
    choice("sentinel2", "landsat", "all"),
    "sentinel2, landsat, or all (default: all)",
    "NAME",
)
REGIONS = Flag("--regions", config_keys.REGIONS.kind, "jobs of these regions", "NAME,NAME")
REGION = Flag("--region", NAME, "jobs of one region", "NAME")
JOBS = Flag("--jobs", NAMES, "these jobs", "NAME,NAME")
SINCE = Flag("--since", DATE, "jobs whose record was written on this day or later", "DATE")
FAILED = Flag(
    "--failed", SWITCH, "only what did not succeed, and the lines that send it again", switch=True
)

SYNTAX = Syntax(
    "towpath glacier status",
    """
    Show how the jobs of a bucket are doing, from the records that they write.

    Needs only s3:ListBucket and s3:GetObject. Exit status 1: a job has failed; 2: no record was
    found.
    """,
    {
        "which jobs": (SATELLITE, REGIONS, REGION, JOBS, SINCE, FAILED),
        "where": (where.S3_BUCKET, where.AWS_REGION, where.ENDPOINT_URL, where.OUTPUT),
        "project": (where.PROJECT, where.CONFIG, where.AWS_CONFIG),
    },
)
