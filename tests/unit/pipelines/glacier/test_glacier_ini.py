"""Configuration files: syntax, types, ranges, and where they lie."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.glacier.project import aws_keys, config_keys
from pipelines.glacier.project.aws_keys import AWS_KEYS
from pipelines.glacier.project.config_keys import CONFIG_KEYS
from pipelines.glacier.project.ini_files import find_project, load_ini
from pipelines.glacier.project.ini_text import IniText, parse_ini
from pipelines.glacier.regions import Slice
from shared.errors import UsageError

_WHOLE_CONFIG = """\
# The file of a project, with a comment behind almost everything.
[REGIONS]
regions = 134_Arsuk,101_sermiligarssuk ; two of them
start_end_index = 0:25   # and an index
[DATES]
date1 = 2025-05-04
date2 = 2025-05-07 # included
[PATHS]
base_dir = /data/100%/greenland_glacier_flow
local_base_dir = /data/laptop/%(nothing)s
[FLAGS]
download_flag = 1
post_processing_flag = 1
clear_downloads = 0
[SETTINGS]
cores = 1
memory = 60G
runtime = 24:00:00
log_name = satellite_glacier.log
email = ops@example.org
satellite = sentinel2
dry_run = False
execution_mode = auto
env = glacier_velocity
which_steps_to_run =
"""
_WHOLE_AWS = """\
[AWS_ACCOUNT]
aws_region = us-west-2
[STORAGE]
s3_bucket = greenland-glacier-data
s3_base_path = 1_download_merge_and_clip
[COMPUTE]
instance_type = c5.large
spot_instances = false
max_vcpus = 256
batch_compute_environment = glacier-processing-env
batch_job_queue = glacier-processing-queue
batch_job_definition = satellite-processing
ecs_cluster = glacier-processing-cluster
ecs_task_definition = satellite-processing-task
ecs_subnets = subnet-12345,subnet-67890
ecs_security_groups = sg-processing
[NOTIFICATIONS]
sns_topic_arn = arn:aws:sns:us-west-2:123456789012:glacier-processing
[SECURITY]
iam_execution_role = arn:aws:iam::123456789012:role/GlacierExecutionRole
iam_task_role = arn:aws:iam::123456789012:role/GlacierTaskRole
[COST_OPTIMIZATION]
use_spot_instances = false
spot_allocation_strategy = diversified
[MONITORING]
log_group = /aws/glacier-processing
log_retention_days = 30
enable_detailed_monitoring = false
[LAMBDA]
function_name = glacier-sentinel2-processor
memory_size = 5120  # Maximum for 4-tile regions
timeout = 900
ephemeral_storage = 10240
package_type = Image
handler = lambda_handler.lambda_handler
ecr_repository = glacier-sentinel2-processor
ecr_image_tag = latest
dockerfile_path = aws/lambda/Dockerfile.lambda
python_version = 3.12
architecture = x86_64
[EXPERIMENTAL]
enable_lambda_processing = true
enable_step_functions = false
"""


def _config(text: str) -> IniText:
    return parse_ini(text, CONFIG_KEYS, "'config.ini'")


def _aws(text: str) -> IniText:
    return parse_ini(text, AWS_KEYS, "'aws_config.ini'")


def test_every_documented_key_of_config_ini_is_known() -> None:
    """A file that worked goes on working."""
    read = _config(_WHOLE_CONFIG)

    assert read.problems == read.warnings == ()
    assert read.values.get(config_keys.REGIONS) == ("134_Arsuk", "101_sermiligarssuk")
    assert read.values.get(config_keys.START_END_INDEX) == Slice(0, 25)
    assert read.values.get(config_keys.BASE_DIR) == "/data/100%/greenland_glacier_flow"
    assert read.values.get(config_keys.CLEAR_DOWNLOADS) is False
    assert read.values.get(config_keys.DRY_RUN) is False
    assert read.values.get(config_keys.WHICH_STEPS_TO_RUN) is None


def test_every_documented_key_of_aws_config_ini_is_known() -> None:
    """A comment behind a number once made the whole file be dropped in silence."""
    read = _aws(_WHOLE_AWS)

    assert read.problems == read.warnings == ()
    assert read.text_of(aws_keys.FUNCTION_NAME) == "glacier-sentinel2-processor"
    assert read.values.get(aws_keys.ECS_SUBNETS) == ("subnet-12345", "subnet-67890")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("LAMBDA", "memory_size = 127"),
        ("LAMBDA", "memory_size = 10241"),
        ("LAMBDA", "memory_size = 5120 MB"),
        ("LAMBDA", "memory_size = -1"),
        ("LAMBDA", "memory_size = 1e3"),
        ("LAMBDA", "timeout = 0"),
        ("LAMBDA", "timeout = 901"),
        ("LAMBDA", "ephemeral_storage = 511"),
        ("LAMBDA", "ephemeral_storage = 10241"),
        ("LAMBDA", "package_type = image"),
        ("LAMBDA", "function_name = my function"),
        ("LAMBDA", "lambda_max_tiles = 0"),
        ("AWS_ACCOUNT", "aws_region = oregon"),
        ("AWS_ACCOUNT", "account_id = 12345"),
        ("STORAGE", "s3_bucket = Upper_Case"),
        ("STORAGE", "s3_base_path = ../up"),
        ("STORAGE", "s3_base_path = a//b"),
        ("COMPUTE", "spot_instances = maybe"),
        ("COMPUTE", "ecs_subnets = subnet-1,subnet 2"),
        ("FARGATE", "fargate_cpu = 300"),
        ("BATCH", "vcpus = 0"),
        ("BATCH", "timeout = 59"),
        ("EXPERIMENTAL", "enable_lambda_processing = enabled"),
    ],
)
def test_a_bad_value_is_told_with_file_section_key_and_value(section: str, line: str) -> None:
    """Whether the command needs it or not: a file that is wrong is mended, not read in part."""
    name, _, value = line.partition(" = ")

    (problem,) = _aws(f"[{section}]\n{line}\n").problems

    assert problem.startswith(f"'aws_config.ini' [{section}] {name} = {value!r} is not valid; ")
    assert "; allowed: " in problem


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("DATES", "date1 = 2024-99-99"),
        ("DATES", "end_date = tomorrow"),
        ("FLAGS", "download_flag = yes"),
        ("FLAGS", "clear_downloads = 2"),
        ("SETTINGS", "cores = 0"),
        ("SETTINGS", "satellite = sentinel-2"),
        ("SETTINGS", "dry_run = perhaps"),
        ("REGIONS", "start_end_index = 5"),
        ("REGIONS", "start_end_index = -5:3"),
    ],
)
def test_config_ini_is_as_strict(section: str, line: str) -> None:
    """The same sentence for the same mistake."""
    name, _, value = line.partition(" = ")

    (problem,) = _config(f"[{section}]\n{line}\n").problems

    assert problem.startswith(f"'config.ini' [{section}] {name} = {value!r} is not valid; ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date1 = 2024-01-01\n", "line 1: 'date1 = 2024-01-01' stands before any [SECTION]"),
        ("[DATES]\nwhat is this\n", "line 2: 'what is this' is neither [SECTION] nor key = value"),
        ("[DATES]\ndate1=2024-01-01\ndate1=2024-01-02\n", "line 3: [DATES] date1 is there twice"),
        ("[DATES]\n[DATES]\n", "line 2: [DATES] is there twice"),
    ],
)
def test_what_is_no_ini_file_is_one_line(text: str, said: str) -> None:
    """A traceback about a missing section helps nobody."""
    assert _config(text).problems == (f"'config.ini': {said}",)


def test_unknown_keys_warn_with_what_is_near() -> None:
    """A mistyped key would otherwise leave its default in force."""
    read = _aws("[LAMBDA]\nmemory_sise = 10240\n[NEW]\nanything = 1\n[DEFAULT]\ntimeout = 5\n")

    assert read.problems == ()
    assert "did you mean [LAMBDA] memory_size?" in read.warnings[0]
    assert any(each.startswith("'aws_config.ini' [NEW] anything") for each in read.warnings)
    assert any("[DEFAULT] timeout is not known" in each for each in read.warnings)


def test_names_from_a_file_do_nothing_to_a_terminal() -> None:
    """A file may be sent by somebody."""
    read = _aws("[\x1b[2J]\nx\x1b[0m = 1\n")

    assert read.warnings
    assert all(warning.isprintable() for warning in read.warnings)


def test_a_value_over_several_lines_is_told_in_one() -> None:
    """An indented line belongs to the value above it; messages stay lines all the same."""
    (problem,) = _config("[SETTINGS]\nlog_name = a\n  b\n").problems

    assert "\n" not in problem
    assert r"'a\nb'" in problem


@given(st.text(max_size=300))
def test_any_text_is_read_or_told_in_lines(text: str) -> None:
    """The file is a person's."""
    read = _config(text)

    assert all(len(problem.splitlines()) == 1 for problem in read.problems)


