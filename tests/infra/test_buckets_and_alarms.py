"""Buckets that are made keep what they hold; alarms ring for silence, and somebody hears them."""

import json
from typing import Any

import pytest

from tests.support.stacks import Synthesised, Template


def _rules(template: Template) -> dict[str, Any]:
    rules = template.only("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    return {rule["Id"]: rule for rule in rules}


def test_a_bucket_that_is_there_already_is_left_alone(sample: Synthesised) -> None:
    """Its rules and policy belong to whoever made it."""
    assert sample.coordinator.of("AWS::S3::Bucket") == []
    assert sample.coordinator.of("AWS::S3::BucketPolicy") == []


def test_a_bucket_outlives_its_stack(variant: Synthesised) -> None:
    """Removing a stack must never remove data."""
    for template in (variant.coordinator, variant.watchers):
        [bucket] = template.resources("AWS::S3::Bucket")

        assert bucket["DeletionPolicy"] == "Retain"
        assert bucket["UpdateReplacePolicy"] == "Retain"


def test_a_bucket_is_private_and_encrypted(variant: Synthesised) -> None:
    """Nobody outside, and nothing in the clear."""
    bucket = variant.coordinator.only("AWS::S3::Bucket")

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "AES256" in json.dumps(bucket["BucketEncryption"])


def test_a_bucket_takes_tls_only(variant: Synthesised) -> None:
    """A key that is sent in the clear is a key that is lost."""
    statements = variant.coordinator.only("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    conditions = json.dumps([one["Condition"] for one in statements if one["Effect"] == "Deny"])

    assert '"aws:SecureTransport": "false"' in conditions
    assert '"s3:TlsVersion": 1.2' in conditions


def test_unfinished_uploads_are_aborted(sample: Synthesised, variant: Synthesised) -> None:
    """Parts whose machine is gone are paid for, and no listing shows them."""
    days = ("AbortIncompleteMultipartUpload", "DaysAfterInitiation")

    assert _rules(sample.watchers)["abort-unfinished-uploads"][days[0]][days[1]] == 7
    assert _rules(variant.coordinator)["abort-unfinished-uploads"][days[0]][days[1]] == 3


def test_nothing_expires_unless_asked_for_and_tagged(
    sample: Synthesised, variant: Synthesised
) -> None:
    """Age does not say whether somebody has merged a result; the collector's tag does."""
    rule = _rules(variant.watchers)["expire-collected"]

    assert "expire-collected" not in _rules(sample.watchers)
    assert rule["TagFilters"] == [{"Key": "towpath", "Value": "collected"}]
    assert rule["ExpirationInDays"] == 90
    assert rule["Prefix"] == "vasco/handshake/"


@pytest.mark.parametrize(
    ("stack", "service"), [("coordinator", "uploader"), ("watchers", "watcher")]
)
def test_silence_rings(sample: Synthesised, stack: str, service: str) -> None:
    """A machine that is gone sends nothing."""
    alarms = {
        alarm["AlarmName"]: alarm for alarm in getattr(sample, stack).of("AWS::CloudWatch::Alarm")
    }

    for name in ("silent", "no-success", "too-few-machines"):
        assert alarms[f"towpath-{service}-{name}"]["TreatMissingData"] == "breaching"
    success = alarms[f"towpath-{service}-no-success"]
    assert success["Namespace"] == "Towpath"
    assert success["MetricName"] == "last_success_age_seconds"
    assert success["Dimensions"] == [{"Name": "Service", "Value": service}]


def test_every_alarm_tells_somebody_and_says_where_to_read(sample: Synthesised) -> None:
    """An alarm without an action is a light in an empty room."""
    for template in (sample.coordinator, sample.watchers):
        for alarm in template.of("AWS::CloudWatch::Alarm"):
            assert alarm["AlarmActions"]
            if not alarm["AlarmName"].endswith("-install-failed"):
                assert alarm["OKActions"] == alarm["AlarmActions"]
            assert "docs/alarms.md" in alarm["AlarmDescription"]


def test_a_failed_installation_is_not_called_well_by_itself(sample: Synthesised) -> None:
    """A failure is one number: five minutes later it is missing, and nobody has mended anything."""
    for template in (sample.coordinator, sample.watchers):
        [alarm] = [
            one
            for one in template.of("AWS::CloudWatch::Alarm")
            if one["AlarmName"].endswith("-install-failed")
        ]

        assert "OKActions" not in alarm


def test_one_dead_daemon_among_several_is_heard(sample: Synthesised, variant: Synthesised) -> None:
    """The others keep the service's ages young, so that nothing else rings."""

    def found(template: Template) -> dict[str, Any]:
        alarms = {one["AlarmName"]: one for one in template.of("AWS::CloudWatch::Alarm")}
        return dict(alarms.get("towpath-watcher-too-few-daemons", {}))

    alarm = found(variant.watchers)
    # Two machines with three watchers each; five of them send 25 numbers in five minutes.
    assert alarm["Threshold"] == 26
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    assert alarm["Statistic"] == "SampleCount"
    assert alarm["MetricName"] == "last_report_age_seconds"
    assert alarm["Dimensions"] == [{"Name": "Service", "Value": "watcher"}]
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (300, 3)
    assert alarm["TreatMissingData"] == "breaching"
    assert found(sample.watchers) == {}, "of a single one `silent` tells"


def test_alarms_may_publish_to_their_topic(sample: Synthesised) -> None:
    """The policy that demands TLS replaces AWS's own, which had let CloudWatch in."""
    policy = sample.coordinator.only("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = json.dumps([one for one in policy if one["Effect"] == "Allow"])
    denied = json.dumps([one for one in policy if one["Effect"] == "Deny"])

    assert "cloudwatch.amazonaws.com" in allowed
    assert "autoscaling.amazonaws.com" in allowed
    assert "aws:SourceAccount" in allowed
    assert "aws:SecureTransport" in denied


def test_who_is_named_is_told(sample: Synthesised, variant: Synthesised) -> None:
    """An address in the settings is a subscription."""
    [subscription] = variant.coordinator.of("AWS::SNS::Subscription")

    assert subscription["Endpoint"] == "someone@example.org"
    assert sample.coordinator.of("AWS::SNS::Subscription") == []
    names = {alarm["AlarmName"] for alarm in variant.coordinator.of("AWS::CloudWatch::Alarm")}
    assert "towpath-uploader-no-success" not in names


def test_logs_are_kept_for_a_while_and_not_for_ever(sample: Synthesised) -> None:
    """What a log group keeps is paid for."""
    for template, service in ((sample.coordinator, "uploader"), (sample.watchers, "watcher")):
        groups = [one for one in template.of("AWS::Logs::LogGroup") if "LogGroupName" in one]

        assert [one["LogGroupName"] for one in groups] == [f"/towpath/{service}"]
        assert groups[0]["RetentionInDays"] == 30
