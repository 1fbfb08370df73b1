"""Buckets that daemons write to: made here with all they need, or taken as they are."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from daemons.collector.tagging import COLLECTED, TAG
from infra.acknowledged import NO_ACCESS_LOGS, acknowledge
from infra.settings import HandshakeBucket, ResultsBucket
from infra.tables import Bucket


def add_bucket(scope: Construct, bucket: Bucket) -> None:
    """Make the bucket if it is to be made; it outlives the stack, with all that lies in it."""
    if not bucket.create:
        return
    key = (
        kms.Key.from_key_arn(scope, f"Key-{bucket.name}", bucket.kms_key)
        if bucket.kms_key
        else None
    )
    made = s3.Bucket(
        scope,
        f"Bucket-{bucket.name}",
        bucket_name=bucket.name,
        encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
        encryption_key=key,
        # One key for many objects costs one request for many, instead of one for each.
        bucket_key_enabled=True if key is not None else None,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True if isinstance(bucket, ResultsBucket) else None,
        removal_policy=RemovalPolicy.RETAIN,
        lifecycle_rules=lifecycle_rules(bucket),
    )
    acknowledge(made, NO_ACCESS_LOGS)


def lifecycle_rules(bucket: Bucket) -> list[s3.LifecycleRule]:
    """Return what S3 tidies up by itself: unfinished uploads, and what the collector has tagged."""
    rules = [
        s3.LifecycleRule(
            id="abort-unfinished-uploads",
            abort_incomplete_multipart_upload_after=Duration.days(bucket.abort_uploads_after_days),
        )
    ]
    if isinstance(bucket, HandshakeBucket) and bucket.expire_collected_after_days:
        rules.append(
            s3.LifecycleRule(
                id="expire-collected",
                prefix=f"{bucket.prefix}/",
                # By the tag alone: an object's age does not say whether anybody has merged it.
                tag_filters={TAG: COLLECTED},
                expiration=Duration.days(bucket.expire_collected_after_days),
            )
        )
    if isinstance(bucket, ResultsBucket):
        rules.append(
            s3.LifecycleRule(
                id="expire-former-versions",
                noncurrent_version_expiration=Duration.days(bucket.keep_versions_days),
            )
        )
    return rules
