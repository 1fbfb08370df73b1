"""What a sync does, from what is here and what is there. Pure.

| here | there | content | then                                              |
|------|-------|---------|---------------------------------------------------|
| yes  | no    |         | uploaded                                          |
| yes  | yes   | other   | uploaded                                          |
| yes  | yes   | equal   | nothing                                           |
| no   | yes   |         | told as stale; removed if that is asked for       |

The manifest takes no part: it follows from the rest.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pipelines.glacier.transfer.manifest import MANIFEST_NAME


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Paths below the project's root, which are keys below its prefix, in order."""

    upload: tuple[str, ...]
    unchanged: tuple[str, ...]
    stale: tuple[str, ...]
    """Keys that are no file of the project, or not any more."""


@dataclass(slots=True)
class Synced:
    """What was done."""

    uploaded: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by the path; with any, the manifest is the old one."""
    is_new_manifest: bool = False
    is_whole: bool = False
    """It came to its end; else it was cut short."""


def plan_sync(here: Iterable[str], there: Iterable[str], equal: Collection[str]) -> SyncPlan:
    """Decide; `equal` are the paths whose object has the file's bytes."""
    paths = sorted(here)
    kept = set(equal)
    stale = set(there).difference(paths, (MANIFEST_NAME,))
    return SyncPlan(
        upload=tuple(path for path in paths if path not in kept),
        unchanged=tuple(path for path in paths if path in kept),
        stale=tuple(sorted(stale)),
    )
