"""`submit --service batch --wait`: jobs are real processes that write records, or do not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.glacier.command import main
from shared.cli import run_command
from tests.support.glacier_regions import write_project
from tests.support.local_aws import LocalAws, open_local_aws
from tests.support.local_aws_sandbox import PROJECT, Image
from tests.support.moto_server import MotoServer

_JOB = """
import os, sys, urllib.request
from pipelines.glacier.job_record import JobRecord, RunEntry
told = os.environ
if told["REGION"] == "049_jakobshavn":
    sys.exit("no disk")
done = "REPEAT" in told or told["REGION"] != "134_Arsuk"
status = "success" if done else "partial"
entry = RunEntry(told["SUBMISSION_ID"], status, "2024-09-01T00:00:00+00:00")
record = JobRecord(told["JOB_NAME"], told["SATELLITE"]).with_entry(entry)
key = f"{told['S3_BASE_PATH']}/{told['SATELLITE']}/_runs/{told['JOB_NAME']}.json"
# moto looks at no signature, but lets nobody without one write twice.
signed = "AWS4-HMAC-SHA256 Credential=a/20240901/us-west-2/s3/aws4_request, Signature=0"
headers = {"Content-Type": "text/json", "Authorization": signed}
url = f"{told['AWS_ENDPOINT_URL']}/{told['S3_BUCKET']}/{key}"
urllib.request.urlopen(urllib.request.Request(url, record.to_bytes(), headers, method="PUT"))
"""
_WHAT = ("--satellite", "sentinel2", "--date1", "2024-08-01", "--date2", "2024-08-03")


@pytest.fixture
def aws(
    moto_server: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalAws]:
    """An account with a queue; `--wait` looks often there."""
    image = Image(tmp_path, command=(sys.executable, "-S", "job.py"), python_path=(PROJECT,))
    (tmp_path / "job.py").write_text(_JOB)
    monkeypatch.setattr("pipelines.glacier.submit.command._POLL_SECONDS", 0.1)
    with open_local_aws(moto_server, tmp_path / "aws", images={"towpath:1": image}) as account:
        for name, value in account.environment().items():
            monkeypatch.setenv(name, value)
        account.client("s3").create_bucket(
            Bucket="greenland-glacier-data",
            CreateBucketConfiguration={"LocationConstraint": "us-west-2"},
        )
        account.add_job_queue("glacier-processing-queue")
        account.add_job_definition("satellite-processing-sentinel2", "towpath:1")
        yield account


def test_three_regions_on_batch_are_seen_to_their_ends(
    aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One at once, one after it was submitted again, one never: with its reason and its log."""
    monkeypatch.chdir(write_project(tmp_path / "project"))
    regions = "134_Arsuk,049_jakobshavn,101_sermiligarssuk"

    status = run_command(
        "glacier", main, ["submit", *_WHAT, "--regions", regions, "--service", "batch", "--wait"]
    )

    name = "  aws-sentinel2-20240801"
    first, second, third, *rest = capsys.readouterr().out.splitlines()
    assert status == 1
    assert first == f"{name}-134_Arsuk  batch  success, submitted 2 times"
    assert second.startswith(f"{name}-049_jakobshavn  batch  failed: it ended without a result: ")
    assert "exit status 1" in second
    assert "; https://us-west-2.console.aws.amazon.com/cloudwatch/" in second
    assert third == f"{name}-101_sermiligarssuk  batch  success"
    assert rest == [
        "3 jobs: 3 accepted, 0 failed",
        "finished: 1 failed, 2 success",
        "2 of 3 regions succeeded (66.7%)",
        "failed: --regions 049_jakobshavn",
    ]
    # A record may be there before its process has ended.
    aws.wait()
    listed = aws.client("batch").list_jobs(
        jobQueue="glacier-processing-queue", jobStatus="SUCCEEDED"
    )
    assert len(listed["jobSummaryList"]) == 3
