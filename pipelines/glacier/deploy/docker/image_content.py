"""What an image consists of, and the digest of it, which is its tag. Pure.

The same content has the same tag wherever it is built, and another content never has it: an image
with old code under a new name, or the other way round, cannot come about. The digest covers the
project's own digest too, by which a run tells whether it has the code that was submitted for.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

BASE_IMAGE = "python:{python_version}-slim-bookworm"
_TAG_LENGTH = 32


@dataclass(frozen=True, slots=True)
class ImageContent:
    """Everything that decides what is in an image."""

    files: Mapping[PurePosixPath, str]
    """SHA-256 by the path in the build context."""
    base_image: str
    """A reference, best one with a digest."""
    platform: str
    region_file: PurePosixPath
    """Below `project/`."""
    project_digest: str = ""
    config_sha256: str = ""
    version: str = ""

    @property
    def digest(self) -> str:
        """One SHA-256 over all of it."""
        lines = [f"{path} {sha256}" for path, sha256 in sorted(self.files.items())]
        facts = (
            self.base_image,
            self.platform,
            str(self.region_file),
            self.project_digest,
            self.config_sha256,
            self.version,
        )
        return hashlib.sha256("\n".join((*facts, *lines)).encode()).hexdigest()

    @property
    def tag(self) -> str:
        """The tag in the repository."""
        return self.digest[:_TAG_LENGTH]
