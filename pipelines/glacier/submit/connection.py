"""How a submission reaches AWS and as whom."""

from pipelines.glacier.project import aws_keys
from pipelines.glacier.submit import flags
from pipelines.glacier.submit.resolve import resolve_storage
from pipelines.glacier.submit.sources import Sources
from shared.aws.clients import ClientSettings


def client_settings(sources: Sources) -> ClientSettings:
    """Return what clients are opened with."""
    return ClientSettings(
        aws_region=resolve_storage(sources).aws_region,
        profile=sources.aws.values.get(aws_keys.AWS_PROFILE),
        endpoint_url=sources.line.get(flags.ENDPOINT_URL),
    )
