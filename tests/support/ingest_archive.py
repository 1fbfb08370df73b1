"""A site's files as earlier runs have left them: on one side, on both, or in part."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemons.ingester.archive.episode import Episode, NewEpisode, epoch_ms
from daemons.ingester.archive.folders import (
    MANIFEST_PATH,
    audio_path,
    feed_path,
    search_entries_path,
    transcript_path,
)
from daemons.ingester.archive.keys import FileKey, cut_slug, utc_date
from daemons.ingester.archive.manifest import Manifest, with_episodes
from daemons.ingester.speech.entries import render_entries, search_entries
from daemons.ingester.speech.srt import render_srt
from tests.support.ingest_feed import Published
from tests.support.ingest_world import IngestWorld

FETCHED_AT = datetime(2025, 6, 9, 12, 37, 18, tzinfo=UTC)
EARLIER, LATER = timedelta(hours=-1), timedelta(hours=1)
Files = dict[str, bytes]


def key_of(episode: Published) -> str:
    """Return the file key that an earlier run has given."""
    return str(FileKey(utc_date(episode.at), cut_slug(episode.title), epoch_ms(FETCHED_AT)))


def archive(world: IngestWorld, site_id: str, episodes: Sequence[Published]) -> Files:
    """Return everything that a site has of these episodes, its feeds as they are now included."""
    entries = [entry_of(world, each) for each in episodes]
    manifest = with_episodes(Manifest(), entries, FETCHED_AT).manifest
    numbers = {each.file_key: each.sequential_id for each in manifest.episodes}
    files = {MANIFEST_PATH: manifest.to_bytes()}
    for podcast in world.sites[site_id].podcasts:
        files[feed_path(f"{podcast}.xml")] = world.feed(site_id, podcast)
    for episode in episodes:
        files |= episode_files(episode, numbers[key_of(episode)])
    return files


def episode_files(episode: Published, number: int) -> Files:
    """Return audio, transcript and search entries of one episode."""
    made = search_entries(episode.cues, sequential_id=number, published_ms=epoch_ms(episode.at))
    named = (episode.podcast, key_of(episode))
    return {
        audio_path(*named): episode.body,
        transcript_path(*named): render_srt(episode.cues).encode(),
        search_entries_path(*named): render_entries(made),
    }


def lay_here(
    world: IngestWorld, site_id: str, files: Mapping[str, bytes], since: timedelta = timedelta()
) -> None:
    """Put files into a site's mirror; `since` is how much later than now they changed."""
    at = datetime.now(UTC).timestamp() + since.total_seconds()
    for path, body in files.items():
        target: Path = world.project.mirror(site_id) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        os.utime(target, (at, at))


def lay_there(world: IngestWorld, site_id: str, files: Mapping[str, bytes]) -> None:
    """Put objects into a site's bucket, as of now."""
    world.s3.seed(world.sites[site_id].bucket, files)


def of(files: Mapping[str, bytes], *folders: str) -> Files:
    """Return the files of some folders."""
    return {path: body for path, body in files.items() if path.startswith(folders)}


def without(files: Mapping[str, bytes], *parts: str) -> Files:
    """Return the files whose path has none of these parts in it."""
    return {path: body for path, body in files.items() if not any(each in path for each in parts)}


def entry_of(world: IngestWorld, episode: Published) -> Episode:
    """Return an episode's entry in the manifest."""
    return NewEpisode(
        podcast_id=episode.podcast,
        title=episode.title,
        file_key=key_of(episode),
        audio_url=world.web.url(episode.path),
        summary=f"All about {episode.title}.",
        published_at=episode.at,
        downloaded_at=FETCHED_AT,
        duration_seconds=round(episode.seconds),
        guid=episode.guid_text,
    ).entry()
