"""What tests of feeds and audio get: servers on loopback, and where things come to lie."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.feeding import FeedsGround
from tests.support.podcast_audio import Place
from tests.support.podcast_web import PodcastWeb


@pytest.fixture
def site() -> Iterator[PodcastWeb]:
    """Publish on loopback."""
    with PodcastWeb() as web:
        yield web


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a data folder that is new."""
    return Place(tmp_path)


@pytest.fixture
def ground(tmp_path: Path, site: PodcastWeb) -> FeedsGround:
    """A site with podcasts whose servers are on loopback."""
    return FeedsGround(tmp_path, site)
