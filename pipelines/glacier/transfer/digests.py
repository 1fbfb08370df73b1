"""The digests of a project folder, the same that a sync writes into its manifest. Blocks.

They go into events, so that a handler that loads another project says so instead of running it.
"""

from pathlib import Path

from pipelines.glacier.transfer.excludes import DEFAULT_RULES, Rules
from pipelines.glacier.transfer.local_project import read_project
from pipelines.glacier.transfer.manifest import Digests, Manifest


def local_digests(project: Path, rules: Rules = DEFAULT_RULES) -> Digests:
    """Return the digests of a folder; BadProject where it could not be synced.

    `rules` are those of `rule_flags.rules_of`, as for a sync: other rules make another project.
    """
    return Manifest(read_project(project, rules).entries).digests
