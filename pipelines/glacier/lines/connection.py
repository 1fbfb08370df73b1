"""How a command reaches AWS and as whom."""

from pipelines.glacier.lines import where
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.storage import resolve_storage
from pipelines.glacier.project import aws_keys
from shared.aws.clients import ClientSettings


def client_settings(sources: Sources) -> ClientSettings:
    """Return what clients are opened with."""
    return ClientSettings(
        aws_region=resolve_storage(sources).aws_region,
        profile=sources.aws.values.get(aws_keys.AWS_PROFILE),
        endpoint_url=sources.line.get(where.ENDPOINT_URL),
    )
