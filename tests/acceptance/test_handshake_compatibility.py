from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handshake.layout import Runout, closest_name, quality_name
from tests.support.bash_trees import failed_push, mirror, pushed, run_bash_collector
from tests.support.collecting import (
    BUCKET,
    LATER,
    LAYOUT,
    STAMP,
    contents,
    names,
    ours,
    runout_files,
    table,
)
from tests.support.collector_ground import CollectorGround
from tests.support.daemon import Nursery


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[CollectorGround]:
    """A project root as PROD has it, and an empty bucket."""
    with CollectorGround.opened(tmp_path, nursery) as made:
        yield made


def test_what_the_scripts_pushed_is_collected(ground: CollectorGround) -> None:
    """Whole runouts, extra files, folders within, failed ones, and folders that are none."""
    ground.lay(pushed(Runout(STAMP, "00001")))
    ground.lay(pushed(Runout(STAMP, "00002"), notes=b"by hand", deeper__inner=b"nested"))
    ground.lay(failed_push(Runout(STAMP, "00003")))
    ground.lay({f"{LAYOUT.runouts.key}{Runout(STAMP, '00004')}/": b""})
    prefix = LAYOUT.runouts.key
    for odd in ("aws-closest-2026-03-01-CID-00005", "aws-closest-2026-03-01-0930-CID-123", "tmp"):
        ground.lay({f"{prefix}{odd}/aws_compare_out/{closest_name('00005')}": table("00005")})

    outcome = ground.command("--once")

    assert outcome.status == 0
    expected = {**contents("00001"), **contents("00002"), "notes.txt": b"by hand"}
    assert ground.merged() == expected
    assert sorted(ground.recorded()) == ["00001", "00002"]


def test_a_table_without_quality_text_waits_and_is_collected(ground: CollectorGround) -> None:
    """The scripts may still be copying; nobody promised that the table is whole."""
    ground.lay(runout_files(Runout(STAMP, "00001"), {closest_name("00001"): table("00001")}))

    assert ground.command("--once").status == 0

    assert ground.merged() == {}
    assert ground.recorded() == []
    assert "waiting" in ground.command("--status").stdout


@pytest.mark.parametrize(
    "ledger",
    [
        b"00001\n00002\n",
        b"00002\n\n\n00001\n00001\n",
        b"00001\n00002\n000",
        b"00001\n00002",
        b"00001\r\n00002\r\n",
        b"00001\n00002\n\0\0\0\0",
    ],
)
def test_a_ledger_of_the_scripts_is_honoured_and_stays_readable(
    ground: CollectorGround, ledger: bytes
) -> None:
    """Torn by a crash, edited on Windows, with CIDs twice: what it says is not collected again."""
    ground.ledger.write_bytes(ledger)
    ground.central.mkdir(parents=True)
    for cid in ("00001", "00002", "00003"):
        ground.lay(pushed(Runout(STAMP, cid)))

    assert ground.command("--once").status == 0

    assert sorted(ground.merged()) == names(["00003"])
    assert ground.ledger.read_bytes().endswith(b"\n00003\n")


def test_the_scripts_find_nothing_left_to_do_after_us(
    ground: CollectorGround, tmp_path: Path
) -> None:
    """People may go back to them at any time."""
    mine, theirs = Runout(STAMP, "00001"), Runout(STAMP, "00002")
    ground.lay({**ours(mine, contents("00001")), **pushed(theirs)})
    assert ground.command("--once").status == 0
    before = ground.merged()
    copy = mirror(ground.s3.objects(BUCKET), tmp_path / "copy")

    said = run_bash_collector(copy, ground.root, ground.inbox, ground.central)

    assert said == []
    assert ground.merged() == before


def test_what_the_scripts_collected_is_not_collected_again(
    ground: CollectorGround, tmp_path: Path
) -> None:
    """And a result of ours that they took is the same one for us."""
    ground.lay({**ours(Runout(STAMP, "00001"), contents("00001"))})
    ground.lay(pushed(Runout(STAMP, "00002")))
    copy = mirror(ground.s3.objects(BUCKET), tmp_path / "copy")
    said = run_bash_collector(copy, ground.root, ground.inbox, ground.central)
    assert said == ["COLLECTED 00001", "COLLECTED 00002"]
    before = ground.merged()
    ground.lay(pushed(Runout(LATER, "00003")))

    outcome = ground.command("--once")

    assert outcome.status == 0
    assert ground.merged() == {**before, **contents("00003")}
    assert ground.recorded() == ["00001", "00002", "00003"]


def test_interrupted_scripts_are_taken_over_where_they_stopped(ground: CollectorGround) -> None:
    """Copied into the central folder and not yet recorded; or into the inbox alone."""
    merged, pulled = Runout(STAMP, "00001"), Runout(STAMP, "00002")
    ground.lay({**pushed(merged), **pushed(pulled)})
    ground.central.mkdir(parents=True)
    for name, body in contents("00001").items():
        (ground.central / name).write_bytes(body)
    (ground.inbox / str(pulled)).mkdir(parents=True)
    (ground.inbox / str(pulled) / closest_name("00002")).write_bytes(table("00002")[:50])

    assert ground.command("--once").status == 0

    assert ground.merged() == {**contents("00001"), **contents("00002")}
    assert sorted(ground.recorded()) == ["00001", "00002"]


def test_a_second_push_of_the_scripts_is_reported_when_it_differs(ground: CollectorGround) -> None:
    """They made a second runout after a crash between push and ledger, now and then another one."""
    ground.lay(pushed(Runout(STAMP, "00001")))
    ground.lay(pushed(Runout(LATER, "00001")))
    ground.lay(pushed(Runout(STAMP, "00002")))
    ground.lay(runout_files(Runout(LATER, "00002"), contents("00002", shift=2.0)))

    assert ground.command("--once").status == 4

    assert ground.merged() == {**contents("00001"), **contents("00002")}
    kept = ground.inbox / str(Runout(LATER, "00002"))
    assert (kept / closest_name("00002")).read_bytes() == table("00002", shift=2.0)
    status = ground.command("--status").stdout
    assert f"conflict    {Runout(LATER, '00002')}: both have 3 rows" in status
    assert (ground.central / quality_name("00002")).exists()
