"""What the person who deploys and submits may do: deploy, submit, look, and no more. Pure.

It is bounded to the function, the repository, the roles, the bucket and the log groups of the runs.
Roles are made and changed only under the names of the runs, and handed to Lambda and ECS alone.
"""

from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.permissions.statements import Condition, Statement

_BASIC_EXECUTION = "AWSLambdaBasicExecutionRole"


def operator_statements(scope: Scope) -> tuple[Statement, ...]:
    """Return everything the operator's commands need."""
    return (
        *_functions(scope),
        *_roles(scope),
        *_images(scope),
        *_jobs(scope),
        *_logs(scope),
        *_data(scope),
        Statement(
            "Who", ("sts:GetCallerIdentity",), ("*",), "every command asks first who it acts as"
        ),
    )


def _functions(scope: Scope) -> tuple[Statement, ...]:
    return (
        Statement(
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
        Statement("Functions", ("lambda:ListFunctions",), ("*",), "which functions there are"),
    )


def _roles(scope: Scope) -> tuple[Statement, ...]:
    names = dict.fromkeys((scope.execution_role, scope.task_role, scope.task_execution_role))
    roles = tuple(map(scope.role_arn, names))
    basic = f"arn:{scope.partition}:iam::aws:policy/service-role/{_BASIC_EXECUTION}"
    return (
        Statement(
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
        Statement(
            "RolePolicies",
            ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
            roles,
            "the one managed policy that older deployments attach",
            (Condition("ArnEquals", "iam:PolicyARN", (basic,)),),
        ),
        Statement("RoleNames", ("iam:ListRoles",), ("*",), "which roles there are"),
        Statement(
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


def _images(scope: Scope) -> tuple[Statement, ...]:
    return (
        Statement("Registry", ("ecr:GetAuthorizationToken",), ("*",), "logging in to the registry"),
        Statement(
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


def _jobs(scope: Scope) -> tuple[Statement, ...]:
    machine = scope.state_machine_arn
    found = (
        Statement(
            "Jobs",
            ("batch:SubmitJob", "batch:TerminateJob"),
            (
                scope.arn("batch", "job-definition/*"),
                scope.arn("batch", "job-queue/*"),
                scope.arn("batch", "job/*"),
            ),
            "jobs are submitted and stopped",
        ),
        Statement(
            "Tasks",
            ("ecs:RunTask", "ecs:DescribeTasks", "ecs:StopTask"),
            (scope.arn("ecs", "task-definition/*"), scope.arn("ecs", "task/*")),
            "tasks are started, watched and stopped",
        ),
        Statement(
            "Definitions",
            ("ecs:RegisterTaskDefinition", "ecs:DescribeTaskDefinition"),
            ("*",),
            "what tasks consist of is registered, and compared before",
        ),
        Statement(
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
    executions = Statement(
        "Executions",
        ("states:StartExecution", "states:DescribeExecution", "states:StopExecution"),
        (machine, runs),
        "large submissions run in the state machine",
    )
    return (*found, executions)


def _logs(scope: Scope) -> tuple[Statement, ...]:
    groups = tuple(
        scope.arn("logs", f"log-group:{name}")
        for name in (scope.function_log_group, scope.log_group)
    )
    return (
        Statement(
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
        Statement(
            "LogGroups",
            ("logs:DescribeLogGroups",),
            ("*",),
            "which groups there are, and how long they are kept",
        ),
    )


def _data(scope: Scope) -> tuple[Statement, ...]:
    found = (
        Statement(
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
        Statement(
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
        Statement("Topic", ("sns:Subscribe",), (scope.topic_arn,), "an address is subscribed"),
    )
