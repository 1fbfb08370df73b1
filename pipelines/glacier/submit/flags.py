"""The flags of `towpath glacier submit`, old spellings too. Pure.

A flag and its key in a file have one kind, so that a value means the same in both.
"""

from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project import config_keys
from pipelines.glacier.values import (
    FLAG,
    NAME,
    SWITCH,
    TEXT,
    choice,
    whole,
)

REGION_FILE = Flag(
    "--region-file", where.PATH, "GeoPackage of the regions (default: the project's)", "FILE"
)
SATELLITE = Flag("--satellite", config_keys.SATELLITE.kind, "sentinel2 or landsat", "NAME")
SERVICE = Flag(
    "--service",
    choice("lambda", "batch", "ecs", "fargate", "auto", "stepfunctions"),
    "lambda, batch, ecs, fargate; auto: by region; stepfunctions: by region, run by the stack's "
    "state machine (default: lambda)",
    "NAME",
)
REGIONS = Flag("--regions", config_keys.REGIONS.kind, "regions by name", "NAME,NAME")
REGION = Flag("--region", NAME, "one region by name", "NAME")
POSITIONS = Flag(
    "--start-end-index",
    config_keys.START_END_INDEX.kind,
    "regions by position in the sorted list, from 0, END excluded",
    "START:END",
    old_spelling="--start_end_index",
)
ALL = Flag("--all", SWITCH, "every region of the file", switch=True)
DATE1 = Flag("--date1", config_keys.DATE1.kind, "first day", "DATE")
DATE2 = Flag("--date2", config_keys.DATE2.kind, "last day, included", "DATE")
START_DATE = Flag("--start-date", config_keys.START_DATE.kind, "old name of --date1", "DATE")
END_DATE = Flag("--end-date", config_keys.END_DATE.kind, "old name of --date2", "DATE")
CHUNK_DAYS = Flag(
    "--chunk-days",
    whole(0, 3660),
    "days of one Lambda job, 0: windows are not cut (default: 31 for sentinel2, 0 for landsat)",
    "N",
)
FORCE_SERVICE = Flag(
    "--force-service", SWITCH, "take --service lambda for any number of tiles", switch=True
)
INSTANCE_TYPE = Flag("--instance-type", NAME, "instance type for the templates", "NAME")
SPOT = Flag("--spot-instances", SWITCH, "run on spare capacity", switch=True)
LAYOUT = Flag(
    "--layout", choice("old", "new"), "folders of the results, old or new (default: old)", "NAME"
)
CORES = Flag("--cores", config_keys.CORES.kind, "processes of a job (default: 1)", "N")
DOWNLOAD_FLAG = Flag("--download-flag", FLAG, "fetch scenes, 0 or 1 (default: 1)", "0|1")
POST_PROCESSING_FLAG = Flag(
    "--post-processing-flag", FLAG, "merge and clip, 0 or 1 (default: 1)", "0|1"
)
CLEAR_DOWNLOADS = Flag(
    "--clear-downloads", FLAG, "remove raw tiles at the end, 0 or 1 (default: 0)", "0|1", bare="1"
)
FORCE_REPROCESS = Flag("--force-reprocess", SWITCH, "redo what is finished", switch=True)
DRY_RUN = Flag(
    "--dry-run",
    SWITCH,
    "print the plan and send nothing; asks for no credentials and no network",
    "true|false",
    bare="true",
)
EMAIL = Flag(
    "--email", TEXT, "who asks, for the record; whom --setup subscribes to the topic", "ADDRESS"
)
SETUP = Flag("--setup", SWITCH, "make the bucket ready and do nothing else", switch=True)
MAX_CONCURRENCY = Flag("--max-concurrency", whole(1, 100), "requests at once (default: 10)", "N")

WAIT = Flag(
    "--wait",
    SWITCH,
    "wait until the jobs are finished, submitting those again that ran out of time",
    switch=True,
)
POLL_SECONDS = Flag("--poll-seconds", whole(1, 3600), "how often --wait looks (default: 30)", "N")
WAIT_MINUTES = Flag(
    "--wait-minutes", whole(1, 20_160), "how long --wait waits at most (default: 1440)", "N"
)
OVER_BUDGET = Flag(
    "--over-budget", SWITCH, "send although the estimate is above budget_limit", switch=True
)
ALLOW_STALE = Flag(
    "--allow-stale",
    SWITCH,
    "run although the code that is deployed is not the project's; else such a job fails",
    switch=True,
)

GROUPS: dict[str, tuple[Flag[object], ...]] = {
    "what": (SATELLITE, REGIONS, REGION, POSITIONS, ALL, DATE1, DATE2, START_DATE, END_DATE),
    "where it runs": (
        SERVICE,
        CHUNK_DAYS,
        FORCE_SERVICE,
        SPOT,
        INSTANCE_TYPE,
        where.AWS_REGION,
        where.S3_BUCKET,
        where.ENDPOINT_URL,
    ),
    "processing": (
        LAYOUT,
        CORES,
        DOWNLOAD_FLAG,
        POST_PROCESSING_FLAG,
        CLEAR_DOWNLOADS,
        FORCE_REPROCESS,
    ),
    "submission": (
        DRY_RUN,
        where.OUTPUT,
        WAIT,
        POLL_SECONDS,
        WAIT_MINUTES,
        OVER_BUDGET,
        ALLOW_STALE,
        EMAIL,
        SETUP,
        MAX_CONCURRENCY,
    ),
    "project": (where.PROJECT, where.CONFIG, where.AWS_CONFIG, REGION_FILE),
}

SYNTAX = Syntax(
    "towpath glacier submit",
    """
    Submit one job for each region and window of days.

    Values come from the line, then config.ini, then aws_config.ini, then the defaults.
    """,
    GROUPS,
)