def test_the_nearest_project_above_is_taken(tmp_path: Path) -> None:
    """Commands are started wherever a shell happens to be."""
    (tmp_path / "config.ini").write_text("")
    inner = tmp_path / "aws" / "scripts"
    inner.mkdir(parents=True)

    assert find_project(None, inner) == tmp_path
    assert find_project(inner, tmp_path) == inner


def test_a_named_project_must_be_there(tmp_path: Path) -> None:
    """Another one would be taken otherwise."""
    with pytest.raises(UsageError, match="--project"):
        find_project(tmp_path / "nowhere", tmp_path)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """Defaults in its place are what nobody asked for."""
    with pytest.raises(UsageError, match=r"--aws-config .* is not there"):
        load_ini(tmp_path / "x.ini", None, AWS_KEYS, flag="--aws-config")


def test_a_default_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The defaults may be right, but nobody should have to find out that they were used."""
    read = load_ini(None, tmp_path / "x.ini", AWS_KEYS, flag="--aws-config")

    assert read.problems == ()
    assert "defaults are used" in read.warnings[0]


@pytest.mark.parametrize(
    ("content", "said"), [(b"[A]\nx = \xff\n", "not UTF-8"), (b"#" * (1 << 21), "larger than")]
)
def test_a_file_that_cannot_be_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Not half of it, and not with other letters."""
    path = tmp_path / "config.ini"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=said):
        load_ini(path, None, CONFIG_KEYS, flag="--config")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    path = tmp_path / "config.ini"
    path.write_bytes(b"\xef\xbb\xbf[SETTINGS]\r\nsatellite = landsat\r\n")

    read = load_ini(None, path, CONFIG_KEYS, flag="--config")

    assert read.values.get(config_keys.SATELLITE) == "landsat"
