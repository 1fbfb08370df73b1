"""How GDAL reads scenes where they lie, as its options. Pure.

GDAL has names of its own for what AWS's clients call endpoint and region. The one who reads pays:
the bucket belongs to the USGS.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipelines.glacier.landsat.credentials import Credentials

_AWS_REGION = "us-west-2"
"""Where the bucket lies."""
_HTTP = "GDAL_HTTP_"
"""Time limits and retries, which the step has its own defaults for."""
_READING: Mapping[str, str] = {
    "AWS_REQUEST_PAYER": "requester",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.TIF,.tiff",
    # What was fetched of one scene is of no use to the next, and would be kept.
    "CPL_VSIL_CURL_NON_CACHED": "/vsis3/",
}


def reading_options(
    environment: Mapping[str, str], credentials: Credentials | None
) -> Mapping[str, str]:
    """Return GDAL's options; what the environment says by GDAL's own names stays as it is."""
    chosen = {**_READING, **_endpoint(environment)}
    chosen |= {name: value for name, value in environment.items() if name.startswith(_HTTP)}
    if not environment.get("AWS_REGION"):
        chosen["AWS_REGION"] = environment.get("AWS_DEFAULT_REGION") or _AWS_REGION
    if credentials:
        chosen["AWS_ACCESS_KEY_ID"] = credentials.key_id
        chosen["AWS_SECRET_ACCESS_KEY"] = credentials.secret
        # One of the environment would belong to another key.
        chosen["AWS_SESSION_TOKEN"] = ""
    return chosen


def gdal_path(href: str) -> str:
    """Return how GDAL names an object; `href` is `s3://bucket/key`."""
    return f"/vsis3/{href.removeprefix('s3://')}"


def _endpoint(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Translate another endpoint than AWS; GDAL's own variable wins."""
    given = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if not given or environment.get("AWS_S3_ENDPOINT"):
        return {}
    parts = urlsplit(given)
    return {
        "AWS_S3_ENDPOINT": f"{parts.netloc}{parts.path.rstrip('/')}",
        "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }
