from pathlib import Path
from typing import Any

import pytest

from shared.handshake.layout import Runout, closest_name, quality_name
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.collecting import (
    FIRST,
    LAYOUT,
    ONE,
    SECOND,
    STAMP,
    Prod,
    contents,
    names,
    ours,
    quality,
    runout_files,
    said,
    table,
)
from tests.support.uploading import Requests

pytestmark = pytest.mark.asyncio


async def test_a_second_result_with_other_rows_is_kept_reported_and_not_merged(
    prod: Prod, logs: list[Any]
) -> None:
    """The original silently kept the first; people must hear of it."""
    prod.lay(runout_files(FIRST, contents(ONE)))
    await prod.one_pass()
    prod.lay(runout_files(SECOND, contents(ONE, shift=1.0)))

    counts = [await prod.one_pass() for _ in range(3)]

    assert [count.conflicts for count in counts] == [1, 1, 1]
    assert [count.failed for count in counts] == [1, 0, 0]
    assert said(logs, "runout_in_conflict") == [
        "both have 3 rows, and not the same ones; see row_id '000010000', '000010001', '000010002'"
    ]
    assert prod.merged() == dict(contents(ONE))
    assert prod.pulled(SECOND) == names([ONE])
    assert prod.recorded() == [ONE]


async def test_a_second_result_with_the_same_rows_in_another_order_is_no_conflict(
    prod: Prod, requests: Requests
) -> None:
    """It is compared once, and then known."""
    head, *rows = table(ONE).splitlines(keepends=True)
    prod.lay(runout_files(FIRST, contents(ONE)))
    await prod.one_pass()
    turned = {closest_name(ONE): head + b"".join(rows[::-1]), quality_name(ONE): quality()}
    prod.lay(runout_files(SECOND, turned))

    counts = await prod.one_pass()
    requests.seen.clear()
    again = await prod.one_pass()

    assert (counts.compared, counts.conflicts) == (2, 0)
    assert (again.compared, len(requests.seen)) == (0, 1)
    assert prod.merged() == dict(contents(ONE))


async def test_a_central_file_of_other_rows_is_a_conflict_until_somebody_changes_it(
    prod: Prod,
) -> None:
    """Whoever put it there: it is not overwritten, and the CID is not recorded."""
    prod.central.mkdir(parents=True)
    there = prod.central / closest_name(ONE)
    there.write_bytes(table(ONE, shift=9.0))
    prod.lay(ours(FIRST, contents(ONE)))
    collector = prod.collector()

    counts = [await collector.run_once() for _ in range(2)]
    assert [count.failed for count in counts] == [1, 1]
    assert prod.recorded() == []
    assert prod.merged() == {there.name: table(ONE, shift=9.0)}

    there.unlink()
    await collector.run_once()
    assert prod.merged() == dict(contents(ONE))
    assert prod.recorded() == [ONE]


async def test_a_central_file_with_the_same_rows_only_records_the_cid(prod: Prod) -> None:
    """A crash between merge and record, or the scripts' own copy."""
    prod.central.mkdir(parents=True)
    written = table(ONE).replace(b",12.5,", b",12.50,")
    (prod.central / closest_name(ONE)).write_bytes(written)
    prod.lay(ours(FIRST, contents(ONE)))

    counts = await prod.one_pass()

    assert counts.already_there == 1
    assert prod.merged() == {closest_name(ONE): written}
    assert prod.recorded() == [ONE]


async def test_a_table_beside_another_quality_text_is_a_conflict(prod: Prod) -> None:
    """The pair in the central folder must belong together."""
    prod.central.mkdir(parents=True)
    other = prod.central / quality_name(ONE)
    other.write_bytes(quality(99))
    prod.lay(ours(FIRST, contents(ONE)))
    collector = prod.collector()

    assert (await collector.run_once()).conflicts == 1
    assert prod.merged() == {other.name: quality(99)}
    other.unlink()
    assert (await collector.run_once()).collected == 1


async def test_a_table_alone_is_taken_once_it_has_been_quiet(prod: Prod) -> None:
    """The scripts may have left no qc.txt; the bucket must show the table unchanged."""
    prod.lay(runout_files(FIRST, {closest_name(ONE): table(ONE)}))
    collector = prod.collector()
    assert (await collector.run_once()).waiting == 1
    prod.now += 59
    assert (await collector.run_once()).waiting == 1
    prod.lay(runout_files(FIRST, {closest_name(ONE): table(ONE, 5)}))
    prod.now += 59
    assert (await collector.run_once()).waiting == 1
    prod.now += 61

    assert (await collector.run_once()).collected == 1
    assert prod.merged() == {closest_name(ONE): table(ONE, 5)}


async def test_a_file_that_is_replaced_while_it_is_pulled_is_looked_at_again(
    prod: Prod, requests: Requests
) -> None:
    """What was judged is what the listing showed, and nothing else is merged."""
    prod.lay(runout_files(FIRST, contents(ONE)))
    key = LAYOUT.result(FIRST, closest_name(ONE)).key

    def replace_once(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.GET and uri.key == key and len(requests.of(Verb.GET)) <= 2:
            prod.lay({key: table(ONE, shift=1.0)})

    requests.fault = replace_once
    collector = prod.collector()

    assert (await collector.run_once()).waiting == 1
    assert prod.merged() == {}
    assert (await collector.run_once()).collected == 1
    assert prod.merged() == contents(ONE, shift=1.0)


async def test_quiet_is_remembered_from_one_run_to_the_next(prod: Prod) -> None:
    """With `--once` from cron no process lives as long as the table must be quiet."""
    prod.lay(runout_files(FIRST, {closest_name(ONE): table(ONE)}))
    assert (await prod.one_pass()).waiting == 1
    prod.now += 61

    assert (await prod.one_pass()).collected == 1


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({quality_name(ONE): quality()}, "has no positions00001_closest.csv"),
        ({}, "has no positions00001_closest.csv"),
    ],
)
async def test_a_runout_without_its_table_is_warned_of_and_looked_at_again(
    prod: Prod, logs: list[Any], files: dict[str, bytes], reason: str
) -> None:
    """It may be on its way, or the scripts pushed an empty one."""
    prod.lay(runout_files(FIRST, {"log.txt": b"x", **files}))
    collector = prod.collector()
    await collector.run_once()
    await collector.run_once()
    assert [reason in one for one in said(logs, "runout_incomplete")] == [True]

    prod.lay(runout_files(FIRST, contents(ONE)))
    assert (await collector.run_once()).collected == 1


