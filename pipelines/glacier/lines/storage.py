"""Where results go: bucket, prefix, and AWS's region. Pure."""

from dataclasses import dataclass

from pipelines.glacier.lines import where
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.project import aws_keys

_BUCKET, _BASE_PATH = "greenland-glacier-data", "1_download_merge_and_clip"
_AWS_REGION = "us-west-2"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where results go."""

    aws_region: str
    s3_bucket: str
    s3_base_path: str


def resolve_storage(sources: Sources) -> Storage:
    """Return where results go."""
    return Storage(
        aws_region=sources.from_aws(where.AWS_REGION, aws_keys.AWS_REGION_KEY, _AWS_REGION),
        s3_bucket=sources.from_aws(where.S3_BUCKET, aws_keys.S3_BUCKET, _BUCKET),
        s3_base_path=sources.aws_key(_BASE_PATH, aws_keys.S3_BASE_PATH),
    )
