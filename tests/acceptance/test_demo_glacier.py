"""The glacier chapter as a person starts it, with fewer regions."""

from pathlib import Path

import pytest

from tests.support.demonstration import LIMIT_SECONDS, play

# A dozen processes that load rasters: too much for each `make test`, which runs each part alone.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(LIMIT_SECONDS + 20)]


def test_every_region_is_what_the_satellite_saw_of_it(tmp_path: Path) -> None:
    """From a plan to checked results: an instance lost, a page in the place of a raster."""
    work = tmp_path / "work"

    done = play(work, "glacier")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "the Spot instance of aws-sentinel2-20240801-090_petermann goes away" in done.stdout
    assert "FAILED" not in done.stdout
    assert "Every region is what the satellite saw of it." in done.stdout
    assert (work / "glacier" / "090_petermann.png").read_bytes().startswith(b"\x89PNG")
