from pathlib import Path

import pytest

from tests.support.watching import Clock, Ec2


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def ec2(tmp_path: Path, clock: Clock) -> Ec2:
    """A machine and an empty bucket."""
    return Ec2(tmp_path, clock=clock, lease_seconds=100.0)
