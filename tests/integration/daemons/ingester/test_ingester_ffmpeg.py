import array
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp.web import BaseRequest, StreamResponse

from daemons.ingester.speech.audio import AudioTools, AudioUnusable
from daemons.ingester.speech.double import Double
from daemons.ingester.speech.splitting import AudioFacts, Chunk
from daemons.ingester.speech.srt import Cue, render_srt
from daemons.ingester.speech.transcribe import EpisodeAudio, Transcribed, Transcriber
from tests.support.podcast_web import PodcastWeb
from tests.support.serving import plain
from tests.support.speaking import NEEDS_FFMPEG, make_audio, tones

pytestmark = NEEDS_FFMPEG

MP3 = ("-c:a", "libmp3lame", "-b:a", "32k")
HEADERLESS = ("-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0")
RATE = 8000


def heard(audio: Path) -> Sequence[int]:
    """Decode audio to samples."""
    argv = ("ffmpeg", "-nostdin", "-v", "quiet", "-i", str(audio), "-ac", "1", "-ar", str(RATE))
    done = subprocess.run((*argv, "-f", "s16le", "-"), check=True, capture_output=True, timeout=60)
    return array.array("h", done.stdout)


def pitch(samples: Sequence[int], second: float) -> int:
    """Return the frequency at a moment, to the next hundred."""
    part = samples[int(second * RATE) - RATE // 20 : int(second * RATE) + RATE // 20]
    crossings = sum((left < 0) != (right < 0) for left, right in pairwise(part))
    return round(crossings * 5 / 100) * 100


@pytest.mark.asyncio
async def test_a_file_is_what_is_in_it(tmp_path: Path) -> None:
    """Podcasts have AAC in files that end in .mp3."""
    mp3 = make_audio(tmp_path / "a.mp3", "sine=duration=3.5", *MP3)
    aac = make_audio(tmp_path / "b.m4a", "sine=duration=2", "-c:a", "aac")
    aac = aac.rename(tmp_path / "b.mp3")

    facts, other = await AudioTools().examine(mp3), await AudioTools().examine(aac)

    assert facts.is_mp3
    assert not other.is_mp3
    assert abs(facts.duration_ms - 3500) < 100
    assert abs(other.duration_ms - 2000) < 100
    assert facts.size_bytes == mp3.stat().st_size


@pytest.mark.asyncio
async def test_tags_of_any_length_are_passed_over(tmp_path: Path) -> None:
    """Some shows put all their notes into a tag, and only the end of an output is kept."""
    notes = "\n".join(f"{number}: password=notes-and-more-notes" for number in range(2500))
    audio = make_audio(tmp_path / "a.mp3", "sine=duration=1", *MP3, "-metadata", f"comment={notes}")

    facts = await AudioTools().examine(audio)

    assert facts.is_mp3
    assert abs(facts.duration_ms - 1000) < 100


@pytest.mark.asyncio
async def test_the_length_of_a_stitched_file_is_counted(tmp_path: Path) -> None:
    """With an advertisement of a higher bit rate in front, half of the length was never cut."""
    advertisement = make_audio(tmp_path / "1.mp3", "sine=duration=4", *HEADERLESS, "-b:a", "128k")
    show = make_audio(tmp_path / "2.mp3", "sine=duration=12", *HEADERLESS, "-b:a", "32k")
    stitched = tmp_path / "k.mp3"
    stitched.write_bytes(advertisement.read_bytes() + show.read_bytes())

    facts = await AudioTools().examine(stitched)

    assert abs(facts.duration_ms - 16_000) < 200


@pytest.mark.asyncio
@pytest.mark.parametrize("is_mp3", [True, False])
async def test_chunks_begin_and_end_where_they_should(tmp_path: Path, *, is_mp3: bool) -> None:
    """A cue is late by as much as its chunk was cut wrongly."""
    name, codec = ("a.mp3", ("-c:a", "libmp3lame", "-q:a", "6")) if is_mp3 else ("a.m4a", ())
    audio = make_audio(tmp_path / name, tones(4, 3), *codec)
    chunks = (Chunk(1, 0, 6000), Chunk(2, 6000, 6000, is_last=True))
    samples = []

    for chunk in chunks:
        target = tmp_path / f"k.mp3.part{chunk.number}.mp3"
        await AudioTools().cut(audio, target, chunk, is_mp3=is_mp3)
        samples.append(heard(target))

    assert [len(each) / RATE for each in samples] == pytest.approx([6, 6], abs=0.06)
    # What a copied chunk's first frames refer to is not in it: they are silent, for 0.1 s or less.
    # The tones change after 4, and after 8 seconds: two seconds into the second chunk.
    assert [pitch(samples[0], second) for second in (1, 3.94, 4.06, 5.9)] == [300, 300, 400, 400]
    assert [pitch(samples[1], second) for second in (0.2, 1.94, 2.06, 5.9)] == [400, 400, 500, 500]


@pytest.mark.asyncio
async def test_cover_art_is_not_taken_for_sound(tmp_path: Path) -> None:
    """It may be the first stream of a file."""
    sound = make_audio(tmp_path / "s.mp3", "sine=duration=2", *MP3)
    audio = make_audio(
        tmp_path / "a.mp3",
        "color=red:size=16x16:duration=1:rate=1",
        *("-i", str(sound), "-map", "0:v", "-map", "1:a", "-c:a", "copy", "-c:v", "png"),
        *("-disposition:v", "attached_pic"),
    )

    await AudioTools().cut(audio, tmp_path / "c.mp3", Chunk(1, 0, 2000), is_mp3=True)

    assert abs(len(heard(tmp_path / "c.mp3")) / RATE - 2) < 0.1


@pytest.mark.asyncio
async def test_audio_with_a_broken_middle_is_cut_all_the_same(tmp_path: Path) -> None:
    """Discarding what is corrupt works only before the input."""
    audio = make_audio(tmp_path / "a.mp3", "sine=duration=8", *MP3)
    body = bytearray(audio.read_bytes())
    body[len(body) // 2 : len(body) // 2 + 3000] = bytes(3000)
    audio.write_bytes(body)

    facts = await AudioTools().examine(audio)
    await AudioTools().cut(audio, tmp_path / "c.mp3", Chunk(1, 0, 8000, is_last=True), is_mp3=True)

    assert facts.duration_ms > 6500
    assert len(heard(tmp_path / "c.mp3")) / RATE > 6.5


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"<html>404</html>", b"", bytes(5000), b"ID3\x04garbage"])
async def test_what_is_no_audio_costs_only_itself(tmp_path: Path, body: bytes) -> None:
    """Old downloads kept error pages under the name of an episode."""
    audio = tmp_path / "a.mp3"
    audio.write_bytes(body)

    with pytest.raises(AudioUnusable, match=r"^audio 'a\.mp3' "):
        await AudioTools().examine(audio)


