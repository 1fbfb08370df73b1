from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.ground import BUCKET, OTHER, Ground
from tests.support.daemon import Nursery, open_nursery
from tests.support.ingest_world import IngestWorld, open_world
from tests.support.machine import require_machine
from tests.support.machine_program import installed_program
from tests.support.strict_s3.server import StrictS3


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """One nursery for all tests."""
    with open_nursery() as opened:
        yield opened


@pytest.fixture(scope="session")
def towpath_program() -> Path:
    """What units start: the program, installed where a machine has it."""
    require_machine()
    return installed_program()


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[Ground]:
    """A root without files, an S3 with two empty buckets, and nothing running."""
    with StrictS3([BUCKET, OTHER]) as s3:
        made = Ground(tmp_path, s3, nursery)
        (made.root / BUCKET).mkdir(parents=True)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def world(tmp_path: Path, nursery: Nursery) -> Iterator[IngestWorld]:
    """Podcasts, AWS and a project without sites, for the ingester."""
    with open_world(tmp_path / "world", nursery.start) as opened:
        yield opened
