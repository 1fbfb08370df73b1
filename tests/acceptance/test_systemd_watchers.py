"""Watchers under a real systemd: one and several, what they say of a CID, and reload during one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handshake.layout import JobFolder
from tests.support.machine_journal import started
from tests.support.machine_towpath import TowpathMachine, open_cloud, open_towpath
from tests.support.watcher_ground import STEPS, table
from tests.support.watching import BUCKET, DAY, LAYOUT

pytestmark = pytest.mark.timeout(600)  # the first one installs the program

ROOT = "/srv/neowise"
STEPS_FOLDER = "/srv/steps"
UNIT = "towpath-watcher.service"
INSTANCES = ("towpath-watcher@1.service", "towpath-watcher@2.service")


@pytest.fixture(scope="module")
def site(towpath_program: Path) -> Iterator[TowpathMachine]:
    """Have a machine on which one watcher was installed and started."""
    with open_cloud([BUCKET]) as cloud, open_towpath(towpath_program, cloud) as made:
        made.machine.write(f"{STEPS_FOLDER}/steps.sh", STEPS)
        _configure(made)
        made.towpath("units", "install", "watcher")
        yield made


def _configure(site: TowpathMachine, **settings: object) -> None:
    step = ["sh", f"{STEPS_FOLDER}/steps.sh"]
    usual = {
        "bucket": BUCKET,
        "root": ROOT,
        "poll_seconds": 0.3,
        "sidecar_command": [*step, "sidecar", "{chunk_root}", "{sidecar}"],
        "closest_command": [*step, "closest", "{cid}", "{sidecar}", "{out_dir}"],
    }
    site.configure("watcher", **{**usual, **settings})


def _send(site: TowpathMachine, *cids: str) -> None:
    for cid in cids:
        folder = JobFolder(DAY, cid)
        seed, marker = LAYOUT.seed(folder).key, LAYOUT.marker(folder).key
        site.s3.seed(BUCKET, {seed: b"seeds\n", marker: f"{cid}\n".encode()})


def _results(site: TowpathMachine) -> dict[str, list[bytes]]:
    """Return the tables in the bucket, by CID."""
    found: dict[str, list[bytes]] = {}
    for key, body in site.s3.objects(BUCKET).items():
        split = LAYOUT.runout_of(key)
        if split is not None and key.endswith("_closest.csv"):
            found.setdefault(split[0].cid, []).append(body)
    return found


def test_the_journal_tells_the_story_of_one_cid(site: TowpathMachine) -> None:
    """What became of 02104? One question, whichever of a hundred thousand it is."""
    _send(site, "02104", "02105")
    for cid in ("02104", "02105"):
        site.wait_for("job_processed", CID=cid)

    asked = site.machine.run("journalctl", "--unit=towpath-watcher", "--output=cat", "CID=02104")
    wrapped = site.towpath("logs", "watcher", "--cid", "02104")

    for said in (asked.stdout, wrapped.stdout):
        assert "job_claimed" in said
        assert "job_processed" in said
        assert "02105" not in said
    assert _results(site) == {"02104": [table("02104")], "02105": [table("02105")]}


def test_a_running_cid_is_finished_before_a_reload(site: TowpathMachine) -> None:
    """It may have computed for hours; a changed setting is no reason to begin again."""
    mark = site.machine.journal.mark()
    gate = f"{STEPS_FOLDER}/gate"
    site.machine.run("mkfifo", "--mode=644", gate)
    site.machine.write(f"{STEPS_FOLDER}/bad/02106", f'[ "$1" = closest ] || read -r _ < {gate}\n')
    _send(site, "02106")
    # Opening it waits until the step reads.
    claimed = site.wait_for("job_claimed", after=mark, CID="02106")
    held = os.open(site.machine.path(gate), os.O_WRONLY)
    _configure(site, poll_seconds=0.2)

    site.systemctl("reload", "--no-block", UNIT)
    site.wait_for("reload_requested", after=mark)
    os.close(held)

    site.wait_for("reload_done", after=mark)
    site.wait_for("job_processed", after=mark, CID="02106")
    entries = site.machine.journal.entries({"EVENT": "job_claimed", "CID": "02106"})
    assert entries == [claimed]
    assert _results(site)["02106"] == [table("02106")]


def test_several_on_a_machine_do_each_job_once(site: TowpathMachine) -> None:
    """Sixteen cores are not filled by one CID at a time."""
    cids = [f"030{number:02d}" for number in range(8)]

    site.towpath("units", "install", "watcher", "--instances", "2")

    for unit in INSTANCES:
        site.machine.journal.wait_for(started(unit))
    _send(site, *cids)
    for cid in cids:
        site.wait_for("job_processed", CID=cid)
    assert {cid: _results(site)[cid] for cid in cids} == {cid: [table(cid)] for cid in cids}
    assert site.machine.show(UNIT, "LoadState", "ActiveState") == {
        "LoadState": "not-found",
        "ActiveState": "inactive",
    }


def test_one_of_several_may_be_stopped(site: TowpathMachine) -> None:
    """The others go on: a machine can be given more or fewer at any time."""
    site.systemctl("stop", INSTANCES[0])

    _send(site, "04000")

    site.wait_for("job_processed", CID="04000", _SYSTEMD_UNIT=INSTANCES[1])


def test_removing_takes_all_of_several_away(site: TowpathMachine) -> None:
    """One that is forgotten goes on with a program that was deleted."""
    site.towpath("units", "remove", "watcher")

    listed = site.systemctl("list-units", "--all", "--plain", "--no-legend", "towpath*").stdout
    assert "towpath" not in listed
    assert (
        "/srv/neowise/.processed_cids\n"
        in site.machine.run("find", ROOT, "-name", ".processed_cids").stdout
    )
