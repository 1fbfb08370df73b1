"""Whether the files of a site belong together: what is missing, left over or out of date. Pure.

| kind                | is      | because                                                          |
|---------------------|---------|------------------------------------------------------------------|
| `missing-file`      | error   | audio without transcript or search entries; an entry of the      |
|                     |         | manifest without any file                                        |
| `manifest-mismatch` | error   | files without an entry in the manifest                           |
| `parse-error`       | error   | a name that is no file key, or content that cannot be read       |
| `stale-entries`     | error   | search entries that are not what transcript and manifest give    |
| `duplicate-ids`     | error   | one id twice among all search entries, one number twice in the   |
|                     |         | manifest                                                         |
| `orphaned-file`     | warning | transcript or search entries without audio                       |
| `duplicate-versions`| warning | an older version of an episode is still there                    |
| `no-punctuation`    | warning | 45 s or more of a transcript without `.`, `!` or `?`             |

An older version is named once, as such: what it lacks is no error, since nobody will make it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.folders import Folder
from daemons.ingester.archive.holdings import (
    PER_EPISODE,
    Holdings,
    Identity,
    by_identity,
    older_versions,
)
from daemons.ingester.archive.keys import parse_key
from daemons.ingester.notes import NAMED_MAX
from daemons.ingester.speech.judge import UNPUNCTUATED_MS
from shared.errors import ExitStatus

_SECOND_MS = 1000


class Kind(StrEnum):
    """What is wrong, under the name that reports have for it."""

    MISSING_FILE = "missing-file"
    MANIFEST_MISMATCH = "manifest-mismatch"
    PARSE_ERROR = "parse-error"
    STALE_ENTRIES = "stale-entries"
    DUPLICATE_IDS = "duplicate-ids"
    ORPHANED_FILE = "orphaned-file"
    DUPLICATE_VERSIONS = "duplicate-versions"
    NO_PUNCTUATION = "no-punctuation"

    @property
    def is_error(self) -> bool:
        """Whether it is an error; a warning if not."""
        return self not in _WARNINGS


_WARNINGS = frozenset({Kind.ORPHANED_FILE, Kind.DUPLICATE_VERSIONS, Kind.NO_PUNCTUATION})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    item: str
    """A path of the site, or `podcast/key` of an episode."""
    message: str

    def to_json(self) -> Mapping[str, object]:
        """Return it as the report has it."""
        level = "error" if self.kind.is_error else "warning"
        return {
            "type": self.kind.value,
            "level": level,
            "item": self.item,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """What a site has."""

    audio: int = 0
    transcripts: int = 0
    search_entries: int = 0
    """Files of search entries."""
    manifest_entries: int = 0
    episodes: int = 0
    """Different episodes that a file or the manifest speaks of; all versions of one are one."""

    def to_json(self) -> Mapping[str, int]:
        """Return them as the report has them."""
        return {
            "audioFiles": self.audio,
            "transcriptFiles": self.transcripts,
            "searchEntryFiles": self.search_entries,
            "manifestEntries": self.manifest_entries,
            "episodes": self.episodes,
        }


@dataclass(slots=True)
class ConsistencyReport:
    """What a check of one site found."""

    site_id: str
    counts: Counts = field(default_factory=Counts)
    findings: list[Finding] = field(default_factory=list)
    """The first of each kind, up to a bound; all are counted."""
    found: Counter[Kind] = field(default_factory=Counter)

    def add(self, kind: Kind, item: str, message: str) -> None:
        """Count a finding, and keep it while there is room for its kind."""
        self.found[kind] += 1
        if self.found[kind] <= NAMED_MAX:
            self.findings.append(Finding(kind, item, message))

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(count for kind, count in self.found.items() if kind.is_error)

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return sum(count for kind, count in self.found.items() if not kind.is_error)

    @property
    def status(self) -> ExitStatus:
        """The exit status of a check: 0, 1 with errors, 2 with warnings alone."""
        if self.errors:
            return ExitStatus.UNEXPECTED
        # The contract of this check gives 2 a meaning of its own.
        return ExitStatus.USAGE if self.warnings else ExitStatus.DONE

    def to_json(self) -> Mapping[str, object]:
        """Return the whole report."""
        return {
            "siteId": self.site_id,
            "counts": self.counts.to_json(),
            "errorCount": self.errors,
            "warningCount": self.warnings,
            "countsByType": {kind.value: self.found[kind] for kind in Kind},
            "findings": [finding.to_json() for finding in self.findings],
        }

    def to_text(self) -> str:
        """Return it for people, errors last."""
        names = (
            *("audio files", "transcripts", "files of search entries", "manifest entries"),
            "episodes",
        )
        counts = zip(self.counts.to_json().values(), names, strict=True)
        lines = [f"site {self.site_id}: {', '.join(f'{count} {name}' for count, name in counts)}"]
        for kind in sorted(self.found, key=_errors_last):
            level = "error" if kind.is_error else "warning"
            named = [finding for finding in self.findings if finding.kind is kind]
            lines.append(f"{level}: {kind.value}: {self.found[kind]}")
            lines += [f"  {_on_one_line(finding.item)}: {finding.message}" for finding in named]
            if self.found[kind] > len(named):
                lines.append(f"  and {self.found[kind] - len(named)} more")
        lines.append(f"{_counted(self.errors, 'error')}, {_counted(self.warnings, 'warning')}")
        return "\n".join(lines)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def compare_holdings(
    report: ConsistencyReport, holdings: Holdings, episodes: Iterable[Episode]
) -> None:
    """Judge what is there by names alone."""
    listed = list(episodes)
    entries = by_identity(listed)
    here = holdings.identities()
    older = older_versions(here, entries.keys())
    report.counts = _count(holdings, here | entries.keys(), len(listed))
    for name in sorted(holdings.strays):
        report.add(Kind.PARSE_ERROR, name, "no file of an episode lies there")
    for identity in sorted(here):
        _judge(report, holdings, identity, entries, older.get(identity))
    for identity in sorted(entries.keys() - here):
        report.add(Kind.MISSING_FILE, _shown(identity), "the manifest has it, and no file is here")
    numbers = Counter(episode.sequential_id for episode in listed)
    for number, count in sorted(numbers.items()):
        if count > 1:
            message = f"{count} entries of the manifest have this sequentialId"
            report.add(Kind.DUPLICATE_IDS, str(number), message)


def _judge(
    report: ConsistencyReport,
    holdings: Holdings,
    identity: Identity,
    entries: Mapping[Identity, Episode],
    newer: Identity | None,
) -> None:
    """Judge the files of one key."""
    names = holdings.names(identity)
    if newer is not None:
        for name in names:
            report.add(Kind.DUPLICATE_VERSIONS, name, f"the newer version is {newer[1]!r}")
        return
    if fault := _key_fault(identity[1]):
        for name in names:
            report.add(Kind.PARSE_ERROR, name, fault)
        return
    if identity not in entries:
        for name in names:
            report.add(Kind.MANIFEST_MISMATCH, name, "the manifest has no entry for it")
    _judge_set(report, holdings, identity)


def _judge_set(report: ConsistencyReport, holdings: Holdings, identity: Identity) -> None:
    """Judge whether a key's files are all there."""
    audio = holdings.files[Folder.AUDIO].get(identity)
    for folder in (Folder.TRANSCRIPTS, Folder.SEARCH_ENTRIES):
        name = holdings.files[folder].get(identity)
        if audio is not None and name is None:
            report.add(Kind.MISSING_FILE, audio, f"it has no file in {folder.value}")
        elif audio is None and name is not None:
            report.add(Kind.ORPHANED_FILE, name, "its audio is not here")


