"""The steps that bring a function to what is wanted, and when a deployment has nothing to do."""

from dataclasses import replace

import pytest

from pipelines.glacier.deploy.function.deploy_plan import Observed, RepositoryState, plan_deployment
from pipelines.glacier.deploy.function.function_facts import parse_function
from pipelines.glacier.deploy.function.function_plan import (
    FunctionState,
    FunctionStep,
    NeedsReplacing,
    Settings,
    Wanted,
    describe_step,
    merged,
    plan_function,
)

_REPOSITORY = "123456789012.dkr.ecr.us-west-2.amazonaws.com/glacier-lambda"
_SETTINGS = Settings("arn:role", 10_240, 900, 10_240, {"GLACIER_PROJECT_MODE": "image"})
_WANTED = Wanted("glacier", _REPOSITORY, "sha256:new", _SETTINGS, "x86_64")
_SAME = FunctionState("Image", f"{_REPOSITORY}@sha256:new", _SETTINGS)
_OLD_CODE = replace(_SAME, image_uri=f"{_REPOSITORY}@sha256:old")
_SMALL = replace(_SAME, settings=replace(_SETTINGS, storage_mb=512))
_ZIP = FunctionState("Zip", "", _SETTINGS)


@pytest.mark.parametrize(
    ("latest", "live", "steps"),
    [
        (None, None, ("create", "publish")),
        (_SAME, _SAME, ()),
        (_SAME, None, ("publish",)),
        (_SAME, _OLD_CODE, ("publish",)),
        (_SAME, _SMALL, ("publish",)),
        (_OLD_CODE, _OLD_CODE, ("code", "publish")),
        (_SMALL, _SMALL, ("settings", "publish")),
        (replace(_SMALL, image_uri=_REPOSITORY), None, ("code", "settings", "publish")),
    ],
)
def test_a_function_is_changed_where_it_differs(
    latest: FunctionState | None, live: FunctionState | None, steps: tuple[FunctionStep, ...]
) -> None:
    """Code comes before settings, and the alias last: it is what jobs meet."""
    assert plan_function(latest, live, _WANTED, replace=False) == steps


def test_an_image_that_is_yet_to_be_built_is_new_code() -> None:
    """Its digest is known when it has been pushed."""
    wanted = replace(_WANTED, image_digest="")

    assert plan_function(_SAME, _SAME, wanted, replace=False) == ("code", "publish")


@pytest.mark.parametrize("found", [_ZIP, replace(_SAME, architecture="arm64")])
def test_what_cannot_be_changed_is_replaced_only_when_that_is_said(found: FunctionState) -> None:
    """A function takes its versions and its alias with it."""
    with pytest.raises(NeedsReplacing, match="--replace"):
        plan_function(found, None, _WANTED, replace=False)

    assert plan_function(found, None, _WANTED, replace=True) == ("remove", "create", "publish")


@pytest.mark.parametrize(
    ("there", "then"),
    [
        ({}, {"GLACIER_PROJECT_MODE": "image"}),
        ({"GLACIER_PROJECT_MODE": "s3"}, {"GLACIER_PROJECT_MODE": "s3"}),
        ({"A": "b"}, {"GLACIER_PROJECT_MODE": "image", "A": "b"}),
    ],
)
def test_variables_that_somebody_set_stay(there: dict[str, str], then: dict[str, str]) -> None:
    """Where the search is, or that code comes from the bucket, must not get lost."""
    found = replace(_SETTINGS, environment=there)

    assert merged(found, _SETTINGS).environment == then


def test_a_step_says_what_it_changes() -> None:
    """Who reads a plan wants to know from what to what."""
    latest = replace(_SMALL, settings=replace(_SMALL.settings, environment={}))

    text = describe_step("settings", latest, _WANTED)

    assert text == "set glacier: storage 512 to 10240; variables GLACIER_PROJECT_MODE"


_REPOSITORY_STATE = RepositoryState(
    _REPOSITORY, scans=True, immutable=True, image_digest="sha256:new"
)
_DONE = Observed("123456789012", _REPOSITORY_STATE, False, 30, _SAME, "7", _SAME)  # noqa: FBT003 - a row


@pytest.mark.parametrize(
    ("observed", "kinds"),
    [
        (_DONE, []),
        (
            replace(
                _DONE, repository=None, role_differs=True, log_days=None, latest=None, live=None
            ),
            ["repository", "image", "role", "logs", "create", "publish"],
        ),
        (
            replace(_DONE, repository=replace(_REPOSITORY_STATE, scans=False)),
            ["repository-settings"],
        ),
        (
            replace(_DONE, repository=replace(_REPOSITORY_STATE, immutable=False)),
            ["repository-settings"],
        ),
        (replace(_DONE, log_days=0), ["logs"]),
        (replace(_DONE, log_days=365), []),
        (replace(_DONE, role_differs=True), ["role"]),
    ],
)
def test_a_deployment_does_what_is_missing(observed: Observed, kinds: list[str]) -> None:
    """The second run of a deployment that has worked does nothing."""
    steps = plan_deployment(observed, _WANTED, tag="tag", role="role", log_days=30, replace=False)

    assert [step.kind for step in steps] == kinds


def test_a_function_is_read_from_what_lambda_says() -> None:
    """The image is beside the settings; who looks for it among them always finds none."""
    answer = {
        "Configuration": {
            "PackageType": "Image",
            "Role": "arn:role",
            "MemorySize": 10_240,
            "Timeout": 900,
            "EphemeralStorage": {"Size": 10_240},
            "Environment": {"Variables": {"GLACIER_PROJECT_MODE": "image"}},
            "Architectures": ["x86_64"],
        },
        "Code": {"ImageUri": f"{_REPOSITORY}:t", "ResolvedImageUri": f"{_REPOSITORY}@sha256:new"},
    }

    assert parse_function(answer) == _SAME
    assert parse_function({"Configuration": {}}).settings.storage_mb == 512
