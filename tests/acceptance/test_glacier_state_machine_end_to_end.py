"""A submission that the state machine runs, from the command line to the rasters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.glacier.targets.state_machine import Places, build_definition
from tests.support.glacier_regions import REGION_FILE, Row, write_regions
from tests.support.glacier_scenes import Place, Scene, pattern
from tests.support.glacier_stac import StacServer
from tests.support.local_aws import LocalAws, open_local_aws
from tests.support.local_aws_sandbox import GLACIER_IMAGE, PROJECT
from tests.support.moto_server import MotoServer

BUCKET, FUNCTION, QUEUE = "greenland-glacier-data", "glacier-processing", "glacier-queue"
IMAGE = "glacier:1"
FAR_AWAY = (-100000, -3173900, -97000, -3170900)
RESULTS = "1_download_merge_and_clip/sentinel2"


def _prepare(aws: LocalAws, project: Path) -> None:
    """Make what the stack makes, and the configuration that its outputs are."""
    aws.add_function(FUNCTION, IMAGE, timeout=120)
    aws.add_job_queue(QUEUE)
    aws.add_job_definition("satellite-processing-sentinel2", IMAGE, command=["runner"])
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    places = Places(
        function=FUNCTION,
        job_queue=QUEUE,
        job_definition="satellite-processing",
        topic=aws.client("sns").create_topic(Name="glacier")["TopicArn"],
    )
    machine = aws.client("stepfunctions").create_state_machine(
        name="glacier-runs",
        roleArn="arn:aws:iam::123456789012:role/states",
        definition=json.dumps(build_definition(places)),
    )
    (project / "config.ini").write_text("[SETTINGS]\nsatellite = sentinel2\n")
    (project / "aws_config.ini").write_text(
        f"[STEPFUNCTIONS]\nstate_machine_arn = {machine['stateMachineArn']}\n"
        "[EXPERIMENTAL]\nenable_step_functions = true\n"
    )


@pytest.mark.soak
def test_a_submission_is_run_by_the_state_machine(moto_server: MotoServer, tmp_path: Path) -> None:
    """Every part speaks the language of the next one, from the command line to the rasters."""
    project = tmp_path / "project"
    regions = write_regions(
        project / REGION_FILE,
        [Row("134_Arsuk"), Row("135_Large", "22VFP,22VEP,22VFQ"), Row("136_Dark", bounds=FAR_AWAY)],
    )
    place = Place.around()
    with StacServer() as stac:
        for day in (1, 2):
            stac.publish(Scene(place, pattern(place, day), sensed=f"2024080{day}T143749"))
        world = {"GLACIER_STAC_URL": stac.url, "GLACIER_REGION_FILE": str(regions)}
        with open_local_aws(
            moto_server, tmp_path / "aws", images={IMAGE: GLACIER_IMAGE}, environ=world
        ) as aws:
            _prepare(aws, project)
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pipelines.glacier", "submit", "--all", "--wait"),
                    *("--service", "stepfunctions", "--poll-seconds", "1"),
                    *("--date1", "2024-08-01", "--date2", "2024-08-02", "--allow-stale"),
                    *("--project", str(project), "--endpoint-url", moto_server.url),
                    *("--aws-config", str(project / "aws_config.ini")),
                ],
                cwd=PROJECT,
                env={**aws.environment(), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                check=False,
                timeout=100,
            )
            listed = aws.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
            by_batch = aws.client("batch").list_jobs(jobQueue=QUEUE, jobStatus="SUCCEEDED")
            invoked = {json.loads(each.payload)["region"] for each in aws.invoked}

    scenes = {
        each["Key"].removeprefix(f"{RESULTS}/") for each in listed if "clipped" in each["Key"]
    }
    assert done.returncode == 0, done.stderr
    assert "finished: 1 no_data, 2 success" in done.stdout
    assert invoked == {"134_Arsuk", "136_Dark"}
    assert [one["jobName"] for one in by_batch["jobSummaryList"]] == [
        "aws-sentinel2-20240801-135_Large"
    ]
    assert scenes == {
        f"{region}/clipped/S2B_MSIL2A_2024080{day}T143749_N0511_R039.tif"
        for region in ("134_Arsuk", "135_Large")
        for day in (1, 2)
    }
