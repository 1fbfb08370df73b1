"""For tests of speech: audio made by ffmpeg, a stand-in for whisper.cpp, work in a folder."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemons.ingester.speech.backend import Piece

NEEDS_FFMPEG = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None,
    reason="ffmpeg and ffprobe are not installed: scripts/install_system_packages.sh",
)

_WHISPER = """\
#!{python} -IS
import json, os, pathlib, sys
here = pathlib.Path.cwd()
(here / "seen.json").write_text(json.dumps(sys.argv[1:]))
model, audio, output = sys.argv[2], sys.argv[4], sys.argv[7]
assert sys.argv[1:7] == ["-m", model, "-f", audio, "--output-srt", "-of"], sys.argv
assert sys.argv[8] == "--prompt" and len(sys.argv) == 10, sys.argv
assert pathlib.Path(model).is_file() and pathlib.Path(audio).is_file()
assert audio == output + ".mp3"
{behaviour}
"""
_WELL = """\
said = b"1\\r\\n00:00:00,500 --> 00:00:01,250\\r\\n Hello.\\r\\n"
pathlib.Path(output + ".srt").write_bytes(said)
"""


@dataclass(frozen=True)
class WhisperFolder:
    """A folder in which whisper.cpp seems to be built."""

    path: Path

    def behave(self, code: str = _WELL) -> None:
        """Write the program: it checks its arguments, then does this."""
        program = self.path / "build" / "bin" / "whisper-cli"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(_WHISPER.format(python=sys.executable, behaviour=code))
        program.chmod(0o755)
        model = self.path / "models" / "ggml-tiny.bin"
        model.parent.mkdir(exist_ok=True)
        model.write_bytes(b"weights")


def piece(folder: Path, name: str = "k.mp3.part1.mp3", length_ms: int = 1000) -> Piece:
    """Make a file for a recogniser that only looks whether it is there."""
    audio = folder / name
    audio.write_bytes(b"sound")
    return Piece(audio, "k", 0, length_ms)


def make_audio(target: Path, filters: str, *options: str) -> Path:
    """Have ffmpeg make audio of a filter's description."""
    argv: Sequence[str] = (
        *("ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", filters),
        *(*options, str(target)),
    )
    subprocess.run(argv, check=True, timeout=60)
    return target


def tones(each_seconds: int, count: int) -> str:
    """Describe tones, each higher than the one before."""
    # A period of the sine grows with the number of whole stretches that have passed.
    return (
        f"aevalsrc='0.5*sin(2*PI*t*(300+100*floor(t/{each_seconds})))'"
        f":s=44100:d={each_seconds * count}"
    )
