"""The kill programmes as tests run them: as processes that have no threads yet, and may fork."""

import json
import subprocess
import sys
from typing import Any

from tests.support.daemon import PROJECT

SEEDS = (1, 2)
"""One process each, all at the same time."""


def kill_everywhere(programme: str, kills: int, limit_seconds: float) -> list[dict[str, Any]]:
    """Run a programme once a seed, for so many kills in all; returns what each reports."""
    command = [sys.executable, "-W", "error", "-m", f"tests.support.{programme}"]
    command += ["--kills", str(kills // len(SEEDS))]
    running = [
        subprocess.Popen([*command, "--seed", str(seed)], cwd=PROJECT, stdout=subprocess.PIPE)
        for seed in SEEDS
    ]
    try:
        return [json.loads(one.communicate(timeout=limit_seconds)[0]) for one in running]
    finally:
        for one in running:
            one.kill()
            one.wait()
