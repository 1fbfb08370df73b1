"""The flags that several commands have: which project and files, which bucket, which AWS. Pure."""

from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.project import aws_keys
from pipelines.glacier.values import URL, Kind, choice


def _parse_path(text: str) -> str:
    # An unset variable of a script would stand for the folder that one happens to be in.
    if not text or "\0" in text:
        raise ValueError(text)
    return text


PATH = Kind(_parse_path, "a path")

PROJECT = Flag(
    "--project", PATH, "project folder (default: the nearest above that holds config.ini)", "DIR"
)
CONFIG = Flag("--config", PATH, "the project's config.ini", "FILE")
AWS_CONFIG = Flag("--aws-config", PATH, "the project's aws/config/aws_config.ini", "FILE")
S3_BUCKET = Flag("--s3-bucket", aws_keys.S3_BUCKET.kind, "bucket of the results", "NAME")
AWS_REGION = Flag("--aws-region", aws_keys.AWS_REGION_KEY.kind, "region of AWS", "NAME")
ENDPOINT_URL = Flag("--endpoint-url", URL, "another endpoint than AWS", "URL")
OUTPUT = Flag("--output", choice("text", "json"), "text or json (default: text)", "FORM")
