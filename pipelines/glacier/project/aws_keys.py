"""The keys of `aws_config.ini`. Pure.

All that any command reads is here, so that a typing mistake is found by whichever comes first.
"""

import re

from pipelines.glacier.project.ini_text import Key
from pipelines.glacier.targets.fargate_sizes import MEMORY_OF_CPU
from pipelines.glacier.targets.spot_strategy import STRATEGIES
from pipelines.glacier.values import (
    AWS_REGION,
    BUCKET,
    NAME,
    PATTERN,
    PREFIX,
    STATE_MACHINE,
    SWITCH,
    TEXT,
    choice,
    list_of,
    matching,
    one_of,
    whole,
)

_NAMES = list_of(NAME)
_LOG_DAYS = whole(1, 3653)

AWS_REGION_KEY = Key("AWS_ACCOUNT", "aws_region", AWS_REGION)
AWS_PROFILE = Key("AWS_ACCOUNT", "aws_profile", TEXT)
ACCOUNT_ID = Key("AWS_ACCOUNT", "account_id", matching(re.compile(r"[0-9]{12}"), "12 digits"))

S3_BUCKET = Key("STORAGE", "s3_bucket", BUCKET)
S3_BASE_PATH = Key("STORAGE", "s3_base_path", PREFIX)

INSTANCE_TYPE = Key("COMPUTE", "instance_type", NAME)
SPOT_INSTANCES = Key("COMPUTE", "spot_instances", SWITCH)
BATCH_JOB_QUEUE = Key("COMPUTE", "batch_job_queue", NAME)
BATCH_JOB_DEFINITION = Key("COMPUTE", "batch_job_definition", NAME)
ECS_CLUSTER = Key("COMPUTE", "ecs_cluster", NAME)
ECS_TASK_DEFINITION = Key("COMPUTE", "ecs_task_definition", NAME)
ECS_SUBNETS = Key("COMPUTE", "ecs_subnets", _NAMES)
ECS_SECURITY_GROUPS = Key("COMPUTE", "ecs_security_groups", _NAMES)

FARGATE_CLUSTER = Key("FARGATE", "fargate_cluster_name", NAME)
FARGATE_TASK_DEFINITION = Key("FARGATE", "fargate_task_definition", NAME)
FARGATE_CONTAINER = Key("FARGATE", "fargate_container_name", NAME)
FARGATE_MEMORY = Key("FARGATE", "fargate_memory", whole(512, 122_880))
FARGATE_IMAGE = Key("FARGATE", "fargate_image", NAME)
FARGATE_CPU = Key("FARGATE", "fargate_cpu", one_of(*MEMORY_OF_CPU))
FARGATE_SUBNETS = Key("FARGATE", "fargate_subnets", _NAMES)
FARGATE_SECURITY_GROUPS = Key("FARGATE", "fargate_security_groups", _NAMES)

JOB_QUEUE = Key("BATCH", "job_queue", NAME)
JOB_DEFINITION = Key("BATCH", "job_definition", NAME)
VCPUS = Key("BATCH", "vcpus", whole(1, 192))
BATCH_MEMORY = Key("BATCH", "memory", whole(4, 1_048_576))
BATCH_TIMEOUT = Key("BATCH", "timeout", whole(60, 1_209_600))

FUNCTION_NAME = Key("LAMBDA", "function_name", NAME)
FUNCTION_ALIAS = Key("LAMBDA", "alias", NAME)
MEMORY_SIZE = Key("LAMBDA", "memory_size", whole(128, 10_240))
TIMEOUT = Key("LAMBDA", "timeout", whole(1, 900))
EPHEMERAL_STORAGE = Key("LAMBDA", "ephemeral_storage", whole(512, 10_240))
PACKAGE_TYPE = Key("LAMBDA", "package_type", choice("Image", "Zip"))
ECR_REPOSITORY = Key("LAMBDA", "ecr_repository", NAME)
ECR_IMAGE_URI = Key("LAMBDA", "ecr_image_uri", NAME)
PYTHON_VERSION = Key("LAMBDA", "python_version", matching(re.compile(r"3\.[0-9]{1,2}"), "3.N"))
ARCHITECTURE = Key("LAMBDA", "architecture", choice("x86_64", "arm64"))
LAMBDA_MAX_TILES = Key("LAMBDA", "lambda_max_tiles", whole(1, 100))

