"""systemd's own judgement of unit files; it needs no systemd that runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not on this machine; it comes with systemd",
)

_LIMIT_SECONDS = 60


def verify_unit(*units: Path) -> subprocess.CompletedProcess[str]:
    """Have systemd check unit files, and the drop-ins beside them."""
    return _analyze("verify", "--man=no", "--recursive-errors=yes", *map(str, units), beside=units)


def exposure(unit: Path) -> float:
    """Return how exposed systemd finds a service: 0 is best, 10 is worst."""
    done = _analyze("security", "--offline=true", "--no-pager", str(unit), beside=(unit,))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


def _analyze(*words: str, beside: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    folders = ":".join(sorted({str(unit.parent) for unit in beside}))
    return subprocess.run(
        ["systemd-analyze", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_SECONDS,
        # A trailing colon would add this machine's own units.
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{folders}:", "LC_ALL": "C.UTF-8"},
    )
