"""The project as a run finds it: sites, where they live, whose keys; checked before any phase.

| what is wrong                                       | then                               |
|-----------------------------------------------------|------------------------------------|
| no site at all, an unknown id, keys or mapping file | UsageError: nothing is begun       |
| the data folder that is configured is not there     | UsageError: a drive is not mounted |
| one site's configuration or mapping                 | that site is left out, with why    |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemons.ingester.project.credentials import AutomationKeys, load_automation_keys
from daemons.ingester.project.mappings import SiteMapping, find_data_folder, load_mappings
from daemons.ingester.project.sites import Site, SiteProblem, choose_sites, load_sites
from daemons.ingester.syncing.place import SitePlace, site_place


@dataclass(frozen=True, slots=True)
class ProjectSite:
    """A site that can run."""

    site: Site
    place: SitePlace
    mapping: SiteMapping | None
    """None where nothing in AWS is touched."""


@dataclass(frozen=True, slots=True)
class Project:
    """The chosen sites, and what they have in common."""

    data: Path
    state: Path
    sites: Sequence[ProjectSite]
    problems: Sequence[SiteProblem]
    """Of chosen sites that cannot run."""
    keys: AutomationKeys | None


def load_project(
    root: Path,
    state: Path,
    *,
    wanted: str | None,
    environ: Mapping[str, str],
    local_only: bool = False,
) -> Project:
    """Read everything that a run needs to know; blocks.

    Raises:
        UsageError: a line for each thing that is wrong with the project as a whole.
    """
    found = choose_sites(load_sites(root), wanted)
    data = find_data_folder(root)
    problems = list(found.problems)
    keys = None
    by_site: Mapping[str, SiteMapping] = {}
    if not local_only:
        keys = load_automation_keys(root, environ)
        mappings = load_mappings(root, [site.id for site in found.sites])
        by_site, problems = mappings.by_site, [*problems, *mappings.problems]
    sites = [
        ProjectSite(
            site,
            site_place(site.id, mapping.bucket_name if mapping else "", data, state),
            mapping,
        )
        for site in found.sites
        if (mapping := by_site.get(site.id)) is not None or local_only
    ]
    return Project(data, state, sites, problems, keys)
