"""What each party of the glacier runs may do in AWS, and why: what its requests need. Pure.

| document         | whose                                     | taken by                |
|------------------|-------------------------------------------|-------------------------|
| `operator`       | the person who deploys and submits        | a person's own identity |
| `execution`      | the function                              | lambda.amazonaws.com    |
| `task`           | a container of Batch, ECS or Fargate      | ecs-tasks.amazonaws.com |
| `task-execution` | ECS itself: pulls the image, writes logs  | ecs-tasks.amazonaws.com |

A GET or HEAD of a key that is missing is answered 404 to whoever may list the bucket, else 403, and
a run that takes the one for the other fails. Such a request names no prefix: hence `...Missing`.
"""

from collections.abc import Callable, Mapping

from pipelines.glacier.deploy.permissions.operator_policy import operator_statements
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.permissions.statements import (
    Document,
    policy_document,
    resource_document,
    trust_document,
)
from shared.aws.permission import Condition, Permission

LAMBDA_SERVICE = "lambda.amazonaws.com"
TASK_SERVICE = "ecs-tasks.amazonaws.com"
SCENE_BUCKET = "usgs-landsat"
"""Where Landsat's scenes lie; whoever reads them pays."""
OPEN_SCENES = "sentinel-cogs"
"""Where the Sentinel-2 scenes lie that earth-search names; anybody may read them."""


def execution_statements(scope: Scope) -> tuple[Permission, ...]:
    """Return what the function may do."""
    group = scope.arn("logs", f"log-group:{scope.function_log_group}")
    logs = Permission(
        "GlacierLogs",
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        (group, f"{group}:*"),
        "what the function prints; the group is made where nobody has made it before",
    )
    return (logs, *data_statements(scope))


def task_statements(scope: Scope) -> tuple[Permission, ...]:
    """Return what the containers of Batch, ECS and Fargate may do: the data, and nothing else."""
    return data_statements(scope)


def data_statements(scope: Scope) -> tuple[Permission, ...]:
    """Return what every run needs of S3, wherever it runs."""
    prefixes = (f"{scope.project_prefix}/*", f"{scope.base_path}/*")
    found = (
        Permission(
            "GlacierProject",
            ("s3:GetObject",),
            (scope.project_objects,),
            "the project's code and regions are read, never written",
        ),
        Permission(
            "GlacierResults",
            ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"),
            scope.result_objects,
            "results and records are written, large ones in parts; those that are there are read, "
            "so that finished scenes are not done again; nothing is removed",
        ),
        Permission(
            "GlacierListings",
            ("s3:ListBucket",),
            (scope.bucket_arn,),
            "listings show what is finished, and which files the project has",
            (Condition("StringLike", "s3:prefix", prefixes),),
        ),
        Permission(
            "GlacierMissing",
            ("s3:ListBucket",),
            (scope.bucket_arn,),
            "a key that is missing is answered 404 and not 403; the price is that a listing "
            "without any prefix shows the names of all keys",
            (Condition("Null", "s3:prefix", ("true",)),),
        ),
        Permission(
            "GlacierScenes",
            ("s3:GetObject",),
            (f"arn:{scope.partition}:s3:::{SCENE_BUCKET}/*",),
            "Landsat's scenes; their bucket is another account's",
        ),
    )
    return (*found, *_notices(scope))


def task_execution_statements(scope: Scope) -> tuple[Permission, ...]:
    """Return what ECS itself does before and beside a container."""
    group = scope.arn("logs", f"log-group:{scope.log_group}")
    return (
        Permission(
            "GlacierRegistry",
            ("ecr:GetAuthorizationToken",),
            ("*",),
            "logging in to the registry, which knows no resource",
        ),
        Permission(
            "GlacierImage",
            ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
            (scope.repository_arn,),
            "the image is pulled",
        ),
        Permission(
            "GlacierTaskLogs",
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            (f"{group}:*",),
            "what a container prints",
        ),
    )


def endpoint_statements(scope: Scope) -> tuple[Permission, ...]:
    """Return what the policy of a VPC's endpoint for S3 must let through, if it has one.

    Without the layers no image can be pulled: the registry keeps them in a bucket of its own, and
    answers 403 through an endpoint that does not know it. The scenes of Sentinel-2 are fetched
    without a name, by plain HTTPS, and take that way as well.
    """
    partition = f"arn:{scope.partition}:s3:::"
    return (
        Permission(
            "GlacierData",
            ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"),
            (scope.project_objects, *scope.result_objects),
            "project, results and records",
        ),
        Permission(
            "GlacierBucket", ("s3:ListBucket",), (scope.bucket_arn,), "listings of the bucket"
        ),
        Permission(
            "GlacierScenes",
            ("s3:GetObject",),
            (f"{partition}{SCENE_BUCKET}/*",),
            "Landsat's scenes",
        ),
        Permission(
            "GlacierLayers",
            ("s3:GetObject",),
            (layer_objects(scope.aws_region, scope.partition),),
            "the layers of the image",
        ),
        Permission(
            "GlacierOpenScenes",
            ("s3:GetObject",),
            (f"{partition}{OPEN_SCENES}/*",),
            "scenes of Sentinel-2, which anybody may read",
        ),
    )


def layer_objects(aws_region: str, partition: str = "aws") -> str:
    """Return the objects in which a region's registry keeps the layers of images."""
    return f"arn:{partition}:s3:::prod-{aws_region}-starport-layer-bucket/*"


def policy_documents(scope: Scope) -> Mapping[str, Document]:
    """Return every document by its name."""
    identities: Mapping[str, Callable[[Scope], tuple[Permission, ...]]] = {
        "operator": operator_statements,
        "execution": execution_statements,
        "task": task_statements,
        "task-execution": task_execution_statements,
    }
    return {
        **{name: policy_document(found(scope)) for name, found in identities.items()},
        "execution-trust": trust_document(LAMBDA_SERVICE),
        "task-trust": task_trust(scope),
        "endpoint": resource_document(endpoint_statements(scope)),
    }


def task_trust(scope: Scope) -> Document:
    """Return who takes the roles of containers: ECS, for tasks of this account and no other."""
    here = Condition("StringEquals", "aws:SourceAccount", (scope.account_id,))
    return trust_document(TASK_SERVICE, (here,))


def _notices(scope: Scope) -> tuple[Permission, ...]:
    if not scope.topic_arn:
        return ()
    reason = "somebody is told that a run has ended or failed"
    return (Permission("GlacierNotices", ("sns:Publish",), (scope.topic_arn,), reason),)
