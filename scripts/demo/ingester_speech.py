"""Episodes that are really spoken, word for word as the transcript has it.

espeak-ng says them where it is installed; elsewhere a tone stands for each sentence, and the times
are as exact. Rule: a cue begins and ends where its sentence does, to the millisecond.
"""

import array
import itertools
import math
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemons.ingester.speech.srt import Cue
from scripts.demo.stage import DemoFailed, NotPlayed

_RATE = 22_050
_PAUSE = bytes(2 * int(_RATE * 0.3))
_TONE_SECONDS_A_WORD = 0.4
_LIMIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Spoken:
    """An episode's audio, and who said what when."""

    mp3: bytes
    cues: tuple[Cue, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.cues[-1].end_ms / 1000


def require_tools() -> str:
    """Return what speaks, in words; NotPlayed where audio could not even be looked into."""
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            raise NotPlayed(
                f"{program} is not installed; scripts/install_system_packages.sh installs it"
            )
    if shutil.which("espeak-ng"):
        return "spoken by espeak-ng"
    return "in tones, since espeak-ng is not installed"


def speak(sentences: Sequence[str], title: str) -> Spoken:
    """Say the sentences one after the other; returns an MP3 with that title, and the cues."""
    with tempfile.TemporaryDirectory(prefix="towpath-demo-") as name:
        folder = Path(name)
        sound, cues = bytearray(), []
        for number, sentence in enumerate(sentences):
            start_ms = _milliseconds(len(sound))
            sound += _said(sentence, number, folder)
            cues.append(Cue(start_ms, _milliseconds(len(sound)), sentence))
            sound += _PAUSE
        return Spoken(_encoded(bytes(sound), title, folder), tuple(cues))


def _said(sentence: str, number: int, folder: Path) -> bytes:
    if not shutil.which("espeak-ng"):
        return _tone(440.0 * 2 ** (number / 6), len(sentence.split()) * _TONE_SECONDS_A_WORD)
    path = folder / "said.wav"
    _run(["espeak-ng", "-w", str(path), "--", sentence])
    with wave.open(str(path), "rb") as spoken:
        if spoken.getframerate() != _RATE:
            raise DemoFailed(f"espeak-ng speaks at {spoken.getframerate()} Hz, not at {_RATE}")
        return spoken.readframes(spoken.getnframes())


def _tone(hertz: float, seconds: float) -> bytes:
    period = round(_RATE / hertz)
    wave_of_one = [int(9000 * math.sin(2 * math.pi * at / period)) for at in range(period)]
    samples = itertools.islice(itertools.cycle(wave_of_one), int(_RATE * seconds))
    return array.array("h", samples).tobytes()


def _encoded(sound: bytes, title: str, folder: Path) -> bytes:
    plain, packed = folder / "whole.wav", folder / "whole.mp3"
    with wave.open(str(plain), "wb") as whole:
        whole.setnchannels(1)
        whole.setsampwidth(2)
        whole.setframerate(_RATE)
        whole.writeframes(sound)
    _run(
        [
            *("ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(plain)),
            *("-metadata", f"title={title}", "-c:a", "libmp3lame", "-b:a", "48k", str(packed)),
        ]
    )
    return packed.read_bytes()


def _run(argv: Sequence[str]) -> None:
    try:
        # In a group of its own: Ctrl-C is ours to act on, and would look like its failure.
        subprocess.run(
            argv, check=True, capture_output=True, timeout=_LIMIT_SECONDS, process_group=0
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DemoFailed(f"{argv[0]} could not make the audio: {error}") from error


def _milliseconds(size: int) -> int:
    return round(size / 2 / _RATE * 1000)
