"""The command: flags and files in, a plan out."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pipelines.glacier.command import main
from pipelines.glacier.submit import flags
from pipelines.glacier.submit.plan import Outcome, Plan
from pipelines.glacier.submit.sending import Manner
from pipelines.glacier.submit.submission_log import LOG_PATH
from pipelines.glacier.submit.waiting import Sent
from shared.cli import run_command
from tests.support.glacier_command import AWS_CONFIG, CONFIG, Submit, submit_in
from tests.support.glacier_regions import REGION_FILE, Row, write_project


@pytest.fixture
def submit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Submit:
    """The command, in a project."""
    return submit_in(tmp_path, monkeypatch, capsys)


def _plan(submit: Submit, *argv: str) -> dict[str, Any]:
    status, out, err = submit("--output", "json", *argv)
    assert (status, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    return document


def _regions(plan: Mapping[str, Any]) -> list[str]:
    return [job["region"] for job in plan["jobs"]]


def test_everything_can_come_from_the_files(submit: Submit) -> None:
    """As on the cluster and the laptop."""
    plan = _plan(submit)

    assert _regions(plan) == ["134_Arsuk", "101_sermiligarssuk"]
    assert (plan["date1"], plan["date2"]) == ("2024-05-04", "2024-05-07")
    assert (plan["service"], plan["satellite"], plan["dry_run"]) == ("lambda", "sentinel2", True)
    assert (plan["aws_region"], plan["s3_bucket"]) == ("eu-central-1", "other-bucket")
    assert plan["s3_base_path"] == "results"
    event = json.loads(plan["jobs"][0]["request"]["Payload"])
    assert (event["cores"], event["clear_downloads"], event["download_flag"]) == (2, 1, 1)


def test_the_line_is_stronger_than_the_files(submit: Submit) -> None:
    """The index of the file once beat the regions of the line, in silence."""
    plan = _plan(
        submit,
        *("--satellite", "landsat", "--service", "batch", "--regions", "049_jakobshavn"),
        *("--date1", "2024-06-01", "--date2", "2024-06-30", "--s3-bucket", "third-bucket"),
        *("--aws-region", "us-east-1", "--cores", "4", "--clear-downloads", "0"),
        *("--download-flag", "0", "--post-processing-flag", "1", "--layout", "new"),
        "--force-reprocess",
    )

    assert (plan["satellite"], plan["service"]) == ("landsat", "batch")
    assert _regions(plan) == ["049_jakobshavn"]
    assert (plan["date1"], plan["date2"]) == ("2024-06-01", "2024-06-30")
    assert (plan["s3_bucket"], plan["aws_region"]) == ("third-bucket", "us-east-1")
    request = plan["jobs"][0]["request"]
    assert (request["jobQueue"], request["jobDefinition"]) == ("compute-queue", "satellite-landsat")
    told = {each["name"]: each["value"] for each in request["containerOverrides"]["environment"]}
    assert (told["CORES"], told["DOWNLOAD_FLAG"], told["LAYOUT"]) == ("4", "0", "new")
    assert told["FORCE_REPROCESS"] == "1"


@pytest.mark.parametrize(
    ("argv", "count", "first", "last"),
    [
        (["--start-end-index", "0:25"], 25, "001_alison", "025_region_25"),
        (["--start_end_index", "0:25"], 25, "001_alison", "025_region_25"),
        (["--start-end-index", "5:"], 187, "006_region_6", "192_region_192"),
        (["--start-end-index", "130:195"], 62, "131_region_131", "192_region_192"),
        (["--all"], 192, "001_alison", "192_region_192"),
        (["--region", "134_Arsuk"], 1, "134_Arsuk", "134_Arsuk"),
        (["--region", "134_Arsuk", "--regions", "134_Arsuk"], 1, "134_Arsuk", "134_Arsuk"),
    ],
)
def test_a_selection_on_the_line_replaces_the_file_s(
    submit: Submit, argv: list[str], count: int, first: str, last: str
) -> None:
    """Whichever kind it is, and in both spellings."""
    regions = _regions(_plan(submit, "--service", "auto", *argv))

    assert (len(regions), regions[0], regions[-1]) == (count, first, last)


def test_auto_sends_each_region_where_it_fits(submit: Submit) -> None:
    """In one plan."""
    plan = _plan(submit, "--service", "auto", "--regions", "134_Arsuk,090_petermann")

    assert [(job["service"], job["tiles"]) for job in plan["jobs"]] == [("lambda", 1), ("batch", 4)]
    assert plan["jobs"][1]["request"]["timeout"]["attemptDurationSeconds"] == 4 * 1800


def test_containers_take_their_names_from_the_nearest_section(
    submit: Submit, tmp_path: Path
) -> None:
    """An older file has one section for all; the newer one is stronger where it says something."""
    ecs = _plan(submit, "--service", "ecs")["jobs"][0]["request"]
    fargate = _plan(submit, "--service", "fargate", "--spot-instances")["jobs"][0]["request"]

    assert (ecs["cluster"], ecs["taskDefinition"]) == (
        "glacier-processing-cluster",
        "satellite-processing-task",
    )
    assert fargate["taskDefinition"] == "glacier-task"
    assert fargate["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1"]
    assert fargate["capacityProviderStrategy"][0]["capacityProvider"] == "FARGATE_SPOT"

    newer = "[FARGATE]\nfargate_cluster_name = new\nfargate_subnets = subnet-9\n"
    newer += "[BATCH]\njob_queue = own-queue\njob_definition = own-definition\n"
    (tmp_path / "aws/config/aws_config.ini").write_text(AWS_CONFIG + newer)
    fargate = _plan(submit, "--service", "fargate")["jobs"][0]["request"]
    batch = _plan(submit, "--service", "batch")["jobs"][0]["request"]

    assert fargate["cluster"] == "new"
    assert fargate["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-9"]
    assert (batch["jobQueue"], batch["jobDefinition"]) == ("own-queue", "own-definition")


def test_all_regions_must_be_asked_for_by_name(submit: Submit, tmp_path: Path) -> None:
    """An empty variable in a shell must not start two hundred jobs; a look at them is free."""
    (tmp_path / "config.ini").write_text("")
    dates = ("--satellite", "landsat", "--date1", "2024-06-01", "--date2", "2024-06-02")

    status, _, err = submit(*dates)

    assert status == 2
    assert "--all" in err
    assert len(_plan(submit, *dates, "--dry-run")["jobs"]) == 192


def test_of_both_kinds_in_the_file_the_index_wins_with_a_warning(
    submit: Submit, tmp_path: Path
) -> None:
    """As it always did, but no longer in silence."""
    text = CONFIG.replace("[DATES]", "start_end_index = 0:2\n[DATES]")
    (tmp_path / "config.ini").write_text(text)

    plan = _plan(submit)

    assert _regions(plan) == ["001_alison", "002_region_2"]
    assert any("start_end_index is stronger" in warning for warning in plan["warnings"])


def test_old_spellings_work_and_say_so(submit: Submit) -> None:
    """Habits and scripts are years old."""
    plan = _plan(submit, "--start-date", "2024-06-01", "--end-date", "2024-06-02")

    assert (plan["date1"], plan["date2"]) == ("2024-06-01", "2024-06-02")
    assert [each for each in plan["warnings"] if "old name" in each] == [
        "--start-date is an old name; write --date1",
        "--end-date is an old name; write --date2",
    ]


def test_alias_and_new_name_may_agree(submit: Submit) -> None:
    """Only a contradiction is an error."""
    plan = _plan(submit, "--start-date", "2024-05-05", "--date1", "2024-05-05")

    assert plan["date1"] == "2024-05-05"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--spot-instances"], "--spot-instances has no effect with lambda"),
        (["--spot-instances", "--service", "batch"], "changes no request of batch"),
        (["--instance-type", "c5.large"], "--instance-type changes no request of lambda"),
        (["--service", "batch", "--chunk-days", "5"], "--chunk-days has no effect with batch"),
        (["--date1", "2024-01-01", "--date2", "2024-01-02"], "May to September"),
        (["--regions", "134_Arsuk,134_Arsuk"], "'134_Arsuk' is named more than once"),
        (["--config", "../config.ini", "--project", "config"], "defaults are used"),
    ],
)
def test_what_is_odd_is_a_warning(submit: Submit, argv: list[str], said: str) -> None:
    """In the document for programs, on stderr for people, and never on stdout beside the plan."""
    extra = ["--region-file", f"../{REGION_FILE}"] if "--project" in argv else []

    plan = _plan(submit, *argv, *extra)
    status, out, err = submit(*argv, *extra)

    assert any(said in warning for warning in plan["warnings"])
    assert status == 0
    assert said in err
    assert "warning" not in out


@pytest.mark.parametrize("switch", [["--dry-run"], ["--dry-run", "true"], ["--dry-run", "yes"]])
def test_a_dry_run_can_be_a_bare_switch(submit: Submit, tmp_path: Path, switch: list[str]) -> None:
    """And is one, whatever the file says."""
    (tmp_path / "config.ini").write_text(CONFIG.replace("dry_run = True", "dry_run = False"))

    assert _plan(submit, *switch)["dry_run"] is True


@pytest.mark.parametrize(("service", "count"), [("batch", 1), ("auto", 1), ("lambda", 0)])
def test_a_strategy_that_batch_does_not_have_is_a_warning(
    submit: Submit, tmp_path: Path, service: str, count: int
) -> None:
    """It stands in every older file; what is taken instead decides how jobs are interrupted."""
    aws_config = f"{AWS_CONFIG}[COST_OPTIMIZATION]\nspot_allocation_strategy = diversified\n"
    (tmp_path / "aws/config/aws_config.ini").write_text(aws_config)

    _, _, err = submit("--service", service)

    assert err.count("'diversified' is none of Batch's; SPOT_PRICE_CAPACITY_OPTIMIZED") == count


def test_a_strategy_that_nobody_has_is_refused(submit: Submit, tmp_path: Path) -> None:
    """A slip, for one."""
    aws_config = f"{AWS_CONFIG}[COST_OPTIMIZATION]\nspot_allocation_strategy = diversifyed\n"
    (tmp_path / "aws/config/aws_config.ini").write_text(aws_config)

    status, _, err = submit()

    assert status == 2
    assert "[COST_OPTIMIZATION] spot_allocation_strategy = 'diversifyed' is not valid" in err


def test_a_dry_run_leaves_a_line_in_the_log_and_nothing_else(
    submit: Submit, tmp_path: Path
) -> None:
    """It may be done in anybody's project."""
    before = {*tmp_path.rglob("*")}

    submit()

    log = tmp_path / LOG_PATH
    assert {*tmp_path.rglob("*")} - before == {log, log.parent}
    [line] = log.read_text().splitlines()
    assert ":INFO:dry run: sentinel2 2024-05-04 to 2024-05-07, 2 jobs, service lambda" in line


