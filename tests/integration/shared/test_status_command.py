import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.cli import run_command
from shared.errors import ExitStatus
from shared.handshake.lease import LeaseState
from shared.handshake.summary import Summary
from shared.status_command import main
from tests.support.leasing import BUCKET, CID, JOB, LAYOUT, lease, report
from tests.support.strict_s3.server import StrictS3

WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:CreateBucket")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StrictS3]:
    """A hand-shake with one parked CID, one that waits and one collected; writing is denied."""
    with StrictS3([BUCKET], aws_region="us-west-2") as server:
        told = Summary("collector", "prod", "noon", {"collected": frozenset({"00009"})})
        waiting = str(LAYOUT.marker(JOB).key).replace(CID, "00001")
        parked = lease(LeaseState.PARKED, reason="the seeds are empty")
        server.seed(
            BUCKET,
            {
                LAYOUT.summary("collector").key: told.to_bytes(),
                LAYOUT.seed(JOB).key: b"PAR1",
                LAYOUT.marker(JOB).key: f"{CID}\n".encode(),
                waiting: b"00001\n",
                LAYOUT.lease(CID).key: parked.to_bytes(),
                LAYOUT.failure(CID).key: report().to_bytes(),
            },
        )
        for action in WRITES:
            server.access.deny(action)
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("BUCKET", BUCKET)
        monkeypatch.chdir(tmp_path)
        yield server


def status(*argv: str) -> int:
    """Run the command as `towpath status` does."""
    return run_command("status", main, argv)


def test_status_works_with_read_access_alone(
    s3: StrictS3, capsys: pytest.CaptureFixture[str]
) -> None:
    """A laptop may look; nothing is written, locked or tried."""
    before = len(s3.mutations())

    code = status()

    out = capsys.readouterr().out
    assert code == ExitStatus.DONE
    assert "parked             1" in out
    assert "waiting            1" in out
    assert "collected          1" in out
    assert "the seeds are empty (attempt 1)" in out
    assert len(s3.mutations()) == before
    asked = {request.operation for request in s3.requests()}
    assert asked <= {"GetCallerIdentity", "HeadBucket", "ListObjectsV2", "GetObject"}


def test_status_counts_for_programs(s3: StrictS3, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` is one document, and `--fail` makes a monitor of it."""
    code = status("--json", "--fail")

    told = json.loads(capsys.readouterr().out)
    assert code == ExitStatus.PARTLY_DONE
    assert told["counts"]["parked"] == 1
    assert told["people"][0]["cid"] == CID
    assert told["summaries"][0]["service"] == "collector"


def test_status_tells_one_cids_story(s3: StrictS3, capsys: pytest.CaptureFixture[str]) -> None:
    """Folder, lease, generation, report and the end of the log in one look."""
    assert status("--cid", CID) == ExitStatus.DONE

    out = capsys.readouterr().out
    for said in (f"CID {CID}: parked", str(JOB), "generation 3", "the end of its log", "reading"):
        assert said in out


def test_status_lists_one_state(s3: StrictS3, capsys: pytest.CaptureFixture[str]) -> None:
    """The CIDs of one state and no others."""
    assert status("--state", "parked") == ExitStatus.DONE

    out = capsys.readouterr().out
    assert out.startswith(f"  {CID}  parked")
    assert "00001" not in out


def test_status_says_what_it_may_not_see(s3: StrictS3, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the right to list, an empty table would be a lie; without one object, one line."""
    s3.access.deny("s3:GetObject", key="*/leases/*")
    assert status() == ExitStatus.DONE
    assert "leases/*: AccessDenied" in capsys.readouterr().out

    s3.access.deny("s3:ListBucket")
    assert status() == ExitStatus.UNREACHABLE
    assert "AccessDenied" in capsys.readouterr().err


def test_status_reads_ledgers_where_it_stands(
    s3: StrictS3, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In PROD's root the ledger knows more than the last summary."""
    (tmp_path / ".completed_cids").write_text("00001\n00009\n")

    assert status("--json") == ExitStatus.DONE

    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["collected"] == 2
    assert told["ledgers"] == {".completed_cids": {"state": "collected", "count": 2}}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--cid", "123"], "--cid '123' is no CID"),
        (["--state", "lost"], "--state 'lost' is no state"),
        (["--watch", "0"], "--watch '0' is no time to wait"),
        (["--prefix", "/x"], "--prefix"),
    ],
)
def test_mistakes_are_one_line(
    argv: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What, where and what is allowed; before any request."""
    monkeypatch.setenv("BUCKET", BUCKET)

    assert status(*argv) == ExitStatus.USAGE

    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_bucket_has_no_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the variable that people have in their shells."""
    assert status() == ExitStatus.USAGE
    assert "BUCKET" in capsys.readouterr().err
