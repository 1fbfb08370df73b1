"""Many files in step: what a night costs on which nothing has happened."""

import math
import os
import time
from collections import Counter
from collections.abc import Iterable

import pytest

from daemons.ingester.archive.folders import SYNCED
from tests.support.ingest_archive import EARLIER, archive, lay_here, lay_there
from tests.support.ingest_checks import check_idle
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld
from tests.support.soak import repetitions

SITES = [
    SiteSetup(f"site-{letter}", ACCOUNT_A if letter < "d" else ACCOUNT_B, ("the-pod",))
    for letter in "abcdef"
]
EPISODES = repetitions(334, 1666)
"""Of each site, three files an episode, and two more."""
_LIMIT_SECONDS = 60.0


@pytest.mark.timeout(300)
def test_six_sites_in_step_cost_their_listings_and_no_more(world: IngestWorld) -> None:
    """A role each, a page of listing for a thousand files, no request a file; within a minute."""
    files = lay_out(world)
    began = time.monotonic()

    check_idle(world)

    assert time.monotonic() - began < _LIMIT_SECONDS
    assert world.aws.count("AssumeRole") == len(SITES)
    asked = Counter((each.bucket, each.operation) for each in world.s3.requests())
    assert {operation for _, operation in asked} == {"ListObjectsV2"}
    most = 2 * (math.ceil(files / 1000) + len(SYNCED))
    assert max(asked.values()) <= most


def lay_out(world: IngestWorld) -> int:
    """Have the same archive at every site, here and in S3; returns its number of files."""
    episodes = [Published("the-pod", f"Episode {day}", day, seconds=0.1) for day in range(EPISODES)]
    for site in SITES:
        world.add_site(site)
        world.published[site.id] += episodes
    files = archive(world, SITES[0].id, episodes)
    lay_here(world, SITES[0].id, files, EARLIER)
    for site in SITES:
        lay_there(world, site.id, files)
        if site is not SITES[0]:
            link_here(world, site.id, files)
    world.put_feed(SITES[0].id, "the-pod")
    return len(files)


def link_here(world: IngestWorld, site_id: str, paths: Iterable[str]) -> None:
    """Give a site the first one's files under names of its own: five thousand are soon linked."""
    source, target = world.project.mirror(SITES[0].id), world.project.mirror(site_id)
    for folder in {path.rpartition("/")[0] for path in paths}:
        (target / folder).mkdir(parents=True)
    for path in paths:
        os.link(source / path, target / path)
