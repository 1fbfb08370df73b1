"""What a recogniser is told before it listens: the site's words, then the last chunk's end. Pure.

A recogniser's prompt is counted in its own tokens, which only its vocabulary knows. Four bytes a
token is right for English and on the safe side for most others.
"""

from collections.abc import Sequence

from daemons.ingester.speech.srt import Cue

CARRIED_TOKENS = 200
_BYTES_A_TOKEN = 4


def next_prompt(site_prompt: str, before: Sequence[Cue]) -> str:
    """Return the prompt of the chunk after these cues; without cues the site's, as it is."""
    tail = last_words(before, CARRIED_TOKENS * _BYTES_A_TOKEN)
    return f"{site_prompt} {tail}" if tail else site_prompt


def last_words(cues: Sequence[Cue], most_bytes: int) -> str:
    """Return the end of what was said, whole words where there are any."""
    words: list[str] = []
    left = most_bytes
    for cue in reversed(cues):
        words[:0] = cue.text.split()
        left -= len(cue.text.encode()) + 1
        if left < 0:
            break
    text = " ".join(words)
    if len(text.encode()) <= most_bytes:
        return text
    cut = text.encode()[-most_bytes:].decode("utf-8", "ignore")
    # Text without spaces, as Japanese is written, has no words to keep whole.
    return cut.partition(" ")[2] or cut
