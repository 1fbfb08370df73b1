"""Whether and where audio is cut before it is recognised, and with which commands. Pure.

| audio                                             | is                                         |
|---------------------------------------------------|--------------------------------------------|
| at most 25 MiB and at most 20 min, MP3 inside     | recognised as it lies there                |
| at most 25 MiB and at most 20 min, anything else  | one chunk, encoded as MP3                  |
| more than either                                  | equal chunks, each <= 20 min and <= 20 MiB |

What a file is called says nothing: a podcast's `.mp3` may hold AAC. What ffprobe says about the
length is a guess where the file was stitched together from pieces, as those with advertisements
are: half of it or twice as much. So the packets are counted too, and win where they contradict.
"""

import json
import math
import re
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
SPLIT_BYTES = 25 * MEBIBYTE
"""Larger files are split."""
SPLIT_MS = 20 * 60 * 1000
"""Longer ones too; and no chunk is longer."""
CHUNK_BYTES = 20 * MEBIBYTE
"""No chunk has more of the file's bytes."""

_TOLERANCE_MS = 1000
"""Up to here ffprobe is believed; so far beyond the end the last cut reaches."""
_CUT_LEAST_SECONDS = 60.0
_SECOND_MS = 1000
_MICROSECONDS = 1000
_LONGEST_MS = 14 * 24 * 3600 * _SECOND_MS
_OUT_TIME = re.compile(r"^out_time_us=(\d{1,18})$", re.MULTILINE | re.ASCII)
_NOT_AUDIO = frozenset({"hls", "concat", "dash", "sdp", "rtsp", "tty", "image2"})
"""Formats that lead to other files or places, or are only what text looks like."""
# Before what is copied ffmpeg writes a header that has decoders skip a tenth of a second of sound.
_COPY = ("copy", "-write_xing", "0")
_ENCODE = ("libmp3lame",)
# A file from the web must not make ffmpeg open what it names.
_LOCAL_ONLY = ("-protocol_whitelist", "file")


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What is known of a file of audio."""

    size_bytes: int
    duration_ms: int
    is_mp3: bool
    """What is inside, whatever it is called."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of audio."""

    number: int
    """From 1."""
    start_ms: int
    length_ms: int
    is_last: bool = False


def needs_split(facts: AudioFacts) -> bool:
    """Say whether a file is too large or too long to be recognised at once."""
    return facts.size_bytes > SPLIT_BYTES or facts.duration_ms > SPLIT_MS


def plan_chunks(facts: AudioFacts) -> tuple[Chunk, ...]:
    """Return the chunks: one, or the fewest equal ones that are short and small enough.

    They follow one another without a gap and cover everything; lengths differ by a millisecond at
    most.
    """
    # The greatest length is the lesser of 20 min and 20 MiB at this file's rate; the number of
    # chunks that follows needs no division of one by the other.
    count = 1
    if needs_split(facts):
        by_time = -(-facts.duration_ms // SPLIT_MS)
        by_size = -(-facts.size_bytes // CHUNK_BYTES)
        count = max(by_time, by_size)
    edges = [facts.duration_ms * at // count for at in range(count + 1)]
    return tuple(
        Chunk(at + 1, edges[at], edges[at + 1] - edges[at], is_last=at + 1 == count)
        for at in range(count)
    )


def chunk_name(file_key: str, number: int) -> str:
    """Return what a chunk's file is called."""
    return f"{file_key}.mp3.part{number}.mp3"


def probe_argv(ffprobe: str, audio: str) -> tuple[str, ...]:
    """Return the command that tells format and length."""
    return (
        *(ffprobe, "-v", "quiet", "-print_format", "json", "-show_format"),
        *(*_LOCAL_ONLY, audio),
    )


def brief_probe_argv(ffprobe: str, audio: str) -> tuple[str, ...]:
    """Return the same without tags, for files whose tags are longer than what is kept."""
    return (
        *(ffprobe, "-v", "quiet", "-print_format", "json"),
        *("-show_entries", "format=format_name,duration", *_LOCAL_ONLY, audio),
    )


def measure_argv(ffmpeg: str, audio: str) -> tuple[str, ...]:
    """Return the command that counts the packets: it reads everything and decodes nothing."""
    return (
        *(ffmpeg, "-nostdin", "-v", "quiet", "-fflags", "+discardcorrupt", *_LOCAL_ONLY),
        *("-i", audio, "-map", "0:a:0", "-c:a", "copy", "-f", "null"),
        *("-nostats", "-progress", "pipe:1", "-"),
    )


def cut_argv(
    ffmpeg: str, audio: str, target: str, chunk: Chunk, *, is_mp3: bool
) -> tuple[str, ...]:
    """Return the command that cuts one chunk out.

    The place stands after `-i`: before it ffmpeg seeks by estimate in files without an index.
    """
    length_ms = chunk.length_ms + (_TOLERANCE_MS if chunk.is_last else 0)
    return (
        *(ffmpeg, "-nostdin", "-y", "-v", "error"),
        *("-fflags", "+discardcorrupt", "-err_detect", "ignore_err", *_LOCAL_ONLY),
        *("-i", audio, "-ss", seconds_text(chunk.start_ms), "-t", seconds_text(length_ms)),
        *("-map", "0:a:0", "-c:a", *(_COPY if is_mp3 else _ENCODE)),
        *("-avoid_negative_ts", "make_zero", target),
    )


def cut_seconds(chunk: Chunk) -> float:
    """Return how long a cut may take."""
    return max(_CUT_LEAST_SECONDS, chunk.length_ms / _SECOND_MS)


def seconds_text(milliseconds: int) -> str:
    """Write milliseconds as seconds, exactly."""
    seconds, fraction = divmod(milliseconds, _SECOND_MS)
    return f"{seconds}.{fraction:03}"


def parse_probe(text: str, size_bytes: int) -> AudioFacts:
    """Read what ffprobe said; ValueError when it is no audio that could be recognised.

    A length that it does not know is 0: the packets may tell.
    """
    found = _format_of(text)
    name = found.get("format_name")
    names = name.split(",") if isinstance(name, str) and name else []
    if not names or _NOT_AUDIO.intersection(names):
        raise ValueError(f"has the format {name!r}, which is no audio")
    return AudioFacts(size_bytes, _duration_ms(found.get("duration")), is_mp3="mp3" in names)


def parse_measure(text: str) -> int:
    """Return the length that ffmpeg has counted last, 0 where it says nothing."""
    found = _OUT_TIME.findall(text)
    return min(int(found[-1]) // _MICROSECONDS, _LONGEST_MS) if found else 0


def settled(facts: AudioFacts, measured_ms: int) -> AudioFacts:
    """Return the facts with the length that is to be believed; ValueError when nobody knows it."""
    duration_ms = facts.duration_ms
    if measured_ms and abs(measured_ms - duration_ms) > _TOLERANCE_MS:
        duration_ms = measured_ms
    if duration_ms <= 0:
        raise ValueError("has no length; it may hold no audio at all")
    return AudioFacts(facts.size_bytes, duration_ms, facts.is_mp3)


def _format_of(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is nothing that ffprobe can read") from None
    part = found.get("format") if isinstance(found, dict) else None
    return part if isinstance(part, dict) else {}


def _duration_ms(value: object) -> int:
    """Return a length in milliseconds; 0 where there is none."""
    try:
        seconds = float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return 0
    if not math.isfinite(seconds) or seconds <= 0:
        return 0
    return min(math.ceil(round(seconds * _SECOND_MS, 3)), _LONGEST_MS)
