import pytest

from tests.support.raw_http import RawClient
from tests.support.strict_s3.server import StrictS3


@pytest.fixture
def raw(strict_s3: StrictS3) -> RawClient:
    """Talk to the strict S3 in plain HTTP."""
    return RawClient(strict_s3.url)
