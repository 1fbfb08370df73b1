import errno
import os
import shutil
from typing import Any

import pytest

from daemons.collector.central import FolderTrouble
from shared.handshake.layout import Runout
from shared.ledger import LedgerUnreadable
from shared.s3.errors import AccessDenied, Unreachable
from shared.s3.memory_buckets import Verb
from tests.support.collecting import (
    FIRST,
    LAYOUT,
    ONE,
    SECOND,
    STAMP,
    Prod,
    claimed_lease,
    contents,
    names,
    ours,
    runout_files,
    said,
)
from tests.support.uploading import Requests

pytestmark = pytest.mark.asyncio


async def test_a_committed_result_is_merged_and_recorded_with_four_requests(
    prod: Prod, requests: Requests
) -> None:
    """Lease, manifest, two files, besides the listing: what a CID costs here."""
    prod.lay(ours(FIRST, contents(ONE)), by_watcher=True)

    counts = await prod.one_pass()

    assert (counts.collected, counts.failed) == (1, 0)
    assert prod.merged() == dict(contents(ONE))
    assert prod.pulled(FIRST) == names([ONE])
    assert prod.ledger_file.read_text() == f"{ONE}\n"
    assert (len(requests.of(Verb.LIST)), len(requests.of(Verb.GET)), len(requests.seen)) == (
        1,
        4,
        5,
    )


async def test_what_is_not_committed_with_exactly_this_runout_is_not_merged(
    prod: Prod, logs: list[Any]
) -> None:
    """The lease decides, whatever lies in the bucket."""
    prod.lay(ours(FIRST, contents(ONE)), by_watcher=True)
    prod.lay({LAYOUT.lease(ONE).key: claimed_lease(ONE).to_bytes()})
    collector = prod.collector()
    assert (await collector.run_once()).waiting == 1

    prod.lay({LAYOUT.lease(ONE).key: ours(SECOND, {})[LAYOUT.lease(ONE).key]})
    prod.now += 60
    counts = await collector.run_once()
    prod.now += 60
    await collector.run_once()

    assert counts.orphans == 1
    assert prod.merged() == {}
    assert prod.recorded() == []
    assert len(said(logs, "runout_orphaned")) == 1


async def test_an_orphan_is_told_of_once_even_over_restarts(prod: Prod, logs: list[Any]) -> None:
    """Nobody can do anything about it, so that repeating it only hides other lines."""
    prod.lay(ours(FIRST, contents(ONE)))
    prod.lay(ours(SECOND, contents(ONE, shift=1.0)))

    for _ in range(3):
        await prod.one_pass()

    assert len(said(logs, "runout_orphaned")) == 1
    assert prod.merged() == dict(contents(ONE, shift=1.0))


async def test_a_result_of_ours_without_its_manifest_is_no_result_of_the_scripts(
    prod: Prod,
) -> None:
    """A watcher that died between table and manifest has published nothing."""
    prod.lay(runout_files(FIRST, contents(ONE)), by_watcher=True)
    collector = prod.collector()

    for _ in range(10):
        assert (await collector.run_once()).waiting == 1
        prod.now += 120

    assert prod.merged() == {}


async def test_recorded_cids_cost_nothing(prod: Prod, requests: Requests) -> None:
    """A hundred thousand CIDs are collected in the end."""
    cids = [f"{number:05d}" for number in range(1500)]
    for cid in cids:
        prod.lay(runout_files(Runout(f"2026-03-01-{int(cid) // 60:04d}", cid), {"a": b"x"}))
    prod.ledger_file.write_text("\n".join(cids) + "\n")
    prod.central.mkdir()
    collector = prod.collector()

    await collector.run_once()
    full = len(requests.of(Verb.LIST))
    requests.seen.clear()
    counts = await collector.run_once()

    assert full == 2
    assert (len(requests.seen), counts.listed) == (1, 300)


