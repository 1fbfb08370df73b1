"""The glacier chapter as a person starts it, with fewer regions."""

import subprocess
import sys
from pathlib import Path

import pytest

_PROJECT = Path(__file__).resolve().parents[2]
_LIMIT_SECONDS = 280.0

# A dozen processes that load rasters: too much for each `make test`, which runs each part alone.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(_LIMIT_SECONDS + 20)]


def test_every_region_is_what_the_satellite_saw_of_it(tmp_path: Path) -> None:
    """From a plan to checked results: an instance lost, a page in the place of a raster."""
    work = tmp_path / "work"

    done = subprocess.run(
        [
            *(sys.executable, "-m", "scripts.demo", "--scale", "small"),
            *("--folder", str(work), "--part", "glacier"),
        ],
        cwd=_PROJECT,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "the Spot instance of aws-sentinel2-20240801-090_petermann goes away" in done.stdout
    assert "FAILED" not in done.stdout
    assert "Every region is what the satellite saw of it." in done.stdout
    assert (work / "glacier" / "090_petermann.png").read_bytes().startswith(b"\x89PNG")
