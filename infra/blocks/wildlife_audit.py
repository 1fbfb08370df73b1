"""Who did what with pictures, functions and the state machine: a trail, and where it is kept."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from infra.acknowledged import LOG_OF_LOGS, acknowledge
from infra.blocks.wildlife_stores import add_sealed_bucket
from infra.wildlife_names import WildlifeNames
from infra.wildlife_settings import Wildlife

_KEPT_DAYS = 90
_TRAIL = "cloudtrail.amazonaws.com"


def add_audit(
    stack: Stack, wildlife: Wildlife, names: WildlifeNames, key: kms.Key, modules: tuple[str, ...]
) -> None:
    """Make the trail, and its bucket where there is none yet; neither where none is wanted."""
    if wildlife.audit_bucket == "none":
        return
    trail = cloudtrail.CfnTrail(
        stack,
        "Trail",
        trail_name=names.named("audit-trail"),
        s3_bucket_name=names.audit_bucket,
        is_logging=True,
        enable_log_file_validation=True,
        include_global_service_events=True,
        kms_key_id=key.key_arn,
        advanced_event_selectors=_selectors(names, modules),
    )
    if wildlife.audit_bucket == "make":
        bucket = _add_bucket(stack, names, key)
        # CloudTrail tries to write when it is made.
        trail.node.add_dependency(bucket)
    trail.node.add_dependency(key)


def _selectors(names: WildlifeNames, modules: tuple[str, ...]) -> list[object]:
    functions = [names.function_arn(module) for module in modules]
    data = (
        ("pictures and tables", "AWS::S3::Object", {"startsWith": [f"{names.bucket_arn}/"]}),
        ("functions", "AWS::Lambda::Function", {"equalTo": functions}),
        ("the machine", "AWS::StepFunctions::StateMachine", {"equalTo": [names.machine_arn]}),
    )
    return [
        {
            "name": "changes",
            "fieldSelectors": [
                {"field": "eventCategory", "equalTo": ["Management"]},
                {"field": "readOnly", "equalTo": ["false"]},
            ],
        },
        *(
            {
                "name": name,
                "fieldSelectors": [
                    {"field": "eventCategory", "equalTo": ["Data"]},
                    {"field": "resources.type", "equalTo": [kind]},
                    {"field": "resources.ARN", **which},
                ],
            }
            for name, kind, which in data
        ),
    ]


def _add_bucket(stack: Stack, names: WildlifeNames, key: kms.Key) -> s3.Bucket:
    rule = s3.LifecycleRule(id="expire-trail", expiration=Duration.days(_KEPT_DAYS))
    bucket = add_sealed_bucket(stack, "AuditBucket", names.audit_bucket, key, [rule])
    acknowledge(bucket, LOG_OF_LOGS)
    ours = {"StringEquals": {"aws:SourceArn": names.trail_arn}}
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid="TrailLooks",
            principals=[iam.ServicePrincipal(_TRAIL)],
            actions=["s3:GetBucketAcl"],
            resources=[bucket.bucket_arn],
            conditions=ours,
        )
    )
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid="TrailWrites",
            principals=[iam.ServicePrincipal(_TRAIL)],
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects(f"AWSLogs/{names.account_id}/*")],
            conditions=ours,
        )
    )
    # The trail writes for as long as the bucket is there, with or without this stack.
    if (policy := bucket.policy) is not None:
        policy.apply_removal_policy(RemovalPolicy.RETAIN)
    return bucket
