from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemons.dispatcher.quarantine import (
    TAIL_CHARACTERS_MAX,
    Held,
    Patience,
    Quarantine,
    put_back,
)
from shared.fswatch.stability import FileIdentity

FIRST = FileIdentity(1, 2, 3, 4)
OTHER = FileIdentity(1, 2, 3, 5)
PATIENCE = Patience(attempts=3, first_delay_seconds=60.0, longest_delay_seconds=100.0)


def opened(folder: Path, *command: str) -> Quarantine:
    """A new process's quarantine."""
    made = Quarantine(folder, command or ("build",), PATIENCE)
    made.load()
    return made


def failed(cid: str = "00001", *, final: bool = False, tail: str = "") -> Held:
    """A failure as the service tells it."""
    return Held(cid, "bad line", final, 1, "", "2026-03-01T00:00:00+00:00", 2, tail)


def test_bad_input_waits_for_another_chunk_across_lives(tmp_path: Path) -> None:
    """Its reason survives a restart, so that nobody has to wait for it twice."""
    opened(tmp_path).blame(failed(final=True), FIRST, now=0.0)

    again = opened(tmp_path)

    assert again.why_not("00001", FIRST, now=1e9) == "quarantined: bad line"
    assert again.why_not("00001", OTHER, now=0.0) == ""
    assert again.why_not("00002", FIRST, now=0.0) == ""
    assert opened(tmp_path, "build", "better").why_not("00001", FIRST, now=0.0) == ""


def test_an_accident_waits_longer_each_time_and_then_for_good(tmp_path: Path) -> None:
    """Delays double up to the longest; the attempts are counted across lives."""
    held = opened(tmp_path)

    held.blame(failed(), FIRST, now=0.0)
    assert "failed 1 times" in held.why_not("00001", FIRST, now=59.0)
    assert held.why_not("00001", FIRST, now=60.0) == ""
    held.blame(failed(), FIRST, now=60.0)
    assert held.why_not("00001", FIRST, now=159.0)
    assert held.why_not("00001", FIRST, now=160.0) == ""

    again = opened(tmp_path)
    assert again.why_not("00001", FIRST, now=0.0) == ""
    assert again.blame(failed(), FIRST, now=0.0).final


def test_another_chunk_begins_with_no_attempts(tmp_path: Path) -> None:
    """Who mended the chunk gets all the attempts."""
    held = opened(tmp_path)
    for now in range(2):
        held.blame(failed(), FIRST, now=float(now))

    assert held.blame(failed(), OTHER, now=5.0).attempts == 1


def test_a_removed_record_lets_its_cid_go(tmp_path: Path) -> None:
    """That is all that `--retry` does, and `rm` does it too."""
    held = opened(tmp_path)
    held.blame(failed(final=True), FIRST, now=0.0)
    held.blame(failed("00002", final=True), FIRST, now=0.0)

    assert put_back(tmp_path, ["00002", "00003"]) == ["00002"]

    assert held.take_back() == ["00002"]
    assert held.why_not("00002", FIRST, now=0.0) == ""
    assert held.why_not("00001", FIRST, now=0.0)
    assert put_back(tmp_path, None) == ["00001"]
    assert put_back(tmp_path / "nowhere", None) == []


def test_what_is_forgiven_is_gone_from_disk(tmp_path: Path) -> None:
    """A CID that was sent after all must not be shown as failing for ever."""
    held = opened(tmp_path)
    held.blame(failed(), FIRST, now=0.0)

    held.forgive("00001")
    held.forgive("00009")

    assert list((tmp_path / "quarantine").iterdir()) == []
    assert len(held) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": 99}',
        b'{"schema": 1, "cid": "00002"}',
        b'{"schema": 1, "cid": "00001", "attempts": -1, "reason": "r", "stamp": "s"}',
        b"\xff\xfe" * 300_000,
    ],
)
def test_a_broken_record_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    """The chunk is tried once more, which writes a good one."""
    folder = tmp_path / "quarantine"
    folder.mkdir()
    (folder / "CID-00001.json").write_bytes(content)
    (folder / "CID-1.json").write_bytes(b"none of ours")
    (folder / "notes.txt").write_bytes(b"none of ours")

    with capture_logs() as logs:
        held = opened(tmp_path)

    assert held.why_not("00001", FIRST, now=0.0) == ""
    assert [line["event"] for line in logs] == ["quarantine_ignored"]


def test_an_endless_tail_is_cut_and_made_harmless(tmp_path: Path) -> None:
    """A hundred thousand bad chunks must not fill the disk, nor act on a terminal."""
    held = opened(tmp_path).blame(failed(tail="x" * 10**6 + "\x1b[2Jend"), FIRST, now=0.0)

    assert len(held.log_tail) <= TAIL_CHARACTERS_MAX
    assert "\x1b" not in held.log_tail
    assert held.log_tail.endswith("end")
    assert opened(tmp_path).blame(failed(), FIRST, now=0.0).attempts == 2
