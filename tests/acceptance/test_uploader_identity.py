from collections.abc import Mapping

import pytest

from tests.acceptance.ground import BUCKET, Ground, names_of
from tests.support.daemon import run_command, start_fresh
from tests.support.imds import Imds
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY, KeyState

NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


@pytest.fixture
def on_ec2(imds: Imds, ground: Ground) -> Mapping[str, str]:
    """The environment of an instance on which only the role has credentials."""
    return {**NO_KEYS, **imds.environment(), "AWS_ENDPOINT_URL": ground.s3.url}


def test_no_credentials_on_a_laptop_end_it_with_the_command_to_run(ground: Ground) -> None:
    """Somebody sits in front of it: say what to type, at once, and send nothing."""
    outcome, _ = run_command(ground.birth(env=NO_KEYS), start_fresh)

    assert outcome.status == 3
    assert "aws configure" in outcome.stderr
    assert "aws sso login" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert ground.s3.count() == 0


@pytest.mark.parametrize("state", [KeyState.UNKNOWN, KeyState.EXPIRED])
def test_bad_credentials_on_a_laptop_end_it(ground: Ground, state: KeyState) -> None:
    """Keys that were deleted or have expired do not get better by waiting."""
    ground.s3.access.others = state
    ground.put("a.png", b"picture")

    outcome = ground.command()

    assert outcome.status == 3
    assert "aws configure" in outcome.stderr
    assert ground.s3.count("Put*") == 0


def test_a_profile_is_honoured_on_a_laptop_and_named_when_it_is_missing(ground: Ground) -> None:
    """The command to run is the one for the profile that was asked for."""
    outcome = ground.command("--profile", "moon", env=NO_KEYS)

    assert outcome.status == 3
    assert "aws configure --profile moon" in outcome.stderr

    credentials = ground.folder / "credentials"
    credentials.write_text(
        f"[moon]\naws_access_key_id = moon-key\naws_secret_access_key = {SECRET_KEY}\n"
    )
    ground.put("a.png", b"picture")
    daemon = ground.ready(
        "--profile", "moon", env={**NO_KEYS, "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    )
    daemon.wait_for("file_uploaded", key="a.png")
    assert {request.access_key for request in ground.s3.requests()} == {"moon-key"}


def test_the_role_acts_on_ec2_whatever_the_environment_says(
    ground: Ground, imds: Imds, on_ec2: Mapping[str, str]
) -> None:
    """A profile or keys left over from an image must not decide who a production machine is."""
    ground.put("a.png", b"picture")
    left_over = {
        "AWS_PROFILE": "does-not-exist",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }

    daemon = ground.ready(env={**on_ec2, **left_over})
    daemon.wait_for("file_uploaded", key="a.png")

    assert daemon.events("profile_ignored", level="warning", profile="does-not-exist")
    assert daemon.events("identity_found", on_ec2=True)
    keys = {request.access_key for request in ground.s3.requests()}
    assert keys == {imds.instance.access_key}
    assert ("PUT", "/latest/api/token") in imds.requests()


def test_a_role_without_permission_is_an_error_and_not_the_end(
    ground: Ground, on_ec2: Mapping[str, str]
) -> None:
    """The stack may attach the policy a minute later; nobody should have to restart anything."""
    ground.s3.access.deny("s3:*")
    for name in names_of(20):
        ground.put(name, name.encode())

    daemon = ground.ready(env=on_ec2)
    daemon.wait_for("bucket_refused", level="error", files=20)
    daemon.wait_passes(2)
    before = ground.s3.count()
    daemon.wait_passes(2)

    assert ground.s3.count() - before <= 10
    ground.s3.access.denials.clear()
    daemon.wait_until(ground.is_empty)
    assert daemon.stop() == 0
    ground.check()


def test_a_role_that_sts_does_not_know_yet_is_an_error_and_not_the_end(
    ground: Ground, imds: Imds, on_ec2: Mapping[str, str]
) -> None:
    """A fresh role takes seconds to be known everywhere."""
    ground.s3.access.others = KeyState.UNKNOWN
    ground.put("a.png", b"picture")

    daemon = ground.ready(env=on_ec2)
    daemon.wait_for("identity_refused", level="error")
    daemon.wait_passes(1)
    ground.s3.access.others = KeyState.VALID

    daemon.wait_for("file_uploaded", key="a.png")
    assert daemon.stop() == 0


def test_a_metadata_service_that_fails_later_stops_no_upload(
    ground: Ground, imds: Imds, on_ec2: Mapping[str, str]
) -> None:
    """An hour-long outage of whoever gives out tokens must not kill it."""
    daemon = ground.ready(env=on_ec2)
    imds.instance.failing = 503
    ground.put("a.png", b"picture")

    daemon.wait_for("file_uploaded", key="a.png")
    daemon.wait_passes(2)
    assert daemon.stop() == 0


EXPIRIES = {
    "expired, small file": (KeyState.EXPIRED, 100),
    "expired, large file": (KeyState.EXPIRED, 6_000_000),
    "deleted, small file": (KeyState.UNKNOWN, 100),
}


@pytest.mark.parametrize(("state", "size"), EXPIRIES.values(), ids=list(EXPIRIES))
def test_keys_replaced_in_the_credentials_file_are_taken_up(
    ground: Ground, state: KeyState, size: int
) -> None:
    """Keys are rotated under a running daemon: `aws sso login` in the other window must do."""
    credentials = ground.folder / "credentials"
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = secret\n"
    credentials.write_text(text.format("old-key"))
    env = {**NO_KEYS, "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    daemon = ground.ready("--multipart-from", "5", env=env)
    ground.put("before.png", b"before")
    daemon.wait_for("file_uploaded", key="before.png")

    credentials.write_text(text.format("new-key"))
    ground.s3.access.keys["old-key"] = state
    ground.put("after.bin", bytes(size))

    daemon.wait_for("file_uploaded", key="after.bin")
    assert ground.s3.requests()[-1].access_key == "new-key"
    assert ground.s3.keys(BUCKET) == ["after.bin", "before.png"]
    ground.check()
