import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.permissions import Scope, Service, put_metrics, read_asset, statements_for, write_logs
from infra.policies import check_arn, policy_document
from shared.aws.permission import Condition, Permission
from tests.support.iam_policy import matches

OBJECTS = "arn:aws:s3:::colony-shots/*"
REFERENCES = ("${AWS::AccountId}", "${Token[TOKEN.12]}", "${Assets}")


def permission(
    *,
    sid: str = "One",
    actions: tuple[str, ...] = ("s3:GetObject",),
    resources: tuple[str, ...] = (OBJECTS,),
    conditions: tuple[Condition, ...] = (),
) -> Permission:
    """One that is in order, but for what the test says."""
    return Permission(sid, actions, resources, "a reason", conditions)


def test_policy_is_what_iam_takes() -> None:
    """It goes into a template, or into a console, as it is."""
    prefix = Condition("StringEquals", "s3:prefix", ("a/", "b/"))
    missing = Condition("Null", "s3:prefix", ("true",))

    document = policy_document([permission(conditions=(prefix, missing)), permission(sid="Two")])

    assert json.loads(json.dumps(document)) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "One",
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": [OBJECTS],
                "Condition": {
                    "StringEquals": {"s3:prefix": ["a/", "b/"]},
                    "Null": {"s3:prefix": ["true"]},
                },
            },
            {
                "Sid": "Two",
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": [OBJECTS],
            },
        ],
    }


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (permission(sid="With-Dash"), "letters and digits"),
        (permission(sid=""), "letters and digits"),
        (permission(actions=()), "must have actions"),
        (permission(resources=()), "must have actions"),
        (permission(actions=("s3:*",)), "no single action"),
        (permission(actions=("s3:Get*",)), "no single action"),
        (permission(actions=("*",)), "no single action"),
        (permission(resources=("*",)), "is no ARN"),
        (permission(resources=("colony-shots/*",)), "is no ARN"),
        (permission(resources=("arn:aws:s3:::*",)), "names a bucket that"),
        (permission(resources=("arn:aws:s3:::colony-*/a",)), "names a bucket that"),
        (permission(resources=("arn:aws:s3:::Colony_Shots/a",)), "names a bucket that"),
        (permission(actions=("cloudwatch:PutMetricData",), resources=("*",)), "is no ARN"),
        (permission(actions=("xray:PutTraceSegments", "s3:GetObject"), resources=("*",)), "is no"),
    ],
)
def test_what_is_no_permission_of_ours_is_refused(wrong: Permission, words: str) -> None:
    """A wildcard that slipped in would be found years later, by the wrong people."""
    with pytest.raises(ValueError, match=words):
        policy_document([wrong])


def test_statements_of_one_name_are_refused() -> None:
    """IAM refuses them, when the stack is half deployed."""
    with pytest.raises(ValueError, match="stand there twice"):
        policy_document([permission(), permission()])


def test_policy_that_is_too_long_for_a_role_is_refused() -> None:
    """The same."""
    many = [permission(sid=f"S{number}", resources=(OBJECTS,) * 10) for number in range(50)]

    with pytest.raises(ValueError, match="a role of its own"):
        policy_document(many)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Scope("Colony_Shots"),
        lambda: Scope("colony-*"),
        lambda: Scope("colony-shots", more_buckets=("*",)),
        lambda: Scope("colony-shots", prefix=""),
        lambda: Scope("colony-shots", prefix="/vasco"),
        lambda: Scope("colony-shots", prefix="vasco/*"),
        lambda: Scope("colony-shots", prefix="vasco/${aws:username}"),
        lambda: Scope("colony-shots", kms_key="alias/mine"),
        lambda: read_asset("colony-shots", ""),
        lambda: read_asset("colony-shots", "towpath-*.zip"),
        lambda: read_asset("*", "towpath.zip"),
        lambda: write_logs("towpath"),
        lambda: write_logs("*"),
    ],
)
def test_scope_that_would_widen_a_policy_is_refused(make: Callable[[], object]) -> None:
    """Names come from a person's context values."""
    with pytest.raises(ValueError, match=r"bucket|prefix|ARN|object"):
        make()


@pytest.mark.parametrize("reference", REFERENCES)
def test_references_of_a_template_are_taken(reference: str) -> None:
    """Account, region and what the stack makes are known when it is deployed, and not before."""
    scope = Scope(f"towpath-{reference}", partition="${AWS::Partition}", kms_key=reference)
    asset = read_asset(reference, f"{reference}.zip", partition="${AWS::Partition}")

    document = policy_document(
        [*statements_for("uploader", scope), asset, put_metrics(), write_logs(reference)]
    )

    assert f"arn:${{AWS::Partition}}:s3:::towpath-{reference}/*" in json.dumps(document)


def test_logs_go_into_one_group_however_its_arn_is_written() -> None:
    """CloudFormation's ARN of a group ends in `:*`, that of the console does not."""
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/towpath"

    assert write_logs(f"{arn}:*") == write_logs(arn)
    assert write_logs(arn).resources == (f"{arn}:*",)


def test_every_bucket_of_the_uploader_is_in_each_of_its_statements() -> None:
    """A folder whose bucket was left out would be held back for ever."""
    scope = Scope("colony-shots", more_buckets=("colony-stats",))

    for one in statements_for("uploader", scope):
        assert {arn.split(":")[-1].partition("/")[0] for arn in one.resources} == {*scope.buckets}


@pytest.mark.parametrize("service", ["uploader", "watcher", "status"])
def test_key_of_the_buckets_is_used_by_way_of_s3_alone(service: Service) -> None:
    """Decrypting anything else with it is nobody's business."""
    arn = "arn:aws:kms:eu-west-1:123456789012:key/1"

    key = statements_for(service, Scope("colony-shots", kms_key=arn))[-1]

    assert key.resources == (arn,)
    assert ("kms:GenerateDataKey" in key.actions) is (service != "status")
    assert [one.key for one in key.conditions] == ["kms:ViaService"]


def test_each_bucket_may_have_a_key_of_its_own() -> None:
    """Without the second key, its bucket takes nothing."""
    one, two = (f"arn:aws:kms:eu-west-1:123456789012:key/{number}" for number in (1, 2))

    found = {
        keys: statements_for("uploader", Scope("colony-shots", kms_key=first, more_kms_keys=more))
        for keys, first, more in (
            ((), "", ("",)),
            ((one,), one, (one, "")),
            ((two,), "", (two,)),
            ((one, two), one, (two,)),
        )
    }

    for keys, statements in found.items():
        arns = [s.resources for s in statements if s.sid == "UploaderKey"]
        assert arns == ([keys] if keys else [])


@given(st.text(max_size=30))
def test_no_text_is_taken_for_an_arn_that_covers_all_buckets(text: str) -> None:
    """Whatever is put in front of `arn:aws:s3:::`, its bucket is one bucket."""
    try:
        check_arn(f"arn:aws:s3:::{text}")
    except ValueError:
        return

    assert not matches(f"arn:aws:s3:::{text}", "arn:aws:s3:::some-other-bucket-of-the-account/key")
