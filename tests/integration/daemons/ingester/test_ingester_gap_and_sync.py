import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.ingester.phases.index_marker import pending_marker, stale_marker
from shared.files import make_folders
from shared.lock import hold_lock
from tests.support.ingest_commands import CommandGround, open_commands
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B
from tests.support.syncing import episode, manifest_bytes

AUDIO = "audio/hardfork-podcast/2022-09-27_Pilot--1749472638931.mp3"
TRANSCRIPT = "transcripts/hardfork-podcast/2022-09-27_Pilot--1749472638931.srt"
MANIFEST = "episode-manifest/full-episode-manifest.json"
NOTHING: dict[str, list[str]] = {
    name: [] for name in ("audio", "transcripts", "manifest", "rss", "searchEntries", "searchIndex")
}


@pytest.fixture
def ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandGround]:
    """Two sites of two accounts, in a project."""
    with open_commands(tmp_path, monkeypatch, capsys) as made:
        made.add_site("hardfork", ACCOUNT_B)
        made.add_site("naddpod", ACCOUNT_A)
        yield made


def test_gap_is_told_as_json_and_nothing_is_touched(ground: CommandGround) -> None:
    """Dashboards read it; a report that moves a file is no report."""
    ground.lay_here("hardfork", AUDIO)
    ground.s3.seed("hardfork-browse-dot-show", {TRANSCRIPT: b"said"})

    ended = ground.call("gap", "--sites=hardfork", "--format", "json")

    assert (ended.status, ended.complaints()) == (0, [])
    (report,) = ended.documents()
    assert list(report) == [
        *("siteId", "bucket", "generatedAt"),
        *("localOnly", "s3Only", "consistent", "conflicts", "summary"),
    ]
    assert report["localOnly"] == {**NOTHING, "audio": [AUDIO]}
    assert report["s3Only"] == {**NOTHING, "transcripts": [TRANSCRIPT]}
    assert report["summary"]["totalLocalOnlyFiles"] == report["summary"]["totalS3OnlyFiles"] == 1
    assert ground.files("hardfork") == {AUDIO: b"content"}
    assert ground.writes() == []
    assert not (ground.project.data / "work").exists()
    assert [each.account_id for each in ground.aws.assumed] == [ACCOUNT_B]


def test_gap_of_a_new_machine_makes_no_folder_for_data(ground: CommandGround) -> None:
    """Read-only means that nobody can tell afterwards that somebody has looked."""
    assert ground.call("gap").status == 0

    assert not ground.project.data.exists()


def test_gap_is_told_as_text_with_conflicts_by_name(ground: CommandGround) -> None:
    """People want the counts first, and the few paths that need a decision."""
    ground.lay_here("hardfork", AUDIO, b"new")
    ground.s3.seed("hardfork-browse-dot-show", {AUDIO: b"older and longer"})

    ended = ground.call("gap")

    first, second = ended.out.strip().split("\n\n")
    assert first.splitlines()[0] == "hardfork, bucket hardfork-browse-dot-show"
    assert first.splitlines()[-2:] == ["conflicts: 1", f"  {AUDIO}"]
    assert second.splitlines()[0] == "naddpod, bucket naddpod-browse-dot-show"


def test_gap_is_written_into_a_folder_a_file_for_each_site(
    ground: CommandGround, tmp_path: Path
) -> None:
    """A million paths are for programs, and each site's team reads its own."""
    ended = ground.call("gap", "--output", str(tmp_path / "gaps"), "--format=json")

    written = [
        json.loads((tmp_path / "gaps" / f"{site}.json").read_text())
        for site in ("hardfork", "naddpod")
    ]
    assert written == ended.documents()


def test_gap_into_a_folder_that_cannot_be_is_refused_before_anything_is_asked(
    ground: CommandGround, tmp_path: Path
) -> None:
    """A name with a mistake in it must not cost a night of listings, nor end in a traceback."""
    (tmp_path / "file").touch()

    ended = ground.call("gap", "--output", str(tmp_path / "file" / "gaps"))

    assert ended.status == 2
    [said] = ended.complaints()
    assert f"the folder of --output '{tmp_path}/file/gaps' cannot be made" in said
    assert ground.aws.asked == []


