"""What the person who deploys and submits may do: deploy, submit, look, and no more. Pure.

It is bounded to the function, the repository, the roles, the bucket and the log groups of the runs.
Roles are made and changed only under the names of the runs, and handed to Lambda and ECS alone.
"""

from pipelines.glacier.deploy.permissions.scope import Scope
from shared.aws.permission import Condition, Permission

_BASIC_EXECUTION = "AWSLambdaBasicExecutionRole"


def operator_statements(scope: Scope) -> tuple[Permission, ...]:
    """Return everything the operator's commands need."""
    return (
        *_functions(scope),
        *_roles(scope),
        *_images(scope),
        *_jobs(scope),
        *_logs(scope),
        *_data(scope),
        Permission(
            "Who", ("sts:GetCallerIdentity",), ("*",), "every command asks first who it acts as"
        ),
    )


def _functions(scope: Scope) -> tuple[Permission, ...]:
    return (
        Permission(
            "Function",
            (
                "lambda:CreateFunction",
                "lambda:DeleteFunction",
                "lambda:GetFunction",
                "lambda:GetFunctionConfiguration",
                "lambda:InvokeFunction",
                "lambda:UpdateFunctionCode",
                "lambda:UpdateFunctionConfiguration",
                "lambda:PublishVersion",
                "lambda:ListVersionsByFunction",
                "lambda:CreateAlias",
                "lambda:GetAlias",
                "lambda:UpdateAlias",
                "lambda:DeleteAlias",
            ),
            (scope.function_arn, f"{scope.function_arn}:*"),
            "deploy, validate, smoke test, roll back, submit",
        ),
        Permission("Functions", ("lambda:ListFunctions",), ("*",), "which functions there are"),
    )


def _roles(scope: Scope) -> tuple[Permission, ...]:
    names = dict.fromkeys((scope.execution_role, scope.task_role, scope.task_execution_role))
    roles = tuple(map(scope.role_arn, names))
    basic = f"arn:{scope.partition}:iam::aws:policy/service-role/{_BASIC_EXECUTION}"
    return (
        Permission(
            "Roles",
            (
                "iam:CreateRole",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:PutRolePolicy",
                "iam:SimulatePrincipalPolicy",
            ),
            roles,
            "the roles of the runs are made, kept as generated, and asked what they allow",
        ),
        Permission(
            "RolePolicies",
            ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
            roles,
            "the one managed policy that older deployments attach",
            (Condition("ArnEquals", "iam:PolicyARN", (basic,)),),
        ),
        Permission("RoleNames", ("iam:ListRoles",), ("*",), "which roles there are"),
        Permission(
            "PassRoles",
            ("iam:PassRole",),
            roles,
            "roles are handed to these services and no other",
            (
                Condition(
                    "StringEquals",
                    "iam:PassedToService",
                    ("lambda.amazonaws.com", "ecs-tasks.amazonaws.com"),
                ),
            ),
        ),
    )


def _images(scope: Scope) -> tuple[Permission, ...]:
    return (
        Permission("Registry", ("ecr:GetAuthorizationToken",), ("*",), "log in to the registry"),
        Permission(
            "Repository",
            (
                "ecr:CreateRepository",
                "ecr:DeleteRepository",
                "ecr:DescribeRepositories",
                "ecr:PutImageScanningConfiguration",
                "ecr:PutImageTagMutability",
                "ecr:GetRepositoryPolicy",
                "ecr:SetRepositoryPolicy",
                "ecr:BatchCheckLayerAvailability",
                "ecr:InitiateLayerUpload",
                "ecr:UploadLayerPart",
                "ecr:CompleteLayerUpload",
                "ecr:PutImage",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                "ecr:DescribeImages",
                "ecr:ListImages",
                "ecr:BatchDeleteImage",
            ),
            (scope.repository_arn,),
            "images are pushed, pulled, looked up and cleaned up; Lambda lets itself in by the "
            "repository's policy, in the name of whoever makes the function",
        ),
    )


def _jobs(scope: Scope) -> tuple[Permission, ...]:
    machine = scope.state_machine_arn
    found = (
        Permission(
            "Jobs",
            ("batch:SubmitJob", "batch:TerminateJob"),
            (
                scope.arn("batch", "job-definition/*"),
                scope.arn("batch", "job-queue/*"),
                scope.arn("batch", "job/*"),
            ),
            "jobs are submitted and stopped",
        ),
        Permission(
            "Tasks",
            ("ecs:RunTask", "ecs:DescribeTasks", "ecs:StopTask"),
            (scope.arn("ecs", "task-definition/*"), scope.arn("ecs", "task/*")),
            "tasks are started, watched and stopped",
        ),
        Permission(
            "Definitions",
            ("ecs:RegisterTaskDefinition", "ecs:DescribeTaskDefinition"),
            ("*",),
            "what tasks consist of is registered, and compared before",
        ),
        Permission(
            "Looking",
            (
                "batch:DescribeJobs",
                "batch:ListJobs",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcEndpoints",
            ),
            ("*",),
            "what became of jobs; whether the network lets images and results through",
        ),
    )
    if not machine:
        return found
    runs = machine.replace(":stateMachine:", ":execution:") + ":*"
    executions = Permission(
        "Executions",
        ("states:StartExecution", "states:DescribeExecution", "states:StopExecution"),
        (machine, runs),
        "large submissions run in the state machine",
    )
    return (*found, executions)


def _logs(scope: Scope) -> tuple[Permission, ...]:
    groups = tuple(
        scope.arn("logs", f"log-group:{name}")
        for name in (scope.function_log_group, scope.log_group)
    )
    return (
        Permission(
            "Logs",
            (
                "logs:CreateLogGroup",
                "logs:PutRetentionPolicy",
                "logs:DescribeLogStreams",
                "logs:GetLogEvents",
                "logs:FilterLogEvents",
            ),
            (*groups, *(f"{group}:*" for group in groups)),
            "logs are read; their groups are made with an end to how long they are kept",
        ),
        Permission(
            "LogGroups",
            ("logs:DescribeLogGroups",),
            ("*",),
            "which groups there are, and how long they are kept",
        ),
    )


def _data(scope: Scope) -> tuple[Permission, ...]:
    found = (
        Permission(
            "Bucket",
            (
                "s3:CreateBucket",
                "s3:GetBucketLocation",
                "s3:ListBucket",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutBucketVersioning",
                "s3:PutEncryptionConfiguration",
            ),
            (scope.bucket_arn,),
            "the one bucket is made ready and listed; it is never removed",
        ),
        Permission(
            "Objects",
            ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
            (scope.project_objects, *scope.result_objects),
            "the project is synchronised, results are pulled, named ones are cleaned up",
        ),
    )
    if not scope.topic_arn:
        return found
    return (
        *found,
        Permission("Topic", ("sns:Subscribe",), (scope.topic_arn,), "an address is subscribed"),
    )
