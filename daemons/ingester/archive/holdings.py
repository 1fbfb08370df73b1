"""Which files of which episodes are here, and which version of an episode counts. Pure.

| a key that has a newer version                          | is                                   |
|---------------------------------------------------------|--------------------------------------|
| in the manifest, and so is the newer one                | superseded                           |
| in the manifest, and the newer one is not               | current: nobody knows the newer one  |
| not in the manifest                                     | superseded, whatever the newer one is|

The second row is what a merge of two manifests can leave: S3's entry stays, and the files of the
local one, newer but named by no entry, must not take the episode out of the search.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.folders import Folder, comparable, episode_path
from daemons.ingester.archive.keys import superseded

PER_EPISODE = (Folder.AUDIO, Folder.TRANSCRIPTS, Folder.SEARCH_ENTRIES)
"""The folders that hold a file for each episode."""

Identity = tuple[str, str]
"""Podcast and file key, in the form in which names are compared."""


def _no_files() -> dict[Folder, dict[Identity, str]]:
    return {folder: {} for folder in PER_EPISODE}


@dataclass(slots=True)
class Holdings:
    """The files of a site's episodes; files of no bytes are not among them."""

    files: dict[Folder, dict[Identity, str]] = field(default_factory=_no_files)
    """Of each folder, what each file is called on disk, relative to the site, in order."""
    strays: list[str] = field(default_factory=list)
    """Files in these folders that lie where no episode's file lies."""

    def add(self, path: str, name: str) -> None:
        """Note a file by the path that it is compared by, and what the disk calls it."""
        found = episode_path(path)
        if found is None:
            self.strays.append(name)
        else:
            self.files[found.folder][found.podcast_id, found.file_key] = name

    def has(self, folder: Folder, identity: Identity) -> bool:
        """Say whether an episode has its file in a folder."""
        return identity in self.files[folder]

    def identities(self, *folders: Folder) -> set[Identity]:
        """Return what has a file in one of these folders, in any without a folder."""
        return {each for folder in folders or PER_EPISODE for each in self.files[folder]}

    def names(self, identity: Identity) -> tuple[str, ...]:
        """Return the files of an episode."""
        return tuple(
            self.files[folder][identity] for folder in PER_EPISODE if identity in self.files[folder]
        )

    def is_complete(self, identity: Identity) -> bool:
        """Say whether an episode has audio, transcript and search entries."""
        return all(identity in self.files[folder] for folder in PER_EPISODE)


def identity_of(episode: Episode) -> Identity:
    """Return what an entry's files are found by."""
    return episode.podcast_id, comparable(episode.file_key)


def by_identity(episodes: Iterable[Episode]) -> Mapping[Identity, Episode]:
    """Return entries by what their files are found by."""
    return {identity_of(episode): episode for episode in episodes}


def older_versions(
    identities: Iterable[Identity], listed: Container[Identity]
) -> Mapping[Identity, Identity]:
    """Return what is superseded, each with its current version; see the table above.

    `listed` is what the manifest has an entry for.
    """
    podcasts: defaultdict[str, list[str]] = defaultdict(list)
    for podcast, key in identities:
        podcasts[podcast].append(key)
    older: dict[Identity, Identity] = {}
    for podcast, keys in podcasts.items():
        known = [key for key in keys if (podcast, key) in listed]
        for key, current in superseded(keys).items():
            if (podcast, key) not in listed:
                older[podcast, key] = podcast, current
        for key, current in superseded(known).items():
            older[podcast, key] = podcast, current
    return older


def superseded_files(holdings: Holdings, listed: Container[Identity]) -> tuple[str, ...]:
    """Return the files of older versions whose current one has its transcript, sorted."""
    older = older_versions(holdings.identities(), listed)
    return tuple(
        sorted(
            name
            for identity, current in older.items()
            if holdings.has(Folder.TRANSCRIPTS, current)
            for name in holdings.names(identity)
        )
    )
