"""What each part of the wildlife stack may do, and no more."""

import pytest

from infra.policies import policy_document
from infra.wildlife_names import WildlifeNames
from infra.wildlife_permissions import (
    DETECTION,
    endpoint_statements,
    execution_permissions,
    function_permissions,
    job_role_permissions,
    machine_permissions,
)
from pipelines.wildlife import layout
from pipelines.wildlife.states.index import FUNCTIONS
from shared.aws.permission import Permission
from tests.support.iam_policy import matches

NAMES = WildlifeNames("dev", "eu-north-1", "123456789012", "traps")
KEY = "arn:aws:kms:eu-north-1:123456789012:key/1a2b"
SECRET = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:dev/wildlife/api-keys-AbCdEf"
RUN = "arn:aws:s3:::traps/out/run_001/"
MODULES = tuple(FUNCTIONS.values())


def _of(module: str) -> list[Permission]:
    return function_permissions(module, NAMES, keys=(KEY,), own_key=KEY, secret=SECRET)


def _may(permissions: list[Permission], action: str, arn: str) -> bool:
    return any(
        action in one.actions and any(matches(pattern, arn) for pattern in one.resources)
        for one in permissions
    )


def _job() -> list[Permission]:
    return job_role_permissions(NAMES, keys=(KEY,), own_key=KEY, secret="")


@pytest.mark.parametrize("module", MODULES)
def test_a_functions_rights_are_a_policy_that_iam_takes(module: str) -> None:
    """Single actions, named resources, within the size of a role's policies."""
    policy_document(_of(module))


def test_the_other_rights_are_policies_that_iam_takes() -> None:
    """The same for the job, its start and the machine."""
    policy_document(_job())
    policy_document(machine_permissions(NAMES, MODULES))
    policy_document(
        execution_permissions(NAMES, repository="dev-wildlife-detector", log_group="/aws/batch/x")
    )
    assert all(one.resources != ("*",) for one in endpoint_statements(NAMES))


@pytest.mark.parametrize(
    ("who", "key"),
    [
        ("stage0_exif", layout.PICTURES),
        ("stage0_exif", layout.PICTURE_ERRORS),
        ("stage2_post", layout.OBSERVATIONS),
        ("stage2_post", layout.PLACES),
        ("weather_enrichment", layout.WEATHER),
        ("weather_enrichment", f"{layout.WEATHER_CACHE}frost/SN18700/2026060104.json"),
        ("write_parquet", layout.CLUSTERS_TABLE),
        ("write_parquet", layout.EVENTS_TABLE),
        ("write_parquet", layout.DETECTIONS_TABLE),
        ("write_parquet", layout.REPORT),
        ("write_parquet", layout.REPORT_PAGE),
        (DETECTION, layout.DETECTIONS),
        (DETECTION, layout.PREDICTIONS),
        (DETECTION, layout.DETECTION_SUMMARY),
        (DETECTION, layout.crop_name("cam01", "evt-1", 0)),
    ],
)
def test_whoever_makes_something_may_write_it_and_nobody_else_may(who: str, key: str) -> None:
    """A name that moves would otherwise be denied at night, in the middle of a run."""
    rights = {**{module: _of(module) for module in MODULES}, DETECTION: _job()}

    writers = {each for each, held in rights.items() if _may(held, "s3:PutObject", RUN + key)}

    assert writers == {who}
    assert _may(rights[who], "s3:PutObjectTagging", RUN + key)


def test_nobody_writes_or_reads_outside_of_the_prefixes() -> None:
    """The bucket may hold other things than those of runs."""
    for held in (*(_of(module) for module in MODULES), _job()):
        for arn in ("arn:aws:s3:::traps/private/a.jpg", "arn:aws:s3:::other/out/x/stage0/a"):
            assert not _may(held, "s3:GetObject", arn)
            assert not _may(held, "s3:PutObject", arn)
        assert not _may(held, "s3:PutObject", "arn:aws:s3:::traps/raw/cam01/IMG_1.JPG")


def test_a_run_may_lie_at_the_prefix_itself() -> None:
    """`s3://traps/out/` is as good a place as one below it."""
    assert _may(_of("stage0_exif"), "s3:PutObject", "arn:aws:s3:::traps/out/stage0/manifest.jsonl")
