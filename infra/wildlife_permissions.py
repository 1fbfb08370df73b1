"""What each part of the wildlife stack may do in AWS, and why. Pure.

A function or job may read what its state reads and write what its state writes, below the prefix of
inputs and the prefix of outputs: `layout` says what lies where. A run's own folder lies anywhere
below the prefix of outputs, so that its name is a `*`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from infra.machine_permissions import job_permissions, watch_permissions
from infra.wildlife_names import WildlifeNames
from pipelines.wildlife import layout
from shared.aws.permission import Condition, Permission

DETECTION = "detection"
"""Whom the job acts as, beside the functions, which are called by their states' modules."""

_STAGE0, _STAGE1, _STAGE2, _WEATHER = "stage0/*", "stage1/*", "stage2/*", "weather/*"
_TABLES = (
    layout.CLUSTERS_TABLE,
    layout.EVENTS_TABLE,
    layout.DETECTIONS_TABLE,
    layout.REPORT,
    layout.REPORT_PAGE,
)
_READ: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "stage0_exif": (_STAGE0,),
        DETECTION: (_STAGE0, _STAGE1),
        "stage2_post": (_STAGE0, _STAGE1, _STAGE2),
        "weather_enrichment": (_STAGE2, _WEATHER),
        "write_parquet": (_STAGE0, _STAGE1, _STAGE2, _WEATHER, *_TABLES),
    }
)
"""What of a run's folder is read; of what is written, too, where an answer got lost."""
_WRITTEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "stage0_exif": (_STAGE0,),
        DETECTION: (_STAGE1,),
        "stage2_post": (_STAGE2,),
        "weather_enrichment": (_WEATHER,),
        "write_parquet": _TABLES,
    }
)
_LISTS_PICTURES = ("guard_budget", "stage0_exif")
_READS_PICTURES = ("stage0_exif", DETECTION)
_READS_SETTINGS = ("stage0_exif", DETECTION, "stage2_post")
_LISTS_OUTPUT = (DETECTION, "weather_enrichment", "write_parquet")


def run_permissions(who: str, names: WildlifeNames, keys: tuple[str, ...]) -> list[Permission]:
    """Return what a state's function, or the detection, may do with the bucket and its keys."""
    found: list[Permission] = []
    if who in _LISTS_PICTURES:
        found.append(_list(names, "Pictures", names.input_prefix, "pictures are counted"))
    if who in _READS_PICTURES:
        found.append(_read(names, "Pictures", names.input_prefix, "pictures are read"))
    if who in _READS_SETTINGS:
        why = "clock corrections, known places, models and limits by species are read"
        found.append(_read(names, "Settings", names.settings_prefix, why))
    if who in _LISTS_OUTPUT:
        found.append(_list(names, "Output", names.output_prefix, "chunks, crops and caches"))
    if read := _READ.get(who, ()):
        why = "what the states before have written, and what an unknown answer stands for"
        found.append(Permission("OutputRead", ("s3:GetObject",), _below(names, read), why))
    if written := _WRITTEN.get(who, ()):
        found.append(
            Permission(
                "OutputWritten",
                ("s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"),
                _below(names, written),
                "what the state makes, with the tags that the lifecycle rules go by",
            )
        )
    if found:
        found += [_tell_missing(names), _use_keys(keys, writes=bool(_WRITTEN.get(who)))]
    return found


def function_permissions(
    module: str, names: WildlifeNames, *, keys: tuple[str, ...], own_key: str, secret: str
) -> list[Permission]:
    """Return what a state's function may do; `secret` is the ARN of the providers' keys."""
    group = names.log_group(f"/aws/lambda/{names.function(module)}")
    return [
        *run_permissions(module, names, keys),
        Permission(
            "FunctionLog",
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            (f"{group}:*",),
            "what it says is kept in its own log group, and its metrics are taken from there",
        ),
        Permission(
            "FunctionVariables",
            ("kms:Decrypt",),
            (own_key,),
            "its variables are encrypted",
            (_in_context("aws:lambda:FunctionArn", names.function_arn(module)),),
        ),
        *(
            [_read_secret(secret), _open_secret(own_key, secret)]
            if module == "weather_enrichment"
            else []
        ),
    ]


