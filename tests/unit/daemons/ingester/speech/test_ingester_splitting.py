import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.speech.splitting import (
    CHUNK_BYTES,
    MEBIBYTE,
    SPLIT_BYTES,
    SPLIT_MS,
    AudioFacts,
    Chunk,
    brief_probe_argv,
    chunk_name,
    cut_argv,
    cut_seconds,
    measure_argv,
    needs_split,
    parse_measure,
    parse_probe,
    plan_chunks,
    probe_argv,
    settled,
)

MINUTE_MS = 60_000
AUDIO = "/data/audio/p/k.mp3"


def facts(minutes: float, mebibytes: float = 1) -> AudioFacts:
    """Return the facts of a file."""
    return AudioFacts(int(mebibytes * MEBIBYTE), int(minutes * MINUTE_MS), is_mp3=True)


@pytest.mark.parametrize(
    ("audio", "count"),
    [
        (facts(20, 25), 1),
        (AudioFacts(25 * MEBIBYTE + 1, 20 * MINUTE_MS, is_mp3=True), 2),
        (AudioFacts(MEBIBYTE, 20 * MINUTE_MS + 1, is_mp3=True), 2),
        (AudioFacts(MEBIBYTE, 20 * MINUTE_MS + 1000, is_mp3=True), 2),
        (facts(40), 2),
        (facts(40.001), 3),
        (facts(10, 26), 2),
        (facts(30, 41), 3),
        (facts(120, 110), 6),
        (facts(120, 160), 8),
        (facts(0.01, 1), 1),
    ],
)
def test_audio_is_cut_into_as_few_chunks_as_may_be(audio: AudioFacts, count: int) -> None:
    """Both limits are strict; 20:01 gave a chunk of one second, which is two of ten minutes."""
    chunks = plan_chunks(audio)

    assert len(chunks) == count
    assert needs_split(audio) == (count > 1)


