"""What a synced project consists of: `.sync-manifest.json`, which a sync writes last. Pure.

    {"schema": 1, "created_at": "2024-08-01T12:00:00Z", "project_digest": "<sha256>",
     "config_sha256": "<sha256>", "files": {"config.ini": {"size": 812, "sha256": "<sha256>"}, ...}}

The digest of a project is the SHA-256 of its lines `PATH SHA256`, each with its line feed, sorted
by their bytes: `LC_ALL=C sort` of such lines, and `sha256sum` of that, give the same.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pipelines.glacier.transfer.names import name_fault, parents_of

PROJECT_PREFIX: Final = "scripts/greenland-glacier-flow/"
"""Where the project lies in the bucket."""
MANIFEST_NAME: Final = ".sync-manifest.json"
CONFIG: Final = "config.ini"
FILES_MAX: Final = 10_000
PROJECT_BYTES_MAX: Final = 2 << 30
"""Together. A handler has ten gigabytes for everything."""
MANIFEST_BYTES_MAX: Final = 8 << 20

_SCHEMA = 1
_HASH = re.compile(r"[0-9a-f]{64}")
_SHOWN_MAX = 80


class BadManifest(ValueError):
    """The object is not the manifest of a project, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Which project code and configuration there is; empty where not known."""

    project: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the project."""

    size: int
    """Bytes."""
    sha256: str
    """In hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a project, by their paths with `/`."""

    files: Mapping[str, Entry]
    created_at: str = ""
    """ISO 8601, UTC."""

    @property
    def digests(self) -> Digests:
        """What tells this project from another state of it."""
        config = self.files.get(CONFIG)
        return Digests(project_digest(self.files), "" if config is None else config.sha256)

    def to_bytes(self) -> bytes:
        """Return the document as it is stored."""
        digests = self.digests
        document = {
            "schema": _SCHEMA,
            "created_at": self.created_at,
            "project_digest": digests.project,
            "config_sha256": digests.config,
            "files": {
                path: {"size": entry.size, "sha256": entry.sha256}
                for path, entry in sorted(self.files.items())
            },
        }
        return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def project_digest(files: Mapping[str, Entry]) -> str:
    """Return the digest of a project's paths and contents."""
    lines = sorted(f"{path} {entry.sha256}\n".encode() for path, entry in files.items())
    return sha256(b"".join(lines)).hexdigest()


def parse_manifest(content: bytes) -> Manifest:
    """Read a manifest, which anybody may have written; BadManifest says what is wrong with it."""
    try:
        document = json.loads(content)
        _check_schema(document["schema"])
        manifest = Manifest(_files(document["files"]), str(document["created_at"]))
        said = (document["project_digest"], document["config_sha256"])
    except BadManifest:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadManifest(f"is no manifest of a project: {error!r}"[:200]) from error
    digests = manifest.digests
    if said != (digests.project, digests.config):
        raise BadManifest("has digests that are not those of its files")
    return manifest


def _check_schema(schema: object) -> None:
    if schema != _SCHEMA:
        raise BadManifest(f"has schema {str(schema)[:_SHOWN_MAX]!r}; known is {_SCHEMA}")


def _files(said: object) -> Mapping[str, Entry]:
    if not isinstance(said, dict) or not 0 < len(said) <= FILES_MAX:
        raise BadManifest(f"must name 1 to {FILES_MAX} files")
    files = {path: _entry(path, each) for path, each in said.items()}
    taken = {parent for path in files for parent in parents_of(path)}
    if both := sorted(taken.intersection(files)):
        raise BadManifest(f"has {both[0]!r} both as a file and as a folder")
    if sum(entry.size for entry in files.values()) > PROJECT_BYTES_MAX:
        raise BadManifest(f"names more than {PROJECT_BYTES_MAX} bytes")
    return files


def _entry(path: str, said: Mapping[str, object]) -> Entry:
    if fault := name_fault(path, PROJECT_PREFIX):
        raise BadManifest(f"names {path[:_SHOWN_MAX]!r}, which {fault}")
    size, digest = said["size"], said["sha256"]
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise BadManifest(f"says no size of {path!r}")
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        raise BadManifest(f"says no SHA-256 of {path!r}")
    return Entry(size, digest)
