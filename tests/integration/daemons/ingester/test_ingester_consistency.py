from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ingest_commands import CommandGround, open_commands
from tests.support.syncing import episode, manifest_bytes

KEY = "2026-03-02_Episode_1--1749472638931"
AUDIO = f"audio/hard-fork/{KEY}.mp3"
TRANSCRIPT = f"transcripts/hard-fork/{KEY}.srt"
ENTRIES = f"search-entries/hard-fork/{KEY}.json"
MANIFEST = "episode-manifest/full-episode-manifest.json"


@pytest.fixture
def ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandGround]:
    """One site with the manifest of one episode."""
    with open_commands(tmp_path, monkeypatch, capsys) as made:
        made.add_site("hardfork")
        made.lay_here("hardfork", MANIFEST, manifest_bytes([episode(1)]))
        yield made


def test_errors_are_told_and_need_no_credentials(ground: CommandGround) -> None:
    """It is asked on machines that may not touch AWS."""
    (ground.project.root / ".env.automation").unlink()
    ground.lay_here("hardfork", AUDIO)

    as_text = ground.call("consistency")
    as_json = ground.call("consistency", "--format=json")

    assert (as_text.status, as_json.status) == (1, 1)
    assert "error: missing-file: 2" in as_text.out
    (document,) = as_json.documents()
    assert document["errorCount"] == 2
    assert {finding["item"] for finding in document["findings"]} == {AUDIO}
    assert "movingIn" not in document
    assert ground.aws.asked == []


def test_warnings_alone_have_a_status_of_their_own(ground: CommandGround) -> None:
    """A transcript without its audio is nobody's emergency."""
    ground.lay_here("hardfork", TRANSCRIPT, b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n")

    ended = ground.call("consistency")

    assert ended.status == 2
    assert "warning: orphaned-file: 1" in ended.out


def test_nothing_wrong_is_status_zero(ground: CommandGround) -> None:
    """What scripts wait for before they move in."""
    ground.lay_here("hardfork", MANIFEST, manifest_bytes([]))

    assert ground.call("consistency").status == 0


def test_moving_in_prints_what_a_first_run_would_change(ground: CommandGround) -> None:
    """Who comes with 500 GB wants to see that nothing is moved twice, and nothing is moved now."""
    ground.lay_here("hardfork", MANIFEST, manifest_bytes([]))
    before = ground.files("hardfork")
    ground.s3.seed("hardfork-browse-dot-show", {TRANSCRIPT: b"said"})

    as_text = ground.call("consistency", "--moving-in")
    as_json = ground.call("consistency", "--moving-in", "--format=json")

    assert (as_text.status, as_json.status) == (0, 0)
    assert f"  download {TRANSCRIPT}" in as_text.out.splitlines()
    (document,) = as_json.documents()
    pull, push = document["movingIn"]
    assert (pull["direction"], pull["planned"]) == ("pull", [f"download {TRANSCRIPT}"])
    assert (push["direction"], push["planned"]) == ("push", [f"upload {MANIFEST}"])
    assert ground.files("hardfork") == before
    assert ground.writes() == []


def test_bucket_that_cannot_be_listed_is_an_error(ground: CommandGround) -> None:
    """What S3 has is not known, and moving in would be blind."""
    ground.lay_here("hardfork", MANIFEST, manifest_bytes([]))
    ground.s3.access.deny("s3:ListBucket", "hardfork-browse-dot-show")

    ended = ground.call("consistency", "--moving-in", "--sync-folders=audio")

    assert ended.status == 1
    (complaint,) = set(ended.complaints())
    assert "site 'hardfork': audio: s3://hardfork-browse-dot-show/audio/" in complaint
