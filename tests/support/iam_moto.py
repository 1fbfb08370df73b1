"""A second opinion on policies: moto, with IAM enforced, is sent the requests as one of its users.

What moto's S3 is asked to do need not succeed: an upload that is not there is 404 to who may, and
403 to who may not. One thing it names as AWS does not: HeadBucket wants an action of that name,
which IAM does not have; so a listing without a prefix, which needs the same on AWS, stands for it.
"""

import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.policies import policy_document
from shared.aws.permission import Permission
from tests.support.iam_policy import Need, resolved
from tests.support.moto_server import MotoServer

_USER, _POLICY = "service", "what-it-may"
_REGION = "us-east-1"
_FORBIDDEN = 403
_LIMIT_SECONDS = 10.0

Send = Callable[[Any, Need], object]
"""Sends a request that asks IAM for this."""

REQUESTS: Mapping[str, Send] = {
    "s3:AbortMultipartUpload": lambda s3, need: s3.abort_multipart_upload(
        Bucket=need.bucket, Key=need.key, UploadId="none"
    ),
    "s3:DeleteObject": lambda s3, need: s3.delete_object(Bucket=need.bucket, Key=need.key),
    "s3:GetObject": lambda s3, need: s3.head_object(Bucket=need.bucket, Key=need.key),
    "s3:GetObjectTagging": lambda s3, need: s3.get_object_tagging(Bucket=need.bucket, Key=need.key),
    "s3:ListBucket": lambda s3, need: s3.list_objects_v2(
        Bucket=need.bucket, **({} if need.prefix is None else {"Prefix": need.prefix})
    ),
    "s3:ListBucketMultipartUploads": lambda s3, need: s3.list_multipart_uploads(Bucket=need.bucket),
    "s3:ListMultipartUploadParts": lambda s3, need: s3.list_parts(
        Bucket=need.bucket, Key=need.key, UploadId="none"
    ),
    "s3:PutObject": lambda s3, need: s3.put_object(Bucket=need.bucket, Key=need.key, Body=b"x"),
    "s3:PutObjectAcl": lambda s3, need: s3.put_object_acl(
        Bucket=need.bucket, Key=need.key, ACL="private"
    ),
    "s3:PutObjectTagging": lambda s3, need: s3.put_object_tagging(
        Bucket=need.bucket, Key=need.key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    ),
}
"""The action to a request that needs it and no other."""


@dataclass(frozen=True, slots=True)
class EnforcingMoto:
    """A moto with one user, whose policy is in force whenever `denied` asks."""

    server: MotoServer
    iam: Any
    user: Any
    """An S3 client of the user."""

    def denied(self, permissions: Iterable[Permission], needs: Iterable[Need]) -> set[Need]:
        """Return those of the needs that the user is denied with these permissions."""
        chosen, refused = tuple(permissions), set()
        for group in _by_prefix(needs):
            document = policy_document(resolved(chosen, group[0].context))
            self.iam.put_user_policy(
                UserName=_USER, PolicyName=_POLICY, PolicyDocument=json.dumps(document)
            )
            with self._enforced():
                refused |= {need for need in group if _is_denied(self.user, need)}
            self.iam.delete_user_policy(UserName=_USER, PolicyName=_POLICY)
        return refused

    @contextmanager
    def _enforced(self) -> Iterator[None]:
        self._let_through("0")
        try:
            yield
        finally:
            # The switch is one for all of this process.
            self._let_through("inf")

    def _let_through(self, requests: str) -> None:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.server.url}/moto-api/reset-auth",
            data=requests.encode(),
            headers={"Content-Type": "text/plain"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=_LIMIT_SECONDS):  # noqa: S310 - the same
            pass


def enforcing(server: MotoServer, buckets: Iterable[str]) -> EnforcingMoto:
    """Make the buckets, and the user that is given one policy after another."""
    s3, iam = (_client(server, name, "testing", "testing") for name in ("s3", "iam"))
    for bucket in buckets:
        s3.create_bucket(Bucket=bucket)
    iam.create_user(UserName=_USER)
    key = iam.create_access_key(UserName=_USER)["AccessKey"]
    user = _client(server, "s3", key["AccessKeyId"], key["SecretAccessKey"])
    return EnforcingMoto(server, iam, user)


def _client(server: MotoServer, service: str, access_key: str, secret_key: str) -> Any:
    config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return botocore.session.get_session().create_client(
        service,
        endpoint_url=server.url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=_REGION,
        config=config,
    )


def _is_denied(user: Any, need: Need) -> bool:
    try:
        REQUESTS[need.action](user, need)
    except ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == _FORBIDDEN)
    return False


def _by_prefix(needs: Iterable[Need]) -> Iterable[list[Need]]:
    """Gather those whose condition keys are the same."""
    found: dict[str | None, list[Need]] = {}
    for need in needs:
        found.setdefault(need.prefix, []).append(need)
    return found.values()
