"""What the wildlife stack keeps: its key, the bucket of pictures and tables, the providers' keys.

Rule: what people cannot make again (pictures, tables, the key that opens them) outlives the stack.
"""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager

from infra.acknowledged import KEYS_OF_OTHERS, NO_ACCESS_LOGS, acknowledge
from infra.wildlife_names import WildlifeNames
from infra.wildlife_settings import Wildlife
from pipelines.wildlife.layout import Kind

_INFREQUENT, _GLACIER, _DEEP = 30, 90, 365
"""Days after which a picture is asked for so seldom that it lies cheaper elsewhere."""
_FRAMES, _CROPS, _CACHE = 1095, 730, 366
"""Days after which these go."""


def add_key(stack: Stack, names: WildlifeNames) -> kms.Key:
    """Make the key of everything that the stack keeps.

    Roles get their rights to it by their own policies, and services by the key's: neither names
    the other, so that each can be made first.
    """
    key = kms.Key(
        stack,
        "Key",
        alias=f"alias/{names.named('pipeline')}",
        description="Wildlife runs: pictures, tables, logs, the providers' keys",
        enable_key_rotation=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="Logs",
            principals=[iam.ServicePrincipal(f"logs.{names.aws_region}.amazonaws.com")],
            actions=["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
            resources=["*"],
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": [
                        names.log_group(f"/aws/{service}/{names.named('*')}")
                        for service in ("batch", "lambda", "stepfunctions")
                    ]
                }
            },
        )
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="Trail",
            principals=[iam.ServicePrincipal("cloudtrail.amazonaws.com")],
            actions=["kms:GenerateDataKey*", "kms:DescribeKey"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceArn": names.trail_arn}},
        )
    )
    return key


def add_sealed_bucket(
    stack: Stack,
    name: str,
    bucket_name: str,
    key: kms.Key,
    rules: Sequence[s3.LifecycleRule],
    *,
    versioned: bool = False,
) -> s3.Bucket:
    """Make a bucket under a key, closed to the public and to plain HTTP; it outlives the stack."""
    return s3.Bucket(
        stack,
        name,
        bucket_name=bucket_name,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=versioned,
        removal_policy=RemovalPolicy.RETAIN,
        lifecycle_rules=rules,
    )


def add_wildlife_bucket(
    stack: Stack, wildlife: Wildlife, names: WildlifeNames, key: kms.Key
) -> None:
    """Make the bucket if it is to be made; it outlives the stack, with all that lies in it."""
    if not wildlife.bucket.create:
        return
    made = add_sealed_bucket(
        stack, "Bucket", names.bucket, key, wildlife_rules(wildlife), versioned=True
    )
    acknowledge(made, NO_ACCESS_LOGS)


def wildlife_rules(wildlife: Wildlife) -> list[s3.LifecycleRule]:
    """Return what S3 does by itself: by prefix with pictures, by tag with what runs have made."""
    bucket = wildlife.bucket
    archived = [
        s3.Transition(storage_class=storage, transition_after=Duration.days(days))
        for storage, days in (
            (s3.StorageClass.INFREQUENT_ACCESS, _INFREQUENT),
            (s3.StorageClass.GLACIER, _GLACIER),
            (s3.StorageClass.DEEP_ARCHIVE, _DEEP),
        )
    ]
    return [
        s3.LifecycleRule(
            id="abort-unfinished-uploads",
            abort_incomplete_multipart_upload_after=Duration.days(bucket.abort_uploads_after_days),
        ),
        s3.LifecycleRule(
            id="expire-former-versions",
            noncurrent_version_expiration=Duration.days(bucket.keep_versions_days),
        ),
        s3.LifecycleRule(
            id="archive-pictures", prefix=f"{bucket.input_prefix}/", transitions=archived
        ),
        *(
            s3.LifecycleRule(
                id=f"archive-{kind.value}s",
                tag_filters={"kind": kind.value},
                transitions=archived,
                expiration=Duration.days(days),
            )
            for kind, days in ((Kind.FRAME, _FRAMES), (Kind.CROP, _CROPS))
        ),
        s3.LifecycleRule(
            id="tier-results",
            tag_filters={"kind": Kind.RESULT.value},
            transitions=[
                s3.Transition(
                    storage_class=s3.StorageClass.INTELLIGENT_TIERING,
                    transition_after=Duration.days(0),
                )
            ],
        ),
        s3.LifecycleRule(
            id="expire-cache",
            tag_filters={"kind": Kind.CACHE.value},
            expiration=Duration.days(_CACHE),
        ),
    ]


def add_secret(stack: Stack, names: WildlifeNames, key: kms.Key) -> secretsmanager.CfnSecret:
    """Make the secret without any key: people put theirs in, and no deployment undoes that."""
    secret = secretsmanager.CfnSecret(
        stack,
        "ApiKeys",
        name=names.secret,
        kms_key_id=key.key_arn,
        secret_string="{}",  # noqa: S106 - nothing at all
        description='JSON such as {"frost_client_id": "...", "detector_key": "..."}',
    )
    acknowledge(secret, KEYS_OF_OTHERS)
    return secret