SNS_TOPIC = Key("NOTIFICATIONS", "sns_topic_arn", NAME)

EXECUTION_ROLE = Key("SECURITY", "iam_execution_role", NAME)
TASK_ROLE = Key("SECURITY", "iam_task_role", NAME)

LOG_GROUP = Key("MONITORING", "log_group", NAME)
LOG_RETENTION_DAYS = Key("MONITORING", "log_retention_days", _LOG_DAYS)

USE_SPOT_INSTANCES = Key("COST_OPTIMIZATION", "use_spot_instances", SWITCH)
SPOT_STRATEGY = Key("COST_OPTIMIZATION", "spot_allocation_strategy", choice(*STRATEGIES))
BUDGET_LIMIT = Key("COST_OPTIMIZATION", "budget_limit", whole(0, 1_000_000))

ENABLE_STEP_FUNCTIONS = Key("EXPERIMENTAL", "enable_step_functions", SWITCH)
STATE_MACHINE_ARN = Key("STEPFUNCTIONS", "state_machine_arn", STATE_MACHINE)

SYNC_EXCLUDE = Key("SYNC", "exclude", list_of(PATTERN))
SYNC_INCLUDE = Key("SYNC", "include", list_of(PATTERN))

AWS_KEYS: tuple[Key[object], ...] = (
    AWS_REGION_KEY,
    AWS_PROFILE,
    ACCOUNT_ID,
    S3_BUCKET,
    S3_BASE_PATH,
    INSTANCE_TYPE,
    SPOT_INSTANCES,
    Key("COMPUTE", "max_vcpus", whole(1, 100_000)),
    Key("COMPUTE", "batch_compute_environment", NAME),
    BATCH_JOB_QUEUE,
    BATCH_JOB_DEFINITION,
    ECS_CLUSTER,
    ECS_TASK_DEFINITION,
    ECS_SUBNETS,
    ECS_SECURITY_GROUPS,
    FARGATE_CLUSTER,
    FARGATE_TASK_DEFINITION,
    FARGATE_CONTAINER,
    Key("FARGATE", "fargate_ecr_repository", NAME),
    FARGATE_MEMORY,
    FARGATE_CPU,
    FARGATE_SUBNETS,
    FARGATE_SECURITY_GROUPS,
    FARGATE_IMAGE,
    Key("BATCH", "compute_environment", NAME),
    JOB_QUEUE,
    JOB_DEFINITION,
    VCPUS,
    BATCH_MEMORY,
    BATCH_TIMEOUT,
    SNS_TOPIC,
    Key("NOTIFICATIONS", "email_notifications", SWITCH),
    EXECUTION_ROLE,
    TASK_ROLE,
    USE_SPOT_INSTANCES,
    SPOT_STRATEGY,
    BUDGET_LIMIT,
    Key("COST_OPTIMIZATION", "cost_alerts", SWITCH),
    LOG_GROUP,
    LOG_RETENTION_DAYS,
    Key("MONITORING", "enable_detailed_monitoring", SWITCH),
    FUNCTION_NAME,
    FUNCTION_ALIAS,
    MEMORY_SIZE,
    TIMEOUT,
    EPHEMERAL_STORAGE,
    PACKAGE_TYPE,
    Key("LAMBDA", "handler", NAME),
    ECR_REPOSITORY,
    Key("LAMBDA", "ecr_image_tag", NAME),
    ECR_IMAGE_URI,
    Key("LAMBDA", "dockerfile_path", TEXT),
    PYTHON_VERSION,
    ARCHITECTURE,
    LAMBDA_MAX_TILES,
    Key("EXPERIMENTAL", "enable_lambda_processing", SWITCH),
    ENABLE_STEP_FUNCTIONS,
    STATE_MACHINE_ARN,
    SYNC_EXCLUDE,
    SYNC_INCLUDE,
    Key("EXPERIMENTAL", "parallel_processing_regions", whole(1, 1000)),
)
