"""What is true of a site that is in step, however it came there."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemons.ingester.archive.episode import Episode, epoch_ms
from daemons.ingester.archive.folders import (
    MANIFEST_PATH,
    audio_path,
    feed_path,
    search_entries_path,
    transcript_path,
)
from daemons.ingester.archive.manifest import parse_manifest
from daemons.ingester.speech.entries import render_entries, search_entries
from daemons.ingester.speech.srt import decode_srt, parse_srt
from tests.support.ingest_world import IngestWorld, Run

Files = Mapping[str, bytes]

NOTHING_DONE = (
    *("totalFilesDownloaded", "totalFilesUploaded", "totalAudioFilesDownloaded"),
    *("totalEpisodesTranscribed", "totalSearchEntryFilesWritten", "errorCount"),
)
"""What is 0 in the summary of a run that found nothing to do."""


def check_in_step(world: IngestWorld, site_id: str, *, missing: Sequence[str] = ()) -> None:
    """Check that a site is what an undisturbed run makes of it; `missing` are titles without audio.

    Both sides are the same, every episode of the feeds is there once with all its files, all files
    agree with one another, and nothing unfinished is left anywhere.
    """
    faults = list(find_faults(world, site_id, missing))
    assert not faults, "\n".join(faults)


def check_idle(world: IngestWorld, *argv: str) -> Run:
    """Do one more run, which may write nothing anywhere: not here, not in S3, not in AWS."""
    before = world.touched()
    world.forget()

    run = world.run(*argv)

    assert run.status == 0, run.why
    assert {name: run.summary[name] for name in NOTHING_DONE} == dict.fromkeys(NOTHING_DONE, 0)
    assert world.writes() == []
    assert world.aws.invoked == []
    assert world.aws.invalidated == []
    assert world.touched() == before
    return run


def find_faults(
    world: IngestWorld, site_id: str, missing: Sequence[str] = (), *, killed: bool = False
) -> Iterator[str]:
    """Say what is not as it must be; a run that was `killed` leaves a folder for two hours."""
    local, remote = world.local(site_id), world.remote(site_id)
    for path in sorted(local.keys() | remote.keys()):
        if local.get(path) != remote.get(path):
            sides = [name for name, files in (("here", local), ("S3", remote)) if path in files]
            yield f"{path} differs; there is one in: {', '.join(sides)}"
    yield from _leftovers(world, site_id, killed=killed)
    if MANIFEST_PATH not in local:
        yield "there is no manifest"
        return
    episodes = parse_manifest(local[MANIFEST_PATH]).episodes
    yield from _content_faults(world, site_id, episodes)
    yield from _order_faults(episodes)
    yield from _file_faults(world, site_id, local, [e for e in episodes if e.title not in missing])


def manifest_of(files: Files) -> Sequence[Mapping[str, Any]]:
    """Return the entries of a manifest among files."""
    found: Sequence[Mapping[str, Any]] = json.loads(files[MANIFEST_PATH])["episodes"]
    return found


def _paths(episode: Episode) -> Sequence[str]:
    named = (episode.podcast_id, episode.file_key)
    return audio_path(*named), transcript_path(*named), search_entries_path(*named)


def _content_faults(world: IngestWorld, site_id: str, episodes: Sequence[Episode]) -> Iterator[str]:
    """Compare the manifest with what was published."""
    titles = Counter((each.podcast_id, each.title) for each in episodes)
    wanted = Counter((each.podcast, each.title) for each in world.published[site_id])
    if titles != wanted:
        yield f"the manifest lacks {wanted - titles} and has {titles - wanted} too much"


def _file_faults(
    world: IngestWorld, site_id: str, files: Files, episodes: Sequence[Episode]
) -> Iterator[str]:
    """Look into every file."""
    site = world.sites[site_id]
    feeds = {feed_path(f"{each}.xml"): each for each in site.podcasts}
    for path, podcast in feeds.items():
        if podcast not in site.inactive and files.get(path) != world.feed(site_id, podcast):
            yield f"{path} is not what was sent"
    bodies = {(each.podcast, each.title): each.body for each in world.published[site_id]}
    for episode in episodes:
        body = bodies.get((episode.podcast_id, episode.title))
        yield from _episode_faults(files, episode, body)
    expected = {MANIFEST_PATH, *feeds, *(path for each in episodes for path in _paths(each))}
    if others := sorted(files.keys() - expected):
        yield f"nobody has asked for {others}"


def _order_faults(episodes: Sequence[Episode]) -> Iterator[str]:
    numbers = [each.sequential_id for each in episodes]
    if numbers != list(range(1, len(episodes) + 1)):
        yield f"the episodes are numbered {numbers}"
    times = [each.published_at for each in episodes]
    if times != sorted(times, key=lambda at: at.timestamp() if at else 0.0):
        yield "the episodes are not in the order of their publication"


def _episode_faults(files: Files, episode: Episode, body: bytes | None) -> Iterator[str]:
    audio, transcript, entries = _paths(episode)
    for path in (audio, transcript, entries):
        if path not in files:
            yield f"{path} is missing"
            return
    if body is not None and files[audio] != body:
        yield f"{audio} is not what was published"
    parsed = parse_srt(decode_srt(files[transcript]))
    if not parsed.cues:
        yield f"{transcript} has no cue"
    at = episode.published_at
    published_ms = 0 if at is None else epoch_ms(at)
    made = search_entries(
        parsed.cues, sequential_id=episode.sequential_id, published_ms=published_ms
    )
    if files[entries] != render_entries(made):
        yield f"{entries} is not made of its transcript and number"


def _leftovers(world: IngestWorld, site_id: str, *, killed: bool) -> Iterator[str]:
    work = world.project.data / "work"
    for path in work.rglob("*"):
        if path.is_file() and not (killed and work / "speech" in path.parents):
            yield f"{path.relative_to(work)} was left in the work folder"
    for kind in ("pending", "stale", "locks"):
        for path in (world.state / kind).rglob("*"):
            if path.is_file() and (kind == "locks" or site_id in path.name):
                yield f"{kind}: {path.name} was left in the state folder"