def _key_fault(key: str) -> str:
    try:
        parse_key(key)
    except ValueError as error:
        return str(error)
    return ""


def read_ids(body: bytes) -> tuple[str, ...]:
    """Return the ids in a file of search entries; ValueError says what is wrong with it."""
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, list):
        raise ValueError("holds no list")  # noqa: TRY004 - callers wait for one type
    ids = [item.get("id") if isinstance(item, dict) else None for item in found]
    if not all(isinstance(each, str) for each in ids):
        raise ValueError("holds an item without an id")
    return tuple(str(each) for each in ids)


class Ids:
    """The ids of all search entries of a site, to find those that are there twice."""

    def __init__(self) -> None:
        self._file_of: dict[str, str] = {}

    def repeated(self, name: str, ids: Iterable[str]) -> str:
        """Note the ids of a file; says which of them were there before, "" where none was."""
        repeated = []
        for each in ids:
            if each in self._file_of:
                repeated.append(each)
            else:
                self._file_of[each] = name
        if not repeated:
            return ""
        first = repeated[0]
        where = self._file_of[first]
        return f"{len(repeated)} of its ids are there twice, such as {first!r} in {where!r}"


def foreign_ids(ids: Iterable[str], sequential_id: int) -> str:
    """Say that ids are not those of an episode's number, "" where they are."""
    wrong = [each for each in ids if each.partition("_")[0] != str(sequential_id)]
    if not wrong:
        return ""
    return f"{len(wrong)} of its ids, such as {wrong[0]!r}, are not of episode {sequential_id}"


def unpunctuated_message(longest_ms: int) -> str:
    """Say that a transcript lacks punctuation; "" where it has enough."""
    if longest_ms < UNPUNCTUATED_MS:
        return ""
    return f"{longest_ms // _SECOND_MS} s without the end of a sentence"


def _count(holdings: Holdings, identities: Iterable[Identity], manifest_entries: int) -> Counts:
    audio, transcripts, search_entries = (len(holdings.files[folder]) for folder in PER_EPISODE)
    episodes = len({_stem(identity) for identity in identities})
    return Counts(audio, transcripts, search_entries, manifest_entries, episodes)


def _stem(identity: Identity) -> Identity:
    podcast, key = identity
    try:
        parsed = parse_key(key)
    except ValueError:
        return podcast, key
    # A key without a timestamp is no version of one that has the same title and date.
    return podcast, key if parsed.downloaded_ms is None else f"{parsed.stem}--"


def _on_one_line(item: str) -> str:
    """Return a name as it can stand in a report: a file may be called anything."""
    return item if item.isprintable() else repr(item)


def _shown(identity: Identity) -> str:
    return "/".join(identity)


def _errors_last(kind: Kind) -> tuple[bool, str]:
    return kind.is_error, kind.value
