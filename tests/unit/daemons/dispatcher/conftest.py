from pathlib import Path

import pytest

from tests.support.dispatching import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project and an empty bucket."""
    return Project(tmp_path)
