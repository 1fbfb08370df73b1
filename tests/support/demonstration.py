"""Playing a chapter of the demonstration as a person starts it, with less of everything."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 280.0


def demo_command(folder: Path, part: str = "uploader") -> list[str]:
    """Return the command that plays a chapter."""
    return [
        *(sys.executable, "-m", "scripts.demo", "--scale", "small"),
        *("--folder", str(folder), "--part", part),
    ]


def play(folder: Path, part: str = "uploader") -> "subprocess.CompletedProcess[str]":
    """Play a chapter to its end."""
    return subprocess.run(
        demo_command(folder, part),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