BROKEN = {
    "rows": contents(ONE) | {quality_name(ONE): quality(4)},
    "cut": contents(ONE) | {closest_name(ONE): table(ONE)[:-40]},
    "empty": contents(ONE) | {closest_name(ONE): b""},
    "nul": contents(ONE) | {closest_name(ONE): b"row_id\n\0\n"},
    "binary": contents(ONE) | {closest_name(ONE): bytes(range(256)) * 9},
    "quality": contents(ONE) | {quality_name(ONE): b"\xff\xfe"},
    "large": contents(ONE) | {closest_name(ONE): b"x" * (1024 * 1024 + 1)},
}


@pytest.mark.parametrize("files", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("committed", [True, False])
async def test_a_broken_result_is_refused_and_delays_no_other(
    prod: Prod, logs: list[Any], files: dict[str, bytes], *, committed: bool
) -> None:
    """Whoever wrote it: it is never merged, and its neighbours are."""
    prod.lay((ours if committed else runout_files)(FIRST, files))
    prod.lay(ours(Runout(STAMP, "00002"), contents("00002")))
    collector = prod.collector()

    counts = await collector.run_once()
    await collector.run_once()

    assert (counts.collected, counts.refused, counts.failed) == (1, 1, 1)
    assert prod.merged() == dict(contents("00002"))
    assert prod.recorded() == ["00002"]
    assert len(said(logs, "runout_refused")) == 1


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{}", b"[" * 100_000, b'{"schema": 1}', b"\xff", b"x" * (2 * 1024 * 1024)],
)
async def test_a_manifest_that_is_none_is_refused(prod: Prod, manifest: bytes) -> None:
    """It is input from outside like everything else."""
    prod.lay({**ours(FIRST, contents(ONE)), LAYOUT.manifest(FIRST).key: manifest})

    counts = await prod.one_pass()

    assert (counts.refused, prod.merged()) == (1, {})


@pytest.mark.parametrize("lease", [b"", b"{}", b"x" * (2 * 1024 * 1024)])
async def test_a_lease_that_is_none_is_refused(prod: Prod, lease: bytes) -> None:
    """Without it nobody knows which result counts."""
    prod.lay({**ours(FIRST, contents(ONE)), LAYOUT.lease(ONE).key: lease})

    assert (await prod.one_pass()).refused == 1


async def test_files_are_taken_directly_from_the_output_folder_and_nowhere_else(
    prod: Prod, logs: list[Any]
) -> None:
    """As the original does; and no key leads out of the inbox."""
    odd = {
        f"{LAYOUT.runouts.key}{FIRST}/{rest}": b"x"
        for rest in (
            "aws_compare_out/deeper/positions00001_closest.csv",
            "aws_compare_out/../../escaped.txt",
            "aws_compare_out/.hidden",
            "aws_compare_out/a\\b",
            "aws_compare_out//double",
            "beside.txt",
            "../outside.txt",
        )
    }
    prod.lay(odd | runout_files(FIRST, contents(ONE) | {"notes of the run.txt": b"n"}))

    await prod.one_pass()

    assert sorted(prod.merged()) == sorted([*names([ONE]), "notes of the run.txt"])
    files = {str(p.relative_to(prod.root)) for p in prod.root.rglob("*") if p.is_file()}
    inbox = {f"inbox/{FIRST}/{name}" for name in prod.merged()}
    central_files = {f"central/{name}" for name in prod.merged()}
    assert files == inbox | central_files | {".completed_cids"}
    assert not (prod.root.parent / "escaped.txt").exists()


async def test_an_extra_file_whose_name_is_taken_stops_nothing(prod: Prod, logs: list[Any]) -> None:
    """Every run of a script may leave a `log.txt`; the table is what counts."""
    for number, cid in enumerate((ONE, "00002")):
        extra = {"log.txt": f"run {number}".encode()}
        prod.lay(runout_files(Runout(STAMP, cid), contents(cid) | extra))

    prod.in_flight = 1
    counts = await prod.one_pass()

    assert counts.collected == 2
    assert prod.merged()["log.txt"] == b"run 0"
    assert [line["files"] for line in logs if line["event"] == "files_not_merged"] == [["log.txt"]]


async def test_links_in_the_inbox_and_the_central_folder_are_not_followed(
    prod: Prod, tmp_path: Path
) -> None:
    """Somebody made them, and they lead wherever."""
    outside = tmp_path / "outside"
    outside.mkdir()
    prod.inbox.mkdir(parents=True)
    prod.central.mkdir()
    (prod.inbox / str(FIRST)).symlink_to(outside)
    (prod.central / closest_name("00002")).symlink_to(outside / "there.csv")
    prod.lay(ours(FIRST, contents(ONE)))
    prod.lay(ours(Runout(STAMP, "00002"), contents("00002")))

    counts = await prod.one_pass()

    assert counts.refused == 2
    assert list(outside.iterdir()) == []
