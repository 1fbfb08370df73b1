from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.support.collecting import Prod
from tests.support.uploading import Requests


@pytest.fixture
def requests() -> Requests:
    """What S3 was asked."""
    return Requests()


@pytest.fixture
def prod(tmp_path: Path, requests: Requests) -> Prod:
    """PROD with an empty bucket."""
    return Prod(tmp_path / "prod", faults=requests)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    """What was logged."""
    with structlog.testing.capture_logs() as caught:
        yield caught