def test_a_dry_run_needs_neither_credentials_nor_sdk(submit: Submit, tmp_path: Path) -> None:
    """It works on a train, and at once."""
    program = (
        "import sys; from pipelines.glacier.command import main; status = main(sys.argv[1:]);"
        "heavy = {'aiobotocore', 'botocore', 'rasterio', 'uvloop'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "submit"],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("2 jobs: 2 on lambda; dry run, nothing is sent\n")


def test_the_files_are_found_from_the_project_and_not_from_here(
    submit: Submit, tmp_path: Path
) -> None:
    """A file of the same name in the working folder is somebody else's."""
    (tmp_path / "aws" / "aws").mkdir()
    (tmp_path / "aws" / "aws" / "config").symlink_to(tmp_path / "nowhere")

    assert _plan(submit)["s3_bucket"] == "other-bucket"


def test_another_region_file_can_be_named(submit: Submit, tmp_path: Path) -> None:
    """For tests, and for regions elsewhere."""
    other = write_project(tmp_path / "other", rows=[Row("001_small")]) / REGION_FILE

    assert _regions(_plan(submit, "--region-file", str(other), "--all")) == ["001_small"]


def test_every_flag_is_in_the_help(submit: Submit) -> None:
    """A flag that nobody finds is not there."""
    with pytest.raises(SystemExit) as ended:
        submit("--help")

    assert ended.value.code == 0
    names = {flag.name for group in flags.GROUPS.values() for flag in group}
    assert {"--setup", "--email", "--instance-type", "--start-end-index"} <= names


@pytest.mark.parametrize(("argv", "status"), [([], 0), (["--help"], 0), (["fly"], 2)])
def test_the_command_names_its_parts(
    argv: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever types it alone sees what there is."""
    assert run_command("glacier", main, argv) == status
    captured = capsys.readouterr()
    assert "submit" in captured.out + captured.err


def test_an_interrupted_run_says_what_it_has_started(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else knows, and sending it all again would start those twice."""

    async def send_plan(plan: Plan, _settings: object, sent: Sent, manner: Manner) -> None:
        await anyio.lowlevel.checkpoint()
        outcome = Outcome(accepted=True, id=f"r{manner.at_once}")
        sent.outcomes[plan.jobs[0].name] = outcome
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.glacier.submit.sending.send_plan", send_plan)

    status, out, _ = submit("--dry-run", "false", "--max-concurrency", "3")

    assert status == 130
    assert "aws-sentinel2-20240504-134_Arsuk  lambda  accepted r3" in out
    assert out.endswith("2 jobs: 1 accepted, 1 failed\nfailed: --regions 101_sermiligarssuk\n")
