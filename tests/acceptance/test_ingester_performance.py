"""Many files in step: what a night costs on which nothing has happened."""

import math
import time
from collections import Counter

import pytest

from daemons.ingester.archive.folders import SYNCED
from tests.support.ingest_archive import EARLIER, archive, lay_here, lay_there
from tests.support.ingest_checks import check_idle
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld
from tests.support.soak import repetitions

SITES = [
    SiteSetup(f"site-{letter}", ACCOUNT_A if letter < "d" else ACCOUNT_B, (f"pod-{letter}",))
    for letter in "abcdef"
]
MOST = repetitions(1100, 1666)
"""Episodes of the first site: several pages of each listing; 1,666 make five thousand files."""
OTHERS = repetitions(10, 1666)
"""Of each of the others; laying thirty thousand files out takes most of a minute."""
_LIMIT_SECONDS = 60.0


@pytest.mark.timeout(600)
def test_six_sites_in_step_cost_their_listings_and_no_more(world: IngestWorld) -> None:
    """A role each, a page of listing for a thousand files, no request a file; within a minute."""
    files = {
        site.bucket: lay_out(world, site, MOST if site is SITES[0] else OTHERS) for site in SITES
    }
    began = time.monotonic()

    check_idle(world)

    assert time.monotonic() - began < _LIMIT_SECONDS
    assert world.aws.count("AssumeRole") == len(SITES)
    asked = Counter((each.bucket, each.operation) for each in world.s3.requests())
    assert asked.keys() == {(bucket, "ListObjectsV2") for bucket in files}
    for (bucket, _), listings in asked.items():
        assert listings <= 2 * (math.ceil(files[bucket] / 1000) + len(SYNCED))


def lay_out(world: IngestWorld, site: SiteSetup, count: int) -> int:
    """Have the same archive here and in S3; returns its number of files."""
    world.add_site(site)
    podcast = site.podcasts[0]
    episodes = [Published(podcast, f"Episode {day}", day, seconds=0.1) for day in range(count)]
    world.published[site.id] += episodes
    world.put_feed(site.id, podcast)
    files = archive(world, site.id, episodes)
    lay_here(world, site.id, files, EARLIER)
    lay_there(world, site.id, files)
    return len(files)
