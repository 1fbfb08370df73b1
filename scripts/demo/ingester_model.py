"""The one episode that a real model hears: tiny, of random weights, made here and never fetched.

Where faster-whisper is not installed, the double hears that episode like the others.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.demo.stage import PROJECT, DemoFailed

_MAKER = PROJECT / "tests" / "support" / "tiny_whisper.py"
_HAS_LIBRARY = "import importlib.util as u, sys; sys.exit(u.find_spec('faster_whisper') is None)"
_LIMIT_SECONDS = 100


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears the labelled episode."""

    words: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its site is told; nothing: the double hears it."""

    @property
    def is_model(self) -> bool:
        """Whether what is heard means nothing."""
        return bool(self.variables)


def find_listener(folder: Path) -> Listener:
    """Make a tiny model in this folder, where there is a library that can use it.

    Raises:
        DemoFailed: there is one, and it did not make the model.
    """
    python = os.environ.get("FASTER_WHISPER_PYTHON", sys.executable)
    try:
        _run(python, "-c", _HAS_LIBRARY)
    except (OSError, subprocess.SubprocessError):
        return Listener("heard by the double, since faster-whisper is not installed")
    try:
        _run(python, str(_MAKER), str(folder))
    except (OSError, subprocess.SubprocessError) as error:
        raise DemoFailed(f"the tiny model could not be made: {error}") from error
    variables = {
        "WHISPER_API_PROVIDER": "faster-whisper",
        "FASTER_WHISPER_MODEL": str(folder),
        "FASTER_WHISPER_LANGUAGE": "en",
        "FASTER_WHISPER_THREADS": "1",
        "FASTER_WHISPER_PYTHON": python,
    }
    words = "heard by faster-whisper with a tiny model of random weights, so that it is nonsense"
    return Listener(words, variables)


def _run(python: str, *argv: str) -> None:
    # In a group of its own: Ctrl-C is ours to act on, and would look like its failure.
    subprocess.run(
        [python, "-I", *argv],
        check=True,
        capture_output=True,
        timeout=_LIMIT_SECONDS,
        process_group=0,
    )
