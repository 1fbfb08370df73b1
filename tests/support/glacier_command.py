"""`towpath glacier submit` in a project of a test's own."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from pipelines.glacier.command import main
from shared.cli import run_command
from tests.support.glacier_regions import write_project

Submit: TypeAlias = Callable[..., tuple[int, str, str]]
"""Takes the flags; returns exit status, stdout and stderr."""

CONFIG = """\
[REGIONS]
regions = 134_Arsuk,101_sermiligarssuk
[DATES]
date1 = 2024-05-04
date2 = 2024-05-07
[FLAGS]
clear_downloads = 1
[SETTINGS]
cores = 2
satellite = sentinel2
dry_run = True
"""
AWS_CONFIG = """\
[AWS_ACCOUNT]
aws_region = eu-central-1
[STORAGE]
s3_bucket = other-bucket
s3_base_path = /results/
[COMPUTE]
batch_job_queue = compute-queue
batch_job_definition = satellite
ecs_subnets = subnet-1
[LAMBDA]
function_name = glacier-processing
memory_size = 5120  # a comment
"""


def submit_in(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Submit:
    """Write a project with both files, and return what runs the command in a folder inside it."""
    write_project(root, CONFIG, AWS_CONFIG)
    monkeypatch.chdir(root / "aws")

    def run(*argv: str) -> tuple[int, str, str]:
        status = run_command("glacier", main, ["submit", *argv])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