def job_role_permissions(
    names: WildlifeNames, *, keys: tuple[str, ...], own_key: str, secret: str
) -> list[Permission]:
    """Return what the detection may do; `secret` is empty where it needs none."""
    more = [_read_secret(secret), _open_secret(own_key, secret)] if secret else []
    return [*run_permissions(DETECTION, names, keys), *more]


def execution_permissions(
    names: WildlifeNames, *, repository: str, log_group: str
) -> list[Permission]:
    """Return what starting a job's container needs."""
    return [
        Permission(
            "StartLogin",
            ("ecr:GetAuthorizationToken",),
            ("*",),
            "the registry wants a token; the action knows no resource",
        ),
        Permission(
            "StartImage",
            (
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ),
            (names.arn("ecr", f"repository/{repository}"),),
            "the image is pulled",
        ),
        Permission(
            "StartLog",
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            (f"{names.log_group(log_group)}:*",),
            "what the detection says is kept",
        ),
    ]


def machine_permissions(names: WildlifeNames, modules: tuple[str, ...]) -> list[Permission]:
    """Return what the state machine may do."""
    return [
        Permission(
            "MachineFunctions",
            ("lambda:InvokeFunction",),
            tuple(names.function_arn(module) for module in modules),
            "each state is a function of its own",
        ),
        *job_permissions(
            names.arn,
            queues=tuple(names.queues.values()),
            definitions=(names.job_definition,),
            why="animals are looked for by a job",
        ),
        *watch_permissions(),
    ]


def endpoint_statements(names: WildlifeNames) -> list[Permission]:
    """Return what the network's way to S3 lets through: the bucket, and layers of images."""
    layers = f"arn:{names.partition}:s3:::prod-{names.aws_region}-starport-layer-bucket/*"
    return [
        Permission(
            "Runs",
            (
                "s3:GetObject",
                "s3:PutObject",
                "s3:PutObjectTagging",
                "s3:AbortMultipartUpload",
                "s3:ListBucket",
            ),
            (names.bucket_arn, names.objects("*")),
            "pictures in, detections out",
        ),
        Permission("Images", ("s3:GetObject",), (layers,), "where the registry keeps layers"),
    ]


def _below(names: WildlifeNames, patterns: tuple[str, ...]) -> tuple[str, ...]:
    # No slash before the name: a run may lie at the prefix itself.
    return tuple(names.objects(f"{names.output_prefix}/*{each}") for each in patterns)


def _list(names: WildlifeNames, sid: str, prefix: str, why: str) -> Permission:
    return Permission(
        f"{sid}Listed",
        ("s3:ListBucket",),
        (names.bucket_arn,),
        why,
        (Condition("StringLike", "s3:prefix", (f"{prefix}/*",)),),
    )


def _read(names: WildlifeNames, sid: str, prefix: str, why: str) -> Permission:
    return Permission(f"{sid}Read", ("s3:GetObject",), (names.objects(f"{prefix}/*"),), why)


def _tell_missing(names: WildlifeNames) -> Permission:
    return Permission(
        "Missing",
        ("s3:ListBucket",),
        (names.bucket_arn,),
        "a key that is missing is answered 404 and not 403; the price is that a listing without "
        "any prefix shows the names of all keys",
        (Condition("Null", "s3:prefix", ("true",)),),
    )


def _use_keys(keys: tuple[str, ...], *, writes: bool) -> Permission:
    return Permission(
        "Keys",
        ("kms:Decrypt", "kms:GenerateDataKey") if writes else ("kms:Decrypt",),
        keys,
        "the bucket encrypts; objects in parts need both rights",
        (Condition("StringLike", "kms:ViaService", ("s3.*.amazonaws.com",)),),
    )


def _read_secret(secret: str) -> Permission:
    return Permission(
        "Secret",
        ("secretsmanager:GetSecretValue",),
        (secret,),
        "what providers want to know us by",
    )


def _open_secret(own_key: str, secret: str) -> Permission:
    return Permission(
        "SecretKey",
        ("kms:Decrypt",),
        (own_key,),
        "the secret is encrypted",
        (_in_context("SecretARN", secret),),
    )


def _in_context(name: str, value: str) -> Condition:
    return Condition("StringEquals", f"kms:EncryptionContext:{name}", (value,))
