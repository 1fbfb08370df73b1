"""Results without a manifest: the scripts' own, and what a watcher of ours left when it died."""

import pytest

from shared.handshake.layout import Runout, closest_name, quality_name
from tests.support.watching import LAYOUT, STAMP, Clock, Ec2, result

pytestmark = pytest.mark.asyncio
CID = "00042"
BASH = Runout("2026-03-01-0900", CID)
TABLE = {closest_name(CID): result(CID)[closest_name(CID)]}
QUALITY = {quality_name(CID): result(CID)[quality_name(CID)]}


async def test_a_whole_result_of_the_scripts_is_only_recorded(ec2: Ec2) -> None:
    """During a migration nothing is computed twice."""
    ec2.send(CID)
    ec2.lay_result(BASH, result(CID))

    counts = await ec2.one_pass()

    assert (counts.recorded, counts.processed) == (1, 0)
    assert ec2.recorded() == [CID]
    assert ec2.lease(CID) is None
    assert ec2.left() == []


async def test_a_broken_result_of_the_scripts_is_computed_anew(ec2: Ec2) -> None:
    """They pushed what a failing step left; such a CID was never computed."""
    ec2.send(CID)
    ec2.lay_result(BASH, {**result(CID), quality_name(CID): b"rows=7\n"})

    assert (await ec2.one_pass()).processed == 1


async def test_an_empty_runout_of_the_scripts_is_no_result(ec2: Ec2) -> None:
    """The costliest of them had no table at all."""
    ec2.send(CID)
    ec2.lay_result(BASH, {"other.txt": b"x"})

    assert (await ec2.one_pass()).processed == 1


async def test_a_table_of_the_scripts_alone_must_not_change_for_a_minute(
    ec2: Ec2, clock: Clock
) -> None:
    """Its qc.txt may still be on its way."""
    ec2.send(CID)
    ec2.lay_result(BASH, {closest_name(CID): result(CID)[closest_name(CID)]})
    watcher = ec2.watcher()

    first = await ec2.one_pass(watcher)
    clock.now += 59.0
    second = await ec2.one_pass(watcher)
    clock.now += 2.0
    third = await ec2.one_pass(watcher)

    assert [one.recorded for one in (first, second, third)] == [0, 0, 1]
    assert ec2.steps.ran == []


async def test_our_own_result_without_manifest_is_not_taken_for_the_scripts(ec2: Ec2) -> None:
    """A crash between table and manifest leaves exactly what the scripts leave."""
    ec2.send(CID)
    ec2.lay_result(Runout(STAMP, CID), result(CID), ours=True)

    counts = await ec2.one_pass()

    assert counts.processed == 1
    lease = ec2.lease(CID)
    assert lease is not None
    assert lease.runout == Runout("2026-03-01-1208", CID)


async def test_two_crashes_of_ours_in_one_minute_cost_the_job_nothing(ec2: Ec2) -> None:
    """The second finds the first one's name taken, and dies before it has pushed the table."""
    ec2.send(CID)
    ec2.lay_result(Runout("2026-03-01-1200", CID), result(CID), ours=True)
    ec2.lay_result(Runout("2026-03-01-1201", CID), QUALITY, ours=True)

    assert (await ec2.one_pass()).processed == 1


async def test_a_table_that_is_taken_away_is_not_waited_for(ec2: Ec2, clock: Clock) -> None:
    """Somebody removes a result of the scripts in order to have the CID computed anew."""
    ec2.send(CID)
    ec2.lay_result(BASH, TABLE)
    watcher = ec2.watcher()
    await ec2.one_pass(watcher)

    ec2.buckets.delete(LAYOUT.result(BASH, closest_name(CID)))
    clock.now += 1.0

    assert (await ec2.one_pass(watcher)).processed == 1


async def test_a_table_is_noticed_that_comes_after_its_quality(ec2: Ec2) -> None:
    """A copy of the scripts is listed when half of it is there."""
    ec2.send(CID)
    ec2.lay_result(BASH, QUALITY)
    watcher = ec2.watcher()
    watcher.drain(draining=True)
    await watcher.lookout.look(full=False)

    ec2.lay_result(BASH, TABLE)
    watcher.drain(draining=False)

    assert (await ec2.one_pass(watcher)).recorded == 1