async def test_a_late_name_is_found_by_the_next_full_listing(prod: Prod) -> None:
    """Clocks of several machines may be hours apart."""
    cids = [f"{number:05d}" for number in range(400)]
    for cid in cids:
        prod.lay(runout_files(Runout(f"2026-03-01-{int(cid):04d}", cid), {"a": b"x"}))
    prod.ledger_file.write_text("\n".join(cids) + "\n")
    prod.central.mkdir()
    collector = prod.collector()
    await collector.run_once()
    prod.lay(ours(Runout("2026-02-01-0000", "77777"), contents("77777")))

    counts = [await collector.run_once() for _ in range(20)]

    assert [count.collected for count in counts] == [0] * 19 + [1]


async def test_an_outage_costs_a_few_requests_a_pass_and_loses_nothing(
    prod: Prod, requests: Requests
) -> None:
    """S3 may be down for a day."""
    for number in range(40):
        prod.lay(ours(Runout(STAMP, f"{number:05d}"), contents(f"{number:05d}")))
    collector = prod.collector()
    requests.fault = lambda verb, uri: Unreachable(uri) if verb is Verb.GET else None

    with pytest.raises(Unreachable):
        await collector.run_once()
    assert len(requests.seen) <= 1 + 3 + prod.in_flight
    requests.fault = lambda _verb, uri: AccessDenied(uri)
    with pytest.raises(AccessDenied):
        await collector.run_once()
    requests.fault = lambda _verb, _uri: None

    assert (await collector.run_once()).collected == 40
    assert "denied" not in collector.trouble


async def test_a_full_disk_pauses_and_loses_nothing(
    prod: Prod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half written is left; once there is room, all arrives."""
    for number in range(20):
        prod.lay(ours(Runout(STAMP, f"{number:05d}"), contents(f"{number:05d}")))
    collector = prod.collector()

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "central")

    with monkeypatch.context() as disk:
        disk.setattr(shutil, "copyfileobj", full)
        with pytest.raises(FolderTrouble, match="No space left"):
            await collector.run_once()
    assert prod.merged() == {}
    assert prod.recorded() == []
    assert "No space left" in collector.trouble

    assert (await collector.run_once()).collected == 20
    assert collector.trouble == ""


async def test_a_central_folder_that_is_gone_is_not_made_anew(prod: Prod) -> None:
    """It is not mounted; results put into its place would seem lost later."""
    prod.ledger_file.write_text("00009\n")
    prod.lay(ours(FIRST, contents(ONE)))
    collector = prod.collector()

    with pytest.raises(FolderTrouble, match="mount it"):
        await collector.run_once()
    assert not prod.central.exists()

    prod.central.mkdir()
    assert (await collector.run_once()).collected == 1


async def test_an_unreadable_ledger_ends_everything(prod: Prod) -> None:
    """Better to stop than to take up every result again."""
    prod.ledger_file.write_bytes(b"\xff\xfe not a ledger")
    prod.lay(ours(FIRST, contents(ONE)))

    with pytest.raises(LedgerUnreadable):
        await prod.one_pass()

    assert prod.merged() == {}


async def test_whatever_becomes_of_the_notes_the_effect_is_the_same(prod: Prod) -> None:
    """They only save work."""
    prod.lay(runout_files(FIRST, contents(ONE)))
    prod.lay(runout_files(SECOND, contents(ONE, shift=1.0)))
    await prod.one_pass()
    notes = prod.root / "state" / "verdicts.json"

    for content in (b"", b"{", b"[]", b'{"schema": 1}', b"\xff", b"[" * 100_000):
        notes.write_bytes(content)
        assert (await prod.one_pass()).conflicts == 1

    assert prod.merged() == dict(contents(ONE))
    assert prod.recorded() == [ONE]


async def test_nothing_in_the_bucket_is_ever_changed(prod: Prod) -> None:
    """The collector needs no right to write results."""
    prod.lay(ours(FIRST, contents(ONE)))
    prod.lay(runout_files(SECOND, contents(ONE, shift=1.0)))
    before = len(prod.buckets.history())

    await prod.one_pass()

    assert len(prod.buckets.history()) == before
