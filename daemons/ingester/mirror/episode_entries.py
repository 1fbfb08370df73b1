"""What the search entries of an episode must be: its transcript, its number, its time. Pure."""

from datetime import UTC, datetime

from daemons.ingester.archive.episode import Episode, epoch_ms
from daemons.ingester.speech.entries import render_entries, search_entries
from daemons.ingester.speech.srt import decode_srt, parse_srt


def expected_entries(episode: Episode, transcript: bytes) -> bytes:
    """Return what the file of an episode's search entries must hold."""
    at = published_at(episode)
    return render_entries(
        search_entries(
            parse_srt(decode_srt(transcript)).cues,
            sequential_id=episode.sequential_id,
            published_ms=0 if at is None else epoch_ms(at),
        )
    )


def published_at(episode: Episode) -> datetime | None:
    """Return when an episode was published: by its entry, else by its key; None where none says."""
    if episode.published_at is not None:
        return episode.published_at
    try:
        return datetime.fromisoformat(episode.date).replace(tzinfo=UTC)
    except ValueError:
        return None