def test_a_gap_that_cannot_be_written_is_told_and_the_others_are(
    ground: CommandGround, tmp_path: Path
) -> None:
    """The report is on stdout by then, and one file is in the way."""
    (tmp_path / "gaps" / "hardfork.json").mkdir(parents=True)

    ended = ground.call("gap", "--output", str(tmp_path / "gaps"), "--format=json")

    assert ended.status == 1
    assert [report["siteId"] for report in ended.documents()] == ["hardfork", "naddpod"]
    [said] = ended.complaints()
    assert "site 'hardfork': " in said
    assert "hardfork.json' cannot be written: is a directory; name another" in said
    assert (tmp_path / "gaps" / "naddpod.json").is_file()


def test_gap_of_one_site_fails_and_the_others_are_told(ground: CommandGround) -> None:
    """Twenty sites are looked at, and one account may be out of order."""
    ground.aws.accounts.discard(ACCOUNT_B)
    ground.s3.access.deny("s3:ListBucket", "naddpod-browse-dot-show")
    ground.add_site("searchengine", ACCOUNT_A)
    broken = ground.project.folder(ground.add_site("broken", role=False).id) / "site.config.json"
    broken.write_text("{")

    ended = ground.call("gap", "--format=json", "--sync-folders=audio")

    assert ended.status == 1
    assert [report["siteId"] for report in ended.documents()] == ["naddpod", "searchengine"]
    zeroth, first, second = ended.complaints()
    assert zeroth.startswith(f"towpath ingester gap: site 'broken': {str(broken)!r}: is not valid")
    assert first.startswith("towpath ingester gap: site 'hardfork': role 'arn:aws:iam::22222222")
    assert second.startswith("towpath ingester gap: site 'naddpod': audio: s3://naddpod-browse")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--sites=hardfrok"], "--sites names 'hardfrok', which is not known"),
        (["--sync-folders=audios"], "--sync-folders 'audios'"),
        (["--formats=json"], "unrecognized arguments: --formats=json"),
        (["--format=xml"], "--format 'xml' is not valid; allowed: one of text, json"),
        (["--skip-pre-sync"], "unrecognized arguments: --skip-pre-sync"),
    ],
)
def test_bad_usage_ends_before_anything_is_asked(
    ground: CommandGround, argv: list[str], message: str
) -> None:
    """A typo must not look at other sites than those that were meant."""
    ended = ground.call("gap", *argv)

    assert ended.status == 2
    assert message in ended.err
    assert ground.aws.asked == []


def test_file_of_the_run_serves_the_other_commands(ground: CommandGround, tmp_path: Path) -> None:
    """People have one file; what it says to a run alone must not end a report."""
    config = tmp_path / "ingester.toml"
    config.write_text('sites = "naddpod"\nskip_pre_sync = true\nsync_folders = "rss"\n')
    ground.s3.seed("naddpod-browse-dot-show", {TRANSCRIPT: b"said", "rss/a.xml": b"<rss/>"})

    ended = ground.call("gap", "--config", str(config), "--format=json")

    (report,) = ended.documents()
    assert (report["siteId"], report["s3Only"]["rss"]) == ("naddpod", ["rss/a.xml"])
    assert report["summary"]["totalS3OnlyFiles"] == 1


def test_sync_brings_both_sides_in_step_and_then_has_nothing_to_do(ground: CommandGround) -> None:
    """It is the run's own rule, without feeds and speech."""
    ground.lay_here("hardfork", AUDIO)
    ground.lay_here("hardfork", MANIFEST, manifest_bytes([episode(1)]))
    ground.s3.seed(
        "hardfork-browse-dot-show",
        {TRANSCRIPT: b"said", MANIFEST: manifest_bytes([episode(2)])},
    )

    first = ground.call("sync", "--sites=hardfork", "--format=json")
    written = ground.writes()
    second = ground.call("sync", "--sites=hardfork")

    assert (first.status, first.complaints()) == (0, [])
    (document,) = first.documents()
    assert [(each["direction"], each["filesMoved"]) for each in document["directions"]] == [
        ("pull", 2),
        ("push", 2),
    ]
    assert ground.files("hardfork") == {
        key: body
        for key, body in ground.s3.objects("hardfork-browse-dot-show").items()
        if key != "index.html"
    }
    assert second.status == 0
    assert "pull: 0 files moved, 0 bytes" in second.out
    assert "push: 0 files moved, 0 bytes" in second.out
    assert ground.writes() == written
    assert ground.call("gap", "--sites=hardfork").out.count("conflicts: 0") == 1


