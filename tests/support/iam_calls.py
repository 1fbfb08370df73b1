"""From the requests that a server has seen to what IAM would have been asked for. Pure.

| request                                    | needs besides the action of its operation          |
|--------------------------------------------|----------------------------------------------------|
| a write or a delete with `If-Match`        | s3:GetObject on the key                            |
| a write with an ACL, or with tags          | s3:PutObjectAcl, s3:PutObjectTagging               |
| GET or HEAD of a key that is not there     | s3:ListBucket without a prefix, or it is a 403     |
| DeleteObjects                              | not mapped: no daemon sends it                     |

Sources: Amazon S3 API Reference, the section "Permissions" of each operation; User Guide, "Add
preconditions to S3 operations".
"""

from collections.abc import Iterable, Mapping

from tests.support.iam_policy import ON_BUCKET, Need
from tests.support.strict_s3.access import ACTION_OF_OPERATION
from tests.support.strict_s3.history import RequestRecord

WITHOUT_PERMISSION = frozenset({"GetCallerIdentity"})
"""Operations that IAM always allows."""

_OF_MARK: Mapping[str, str] = {
    "if-match": "s3:GetObject",
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-tagging": "s3:PutObjectTagging",
}
_READS = frozenset({"s3:GetObject", "s3:GetObjectTagging"})
_NOT_THERE = "NoSuchKey"


def needs_of(record: RequestRecord) -> Mapping[Need, str]:
    """Return what IAM is asked for by one request, and what in the request asks for it."""
    if record.operation in WITHOUT_PERMISSION:
        return {}
    action, name = ACTION_OF_OPERATION[record.operation], record.operation
    if action in ON_BUCKET:
        return {Need(action, record.bucket, prefix=record.prefix): name}
    needs = {Need(action, record.bucket, record.key): name}
    if action not in _READS:
        for mark in record.marks & {*_OF_MARK}:
            needs[Need(_OF_MARK[mark], record.bucket, record.key)] = f"{name} with {mark}"
    elif record.code == _NOT_THERE:
        needs[Need("s3:ListBucket", record.bucket)] = f"{name} of a missing key"
    return needs


def callers_by_need(records: Iterable[RequestRecord]) -> Mapping[Need, frozenset[str]]:
    """Return every distinct need, and what asks for it."""
    found: dict[Need, set[str]] = {}
    for record in records:
        for need, caller in needs_of(record).items():
            found.setdefault(need, set()).add(caller)
    return {need: frozenset(found[need]) for need in sorted(found, key=_order)}


def _order(need: Need) -> tuple[str, str, str, str]:
    return (need.action, need.bucket, need.key, need.prefix or "")