@given(st.integers(1, 20 * 3_600_000), st.integers(1, 4 * 1024 * MEBIBYTE))
def test_chunks_cover_everything_and_none_is_a_tail(duration_ms: int, size: int) -> None:
    """No gap, no overlap, equal to a millisecond, and never longer than the greatest length."""
    chunks = plan_chunks(AudioFacts(size, duration_ms, is_mp3=True))

    assert chunks[0].start_ms == 0
    assert sum(chunk.length_ms for chunk in chunks) == duration_ms
    for number, chunk in enumerate(chunks, start=1):
        assert chunk.number == number
        assert chunk.is_last == (number == len(chunks))
        assert chunk.is_last or chunk.start_ms + chunk.length_ms == chunks[number].start_ms
    lengths = {chunk.length_ms for chunk in chunks}
    assert max(lengths) - min(lengths) <= 1
    if size > SPLIT_BYTES or duration_ms > SPLIT_MS:
        # The contract's own formula: min(20 min, 20 MiB / (MiB per minute)).
        greatest = min(Fraction(SPLIT_MS), Fraction(CHUNK_BYTES * duration_ms, size))
        assert len(chunks) == -(-duration_ms // greatest)


def test_the_commands_are_those_of_the_contract() -> None:
    """Flags in another place are taken, and have no effect."""
    chunk = Chunk(2, 600_500, 600_500)

    assert probe_argv("ffprobe", AUDIO) == (
        *("ffprobe", "-v", "quiet", "-print_format", "json", "-show_format"),
        *("-protocol_whitelist", "file", "/data/audio/p/k.mp3"),
    )
    assert cut_argv("ffmpeg", AUDIO, "/w/k.mp3.part2.mp3", chunk, is_mp3=True) == (
        *("ffmpeg", "-nostdin", "-y", "-v", "error"),
        *("-fflags", "+discardcorrupt", "-err_detect", "ignore_err"),
        *("-protocol_whitelist", "file", "-i", "/data/audio/p/k.mp3"),
        *("-ss", "600.500", "-t", "600.500", "-map", "0:a:0"),
        *("-c:a", "copy", "-write_xing", "0"),
        *("-avoid_negative_ts", "make_zero", "/w/k.mp3.part2.mp3"),
    )
    last = cut_argv("f", AUDIO, AUDIO, Chunk(3, 7, 1000, is_last=True), is_mp3=False)
    assert last[last.index("-t") + 1] == "2.000"
    assert last[last.index("-ss") + 1] == "0.007"
    assert last[last.index("-c:a") + 1] == "libmp3lame"
    assert "-write_xing" not in last
    assert chunk_name("2024-07-25_A--1721921400000", 2) == (
        "2024-07-25_A--1721921400000.mp3.part2.mp3"
    )


def test_the_other_commands_stay_on_this_machine() -> None:
    """A file from the web may name other files and places; ffmpeg would open them."""
    for argv in (brief_probe_argv("ffprobe", AUDIO), measure_argv("ffmpeg", AUDIO)):
        assert argv[argv.index("-protocol_whitelist") + 1] == "file"
        assert AUDIO in argv


@pytest.mark.parametrize(("length_ms", "seconds"), [(1000, 60), (60_000, 60), (1_200_000, 1200)])
def test_a_cut_has_time_for_its_length(length_ms: int, seconds: float) -> None:
    """Thirty seconds were too few for slow disks."""
    assert cut_seconds(Chunk(1, 0, length_ms)) == seconds


def probe(**fields: object) -> str:
    """Write what ffprobe writes."""
    return json.dumps({"format": {"format_name": "mp3", "duration": "63.242449", **fields}})


@pytest.mark.parametrize(
    ("text", "duration_ms", "is_mp3"),
    [
        (probe(), 63_243, True),
        (probe(duration="1200.000000"), 1_200_000, True),
        (probe(duration="1200.000001"), 1_200_001, True),
        (probe(duration=12.5), 12_500, True),
        (probe(format_name="mov,mp4,m4a,3gp,3g2,mj2"), 63_243, False),
        (probe(format_name="aac"), 63_243, False),
        (probe(duration="N/A"), 0, True),
        (probe(duration="-1"), 0, True),
        (probe(duration="nan"), 0, True),
        (probe(duration="inf"), 0, True),
        (probe(duration=None), 0, True),
        (probe(duration="1e300"), 14 * 24 * 3_600_000, True),
    ],
)
def test_a_probe_is_read(text: str, duration_ms: int, *, is_mp3: bool) -> None:
    """Up to the next millisecond: what is cut too short is lost."""
    expected = AudioFacts(10, duration_ms, is_mp3)

    assert parse_probe(text, 10) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "{}", "[]", '{"format": 1}', '{"format": {}}', "[" * 100_000),
        *(probe(format_name=""), probe(format_name=3), probe(format_name="hls")),
        probe(format_name="concat"),
    ],
)
def test_what_is_no_audio_is_said_to_be_none(text: str) -> None:
    """An error page called .mp3 costs its episode, and says so."""
    with pytest.raises(ValueError, match=r"has the format|nothing that ffprobe"):
        parse_probe(text, 10)


def test_the_last_count_of_packets_counts() -> None:
    """It tells its progress several times."""
    assert parse_measure("out_time_us=1065\nprogress=continue\nout_time_us=63217392\n") == 63_217
    assert parse_measure("out_time_us=N/A\n") == 0


@pytest.mark.parametrize(
    ("probed_ms", "measured_ms", "expected_ms"),
    [
        (60_000, 0, 60_000),
        (60_000, 60_900, 60_000),
        (60_000, 59_100, 60_000),
        (30_000, 60_076, 60_076),  # stitched of two pieces
        (90_000, 60_000, 60_000),
        (0, 60_000, 60_000),
    ],
)
def test_packets_win_where_they_contradict(
    probed_ms: int, measured_ms: int, expected_ms: int
) -> None:
    """Of a file with advertisements ffprobe may know half: the rest would never be transcribed."""
    assert settled(AudioFacts(1, probed_ms, is_mp3=True), measured_ms).duration_ms == expected_ms


def test_audio_without_length_is_none() -> None:
    """There is nothing to plan with."""
    with pytest.raises(ValueError, match="has no length"):
        settled(AudioFacts(1, 0, is_mp3=True), 0)