def test_upload_is_marked_so_that_the_next_run_does_what_follows(ground: CommandGround) -> None:
    """It finds nothing to upload, and nobody else knows that the index and the caches are old."""
    site = ground.add_site("with-caches", distribution="E2EXAMPLE")
    ground.lay_here(site.id, TRANSCRIPT)
    ground.lay_here("hardfork", TRANSCRIPT)
    ground.lay_here("naddpod", "rss/naddpod-podcast.xml", b"<rss/>")

    assert ground.call("sync", "--direction=push").status == 0

    assert pending_marker(ground.state, "hardfork").is_set()
    assert not pending_marker(ground.state, "naddpod").is_set()
    assert stale_marker(ground.state, site.id).is_set()
    assert not stale_marker(ground.state, "hardfork").is_set()


@pytest.mark.parametrize(
    ("options", "here", "there"),
    [
        (["--direction=pull"], b"old", b"older"),
        (["--conflicts=s3"], b"older", b"older"),
        (["--direction=push", "--conflicts=none"], b"old", b"older"),
        ([], b"old", b"old"),
    ],
)
def test_conflict_goes_where_the_rule_says(
    ground: CommandGround, options: list[str], here: bytes, there: bytes
) -> None:
    """Here is newer: by itself it stays, and it goes up; any other end was asked for."""
    ground.s3.seed("hardfork-browse-dot-show", {AUDIO: b"older"})
    target = ground.lay_here("hardfork", AUDIO, b"old")
    later = target.stat().st_mtime + 3600
    os.utime(target, (later, later))

    ended = ground.call("sync", "--sites=hardfork", *options)

    assert ended.status == 0
    assert ground.files("hardfork")[AUDIO] == here
    assert ground.s3.objects("hardfork-browse-dot-show")[AUDIO] == there


def test_dry_run_prints_the_plan_and_moves_nothing(ground: CommandGround) -> None:
    """Who moves in wants to see it before 500 GB are on their way."""
    ground.lay_here("hardfork", AUDIO)
    ground.s3.seed("hardfork-browse-dot-show", {TRANSCRIPT: b"said"})

    ended = ground.call("sync", "--dry-run", "--sites=hardfork")

    assert "pull: 1 file to move\n" in ended.out
    assert f"  download {TRANSCRIPT}\n" in ended.out
    assert f"  upload {AUDIO}\n" in ended.out
    assert ground.files("hardfork") == {AUDIO: b"content"}
    assert ground.writes() == []
    assert not pending_marker(ground.state, "hardfork").is_set()


def test_broken_manifest_blocks_the_site_and_no_other(ground: CommandGround) -> None:
    """Whatever would be pushed could be what makes it worse."""
    ground.lay_here("hardfork", MANIFEST, b"{")
    ground.lay_here("hardfork", AUDIO)
    ground.s3.seed("hardfork-browse-dot-show", {MANIFEST: manifest_bytes([episode(1)])})
    ground.lay_here("naddpod", AUDIO)

    ended = ground.call("sync", "--format=json")

    assert ended.status == 1
    (complaint,) = ended.complaints()
    assert "site 'hardfork': the local manifest cannot be used" in complaint
    blocked, other = ended.documents()
    assert [each["direction"] for each in blocked["directions"]] == ["pull"]
    assert [each["status"] for each in other["directions"]] == ["ok", "ok"]
    assert [key for _, key in ground.writes()] == [AUDIO]


def test_sync_waits_for_no_run_and_disturbs_none(ground: CommandGround) -> None:
    """Two who move the same files would move them twice, or half."""
    make_folders(ground.project.data)
    with hold_lock(ground.project.data):
        refused = ground.call("sync")
        step = ground.call("srt-indexing")
        looked = ground.call("gap")

    assert (refused.status, step.status, looked.status) == (3, 3, 0)
    assert "is in use by" in refused.err
