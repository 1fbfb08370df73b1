"""The flags of `towpath glacier submit`, old spellings too. Pure.

A flag and its key in a file have one kind, so that a value means the same in both.
"""

from dataclasses import dataclass
from typing import Generic

from pipelines.glacier.project import aws_keys, config_keys
from pipelines.glacier.values import (
    FLAG,
    NAME,
    SWITCH,
    TEXT,
    URL,
    Kind,
    T_co,
    choice,
    whole,
)


@dataclass(frozen=True, slots=True, eq=False)
class Flag(Generic[T_co]):
    """A value that the line may have."""

    name: str
    kind: Kind[T_co]
    help: str
    metavar: str = ""
    old_spelling: str = ""
    """Means the same."""
    bare: str = ""
    """What the flag means where no value follows; empty: one must."""
    switch: bool = False
    """It never takes a value; being there means true."""


_PATH = Kind(str, "a path")

CONFIG = Flag("--config", _PATH, "the project's config.ini", "FILE")
AWS_CONFIG = Flag("--aws-config", _PATH, "the project's aws/config/aws_config.ini", "FILE")
PROJECT = Flag(
    "--project", _PATH, "project folder (default: the nearest above that holds config.ini)", "DIR"
)
REGION_FILE = Flag(
    "--region-file", _PATH, "GeoPackage of the regions (default: the project's)", "FILE"
)
SATELLITE = Flag("--satellite", config_keys.SATELLITE.kind, "sentinel2 or landsat", "NAME")
SERVICE = Flag(
    "--service",
    choice("lambda", "batch", "ecs", "fargate", "auto"),
    "lambda, batch, ecs, fargate, or auto: by region (default: lambda)",
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
S3_BUCKET = Flag("--s3-bucket", aws_keys.S3_BUCKET.kind, "bucket of the results", "NAME")
AWS_REGION = Flag("--aws-region", aws_keys.AWS_REGION_KEY.kind, "region of AWS", "NAME")
ENDPOINT_URL = Flag("--endpoint-url", URL, "another endpoint than AWS", "URL")
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
OUTPUT = Flag("--output", choice("text", "json"), "form of the plan (default: text)", "FORM")
EMAIL = Flag("--email", TEXT, "whom --setup subscribes to the topic", "ADDRESS")
SETUP = Flag("--setup", SWITCH, "make the bucket ready and do nothing else", switch=True)
MAX_CONCURRENCY = Flag("--max-concurrency", whole(1, 100), "requests at once (default: 10)", "N")

GROUPS: dict[str, tuple[Flag[object], ...]] = {
    "what": (SATELLITE, REGIONS, REGION, POSITIONS, ALL, DATE1, DATE2, START_DATE, END_DATE),
    "where it runs": (
        SERVICE,
        CHUNK_DAYS,
        FORCE_SERVICE,
        SPOT,
        INSTANCE_TYPE,
        AWS_REGION,
        S3_BUCKET,
        ENDPOINT_URL,
    ),
    "processing": (
        LAYOUT,
        CORES,
        DOWNLOAD_FLAG,
        POST_PROCESSING_FLAG,
        CLEAR_DOWNLOADS,
        FORCE_REPROCESS,
    ),
    "submission": (DRY_RUN, OUTPUT, EMAIL, SETUP, MAX_CONCURRENCY),
    "project": (PROJECT, CONFIG, AWS_CONFIG, REGION_FILE),
}