@pytest.mark.asyncio
async def test_a_playlist_leads_nowhere(tmp_path: Path) -> None:
    """A hostile feed could have ffmpeg ask the metadata service of the machine."""
    audio = tmp_path / "a.mp3"

    async def secret(_request: BaseRequest) -> StreamResponse:
        return plain(200, "secret")

    with PodcastWeb() as web:
        web.pages["/latest.ts"] = [secret]
        place = f"http://127.0.0.1:{web.port}/latest.ts"
        audio.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{place}\n#EXT-X-ENDLIST\n")

        with pytest.raises(AudioUnusable):
            await AudioTools().examine(audio)

        assert web.seen == []


@pytest.mark.asyncio
async def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    """Not as if the audio were to blame."""
    audio = tmp_path / "a.mp3"
    audio.write_bytes(b"x")

    with pytest.raises(AudioUnusable, match="'no-ffprobe' not found on PATH"):
        await AudioTools(ffprobe="no-ffprobe").examine(audio)
    with pytest.raises(AudioUnusable, match="'no-ffmpeg' not found on PATH"):
        await AudioTools(ffmpeg="no-ffmpeg").cut(audio, audio, Chunk(1, 0, 1), is_mp3=True)


@pytest.mark.asyncio
async def test_an_episode_of_twenty_one_minutes_comes_out_as_it_was_said(tmp_path: Path) -> None:
    """Cut for real and joined: no cue is lost or moved by a millisecond."""
    key = "2022-09-27_A--1749472638931"
    minutes = 21
    silence = ("-c:a", "libmp3lame", "-b:a", "8k", "-ar", "8000", "-ac", "1")
    audio = make_audio(
        tmp_path / f"{key}.mp3", f"anullsrc=r=8000:cl=mono:d={minutes * 60}", *silence
    )
    known = [Cue(at * 7013, at * 7013 + 6999, f"Sentence {at}.") for at in range(179)]
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / f"{key}.srt").write_text(render_srt(known))
    transcript = tmp_path / "transcripts" / f"{key}.srt"
    transcriber = Transcriber(
        Double(tmp_path / "known"), work=tmp_path / "work", locks=tmp_path / "locks"
    )
    await transcriber.check()

    done = await transcriber.transcribe(EpisodeAudio("p", key, audio, transcript, "Prompt."))

    assert isinstance(done, Transcribed)
    assert done.chunks == 2
    assert transcript.read_text() == render_srt(known)
    assert await AudioTools().examine(audio) == AudioFacts(
        audio.stat().st_size, round(done.audio_seconds * 1000), is_mp3=True
    )
