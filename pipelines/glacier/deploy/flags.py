"""The flags of the commands that deploy, validate, test and clean up. Pure."""

from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.project import aws_keys
from pipelines.glacier.values import NAME, NAMES, SWITCH, TEXT, choice

POLICY_NAMES = (
    "operator",
    "execution",
    "task",
    "task-execution",
    "execution-trust",
    "task-trust",
    "endpoint",
)

FUNCTION = Flag(
    "--function-name", aws_keys.FUNCTION_NAME.kind, "the function (default: the file's)", "NAME"
)
ACCOUNT = Flag("--account-id", aws_keys.ACCOUNT_ID.kind, "twelve digits", "ID")
ONLY = Flag("--only", choice(*POLICY_NAMES), "one document alone", "NAME")
PLAN = Flag("--plan", SWITCH, "say what would be done, and do nothing (default)", switch=True)
APPLY = Flag("--apply", SWITCH, "do it", switch=True)
REPLACE = Flag(
    "--replace", SWITCH, "remove a function of package type Zip and make it anew", switch=True
)
NO_CACHE = Flag(
    "--no-cache", SWITCH, "build the image from the ground, under a tag of its own", switch=True
)
BASE_IMAGE = Flag(
    "--base-image", NAME, "image to build on (default: python:3.11-slim-bookworm)", "REFERENCE"
)
SOURCE = Flag("--source", where.PATH, "checkout of towpath to build from (default: our own)", "DIR")
REGION_FILE = Flag(
    "--region-file", where.PATH, "GeoPackage for the image (default: the project's)", "FILE"
)
BIND_PROJECT = Flag(
    "--bind-project",
    SWITCH,
    "the image runs only jobs that were submitted from the very same project",
    switch=True,
)
YES = Flag("--yes", SWITCH, "do it; without this the plan is printed", switch=True)
RESULTS = Flag("--results", NAMES, "remove the results of these regions too", "REGION,REGION")
IMAGE = Flag("--image", NAME, "image to test (default: what deploy builds)", "REFERENCE")
STAC_URL = Flag("--stac-url", TEXT, "search of scenes, for a whole run", "URL")
LOCAL = Flag(
    "--local", SWITCH, "run the handler of this environment, without a container", switch=True
)

PROJECT_GROUP = (where.PROJECT, where.CONFIG, where.AWS_CONFIG)
PLACE_GROUP = (where.AWS_REGION, where.S3_BUCKET, where.ENDPOINT_URL, FUNCTION)
