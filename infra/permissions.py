"""What each service may do in AWS, and why: what its requests need, and nothing besides. Pure.

The stacks make policies of it, docs/permissions.md shows it, and a test replays the requests that
the daemons really make against it. Rule: an action stands here because a request needs it; the one
exception says so in its reason.

A GET or HEAD of a key that is missing is answered 404 to whoever may list the bucket, else 403; and
a daemon that takes the one for the other stands still. Such a request names no prefix, so that a
permission to list certain prefixes does not cover it. Hence the statements `...Missing`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from infra.policies import check_arn, check_bucket
from shared.aws.permission import Condition, Permission
from shared.handshake.layout import DEFAULT_PREFIX, Layout

Service = Literal["uploader", "dispatcher", "watcher", "collector", "status"]

NAMESPACE = "Towpath"
"""Of the metrics in CloudWatch."""

_PREFIX = re.compile(r"[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a service works, and what its configuration makes it do there.

    Names may hold references that a template resolves, such as `${AWS::AccountId}`.

    Raises:
        ValueError: something in it is no name; the message says what and why.
    """

    bucket: str
    prefix: str = DEFAULT_PREFIX
    """Of the hand-shake, as in its settings; the uploader has none."""
    more_buckets: tuple[str, ...] = ()
    """Further buckets that the uploader fills."""
    partition: str = "aws"
    acl: bool = False
    """Whether the uploader sets an ACL."""
    kms_key: str = ""
    """ARN of the key with which the bucket encrypts, where that is a key of one's own."""
    more_kms_keys: tuple[str, ...] = ()
    """Those of further buckets."""
    tag_collected: bool = False
    """Whether the collector tags what it has merged."""

    def __post_init__(self) -> None:
        """Refuse what would make another policy than the one that is meant."""
        for bucket in self.buckets:
            check_bucket(bucket)
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                f"prefix {self.prefix!r} may hold only A-Z a-z 0-9 _ . = - and single slashes "
                "between them; write it as in the configuration"
            )
        for arn in self.keys:
            check_arn(arn)

    @property
    def buckets(self) -> tuple[str, ...]:
        """All buckets."""
        return (self.bucket, *self.more_buckets)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all buckets, each once."""
        found = (self.kms_key, *self.more_kms_keys)
        return tuple(dict.fromkeys(arn for arn in found if arn))

    @property
    def layout(self) -> Layout:
        """The names of the hand-shake."""
        return Layout(self.bucket, self.prefix)

    def bucket_arns(self) -> tuple[str, ...]:
        """Return the ARNs of the buckets themselves."""
        return tuple(f"arn:{self.partition}:s3:::{bucket}" for bucket in self.buckets)

    def object_arns(self, *keys: str) -> tuple[str, ...]:
        """Return the ARNs of objects; in a key `*` stands for any text, slashes too."""
        return tuple(f"{arn}/{key}" for arn in self.bucket_arns() for key in keys)


def statements_for(service: Service, scope: Scope) -> tuple[Permission, ...]:
    """Return all that a service needs of S3, and of the key with which its buckets encrypt."""
    found = _SERVICES[service](scope)
    if not scope.keys:
        return found
    writes = any("s3:PutObject" in permission.actions for permission in found)
    return (*found, _use_key(service, scope, writes=writes))


def read_asset(bucket: str, key: str, *, partition: str = "aws") -> Permission:
    """Return the reading of the one object that an instance installs itself from."""
    check_bucket(bucket)
    if not key or set(key) & set("*?"):
        raise ValueError(f"key {key!r} names no single object; write it without * and ?")
    return Permission(
        "InstanceAsset",
        ("s3:GetObject",),
        (f"arn:{partition}:s3:::{bucket}/{key}",),
        "the instance installs itself from this one object",
    )


def put_metrics(namespace: str = NAMESPACE) -> Permission:
    """Return the sending of metrics into one namespace."""
    return Permission(
        "InstanceMetrics",
        ("cloudwatch:PutMetricData",),
        ("*",),
        "the alarms read the daemons' metrics; the action knows no resource but the namespace",
        (Condition("StringEquals", "cloudwatch:namespace", (namespace,)),),
    )


def write_logs(log_group_arn: str) -> Permission:
    """Return the writing into one log group, which somebody else has made."""
    arn = log_group_arn.removesuffix(":*")
    check_arn(arn)
    return Permission(
        "InstanceLogs",
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        (f"{arn}:*",),
        "what the journal says is still there when the instance is gone",
    )


def _uploader(scope: Scope) -> tuple[Permission, ...]:
    found = [
        Permission(
            "UploaderObjects",
            ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"),
            scope.object_arns("*"),
            "files become objects, in parts where they are large; what is under a key is compared "
            "with the file before the file goes; parts of a failed upload are freed",
        ),
        Permission(
            "UploaderBucket",
            ("s3:ListBucket",),
            scope.bucket_arns(),
            "many files of one folder are looked up by a listing; a missing key is 404, not 403",
        ),
        Permission(
            "UploaderPartsOfObjects",
            ("s3:ListMultipartUploadParts",),
            scope.object_arns("*"),
            "fixed by the uploader's contract: no request of the daemon needs it, a person who "
            "looks into unfinished uploads does",
        ),
        Permission(
            "UploaderOpenUploads",
            ("s3:ListBucketMultipartUploads",),
            scope.bucket_arns(),
            "fixed by the uploader's contract: no request of the daemon needs it, a person who "
            "looks for unfinished uploads does",
        ),
    ]
    if scope.acl:
        found.append(
            Permission(
                "UploaderAcl",
                ("s3:PutObjectAcl",),
                scope.object_arns("*"),
                "an ACL is configured; buckets with ACLs disabled refuse it",
            )
        )
    return tuple(found)


def _dispatcher(scope: Scope) -> tuple[Permission, ...]:
    layout = scope.layout
    return (
        _list(scope, "Dispatcher", "which CIDs have a job", layout.jobs.key),
        _tell_missing(scope, "Dispatcher"),
        Permission(
            "DispatcherJobs",
            ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"),
            scope.object_arns(f"{layout.jobs.key}aws-seeds-*"),
            "seeds and markers are sent, large seeds in parts; what is there already is compared",
        ),
        _publish(scope, "Dispatcher", "dispatcher"),
    )


def _watcher(scope: Scope) -> tuple[Permission, ...]:
    layout = scope.layout
    listed = (layout.jobs.key, layout.runouts.key, layout.failures.key)
    return (
        _list(scope, "Watcher", "which jobs there are, which are done, which are parked", *listed),
        _tell_missing(scope, "Watcher"),
        Permission(
            "WatcherSeeds",
            ("s3:GetObject",),
            scope.object_arns(f"{layout.jobs.key}aws-seeds-*"),
            "the seeds of a job are pulled",
        ),
        Permission(
            "WatcherResults",
            ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"),
            scope.object_arns(f"{layout.runouts.key}aws-closest-*"),
            "results are pushed, large tables in parts; those of a former owner or of the scripts "
            "are read and not computed again",
        ),
        Permission(
            "WatcherLeases",
            ("s3:PutObject", "s3:GetObject"),
            scope.object_arns(f"{layout.leases.key}CID-*"),
            "leases are claimed, renewed and committed by conditional writes; never removed",
        ),
        Permission(
            "WatcherProbe",
            ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"),
            scope.object_arns(f"{layout.leases.key}probe-*"),
            "at its start it finds out whether the bucket knows conditional writes",
        ),
        Permission(
            "WatcherFailures",
            ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"),
            scope.object_arns(f"{layout.failures.key}CID-*"),
            "a parked CID has a report, which goes when the CID is put back or done",
        ),
    )


def _collector(scope: Scope) -> tuple[Permission, ...]:
    layout = scope.layout
    found = [
        _list(scope, "Collector", "which results there are", layout.runouts.key),
        _tell_missing(scope, "Collector"),
        Permission(
            "CollectorResults",
            ("s3:GetObject",),
            scope.object_arns(f"{layout.runouts.key}aws-closest-*", f"{layout.leases.key}CID-*"),
            "results are pulled, if their lease says that they count",
        ),
        _publish(scope, "Collector", "collector"),
    ]
    if scope.tag_collected:
        jobs, runouts = f"{layout.jobs.key}aws-seeds-", f"{layout.runouts.key}aws-closest-"
        found += [
            Permission(
                "CollectorTags",
                ("s3:GetObjectTagging", "s3:PutObjectTagging"),
                scope.object_arns(f"{jobs}*", f"{runouts}*"),
                "what was merged gets the tag by which the bucket lets it expire; tags that are "
                "there are kept",
            ),
            Permission(
                "CollectorJobs",
                ("s3:ListBucket",),
                scope.bucket_arns(),
                "the objects of the one job whose result was merged are tagged, too",
                (Condition("StringLike", "s3:prefix", (f"{jobs}*",)),),
            ),
        ]
    return tuple(found)


def _status(scope: Scope) -> tuple[Permission, ...]:
    layout = scope.layout
    read = (layout.summaries.key, layout.failures.key, layout.leases.key)
    return (
        _list(scope, "Status", "how far each CID is", layout.jobs.key, layout.runouts.key, *read),
        _tell_missing(scope, "Status"),
        Permission(
            "StatusRecords",
            ("s3:GetObject",),
            scope.object_arns(*(f"{key}*" for key in read)),
            "summaries, leases and reports say who does what, and why something is parked",
        ),
    )


def _list(scope: Scope, who: str, reason: str, *prefixes: str) -> Permission:
    return Permission(
        f"{who}Listings",
        ("s3:ListBucket",),
        scope.bucket_arns(),
        f"listings show {reason}",
        (Condition("StringEquals", "s3:prefix", prefixes),),
    )


def _tell_missing(scope: Scope, who: str) -> Permission:
    return Permission(
        f"{who}Missing",
        ("s3:ListBucket",),
        scope.bucket_arns(),
        "a key, or the bucket, that is missing is answered 404 and not 403; the price is that a "
        "listing without any prefix shows the names of all keys",
        (Condition("Null", "s3:prefix", ("true",)),),
    )


def _publish(scope: Scope, who: str, service: str) -> Permission:
    return Permission(
        f"{who}Summary",
        ("s3:PutObject", "s3:GetObject"),
        scope.object_arns(scope.layout.summary(service).key),
        "its summary is for those who do not see its machine; read back when an answer was lost",
    )


def _use_key(service: Service, scope: Scope, *, writes: bool) -> Permission:
    suffix = ".cn" if scope.partition == "aws-cn" else ""
    return Permission(
        f"{service.capitalize()}Key",
        ("kms:Decrypt", "kms:GenerateDataKey") if writes else ("kms:Decrypt",),
        scope.keys,
        "the buckets encrypt with this key; objects in parts need both rights",
        (Condition("StringLike", "kms:ViaService", (f"s3.*.amazonaws.com{suffix}",)),),
    )


_SERVICES: Mapping[Service, Callable[[Scope], tuple[Permission, ...]]] = {
    "uploader": _uploader,
    "dispatcher": _dispatcher,
    "watcher": _watcher,
    "collector": _collector,
    "status": _status,
}
