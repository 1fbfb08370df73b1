"""Making the bucket of the results ready: any number of times, always to the same end.

A bucket that is ours is taken as it is and brought to the same state: no public access, encrypted,
versions kept. Nothing is ever taken away.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio

from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.submit.asking import POLICY
from pipelines.glacier.submit.sending import check_caller
from shared.aws.clients import ClientPool, ClientSettings, ServiceClient, open_clients
from shared.aws.errors import SDK_ERRORS, translate
from shared.errors import UsageError
from shared.retry import RetryBudget, retrying
from shared.s3.uri import S3Uri

_CALL_SECONDS = 60.0
_FIRST_REGION = "us-east-1"
"""The one region that a bucket is made in by naming none."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be made ready."""

    storage: Storage
    topic_arn: str = ""
    email: str = ""
    """Subscribed to the topic, if there are both."""

    def steps(self) -> list[str]:
        """Say what is done, in the order in which it is."""
        bucket = self.storage.s3_bucket
        steps = [
            f"bucket {bucket} is there, in {self.storage.aws_region}",
            f"bucket {bucket} has no public access",
            f"bucket {bucket} is encrypted",
            f"bucket {bucket} keeps versions",
        ]
        if self.topic_arn and self.email:
            steps.append(f"{self.email} is subscribed to {self.topic_arn}")
        return steps


async def set_up(wanted: Setup, settings: ClientSettings) -> None:
    """Make everything ready; raises `shared.s3.errors`, or UsageError for a bucket of others."""
    async with open_clients(settings) as clients:
        await check_caller(clients)
        await _Making(clients, wanted).run()


class _Making:
    def __init__(self, clients: ClientPool, wanted: Setup) -> None:
        self._clients = clients
        self._wanted = wanted
        self._budget = RetryBudget()

    async def run(self) -> None:
        bucket = self._wanted.storage.s3_bucket
        s3 = await self._clients.client("s3")
        await self._make_bucket(s3, bucket)
        closed = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"),
            True,
        )
        await self._call(
            lambda: s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=closed)
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        await self._call(
            lambda: s3.put_bucket_encryption(
                Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
            )
        )
        await self._call(
            lambda: s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            )
        )
        if self._wanted.topic_arn and self._wanted.email:
            await self._subscribe()

    async def _make_bucket(self, s3: ServiceClient, bucket: str) -> None:
        aws_region = self._wanted.storage.aws_region
        place = {"CreateBucketConfiguration": {"LocationConstraint": aws_region}}
        where = {} if aws_region == _FIRST_REGION else place
        try:
            await self._call(
                lambda: s3.create_bucket(Bucket=bucket, **where), mine="BucketAlreadyOwnedByYou"
            )
        except _Taken as error:
            raise UsageError(
                f"bucket {bucket!r} belongs to another account; give another --s3-bucket"
            ) from error

    async def _subscribe(self) -> None:
        sns = await self._clients.client("sns")
        # Asked for again it answers with the subscription that there is.
        await self._call(
            lambda: sns.subscribe(
                TopicArn=self._wanted.topic_arn,
                Protocol="email",
                Endpoint=self._wanted.email,
                ReturnSubscriptionArn=True,
            )
        )

    async def _call(self, send: Callable[[], Awaitable[dict[str, Any]]], mine: str = "") -> None:
        """Send until answered; every request here may be repeated. An error `mine` is success."""
        place = S3Uri(self._wanted.storage.s3_bucket)

        async def once(_attempt: int) -> None:
            try:
                with anyio.fail_after(_CALL_SECONDS):
                    await send()
            except SDK_ERRORS as error:
                found = translate(error, place, writing=False)
                if mine and found.code == mine:
                    return
                if found.code == "BucketAlreadyExists":
                    raise _Taken(str(found)) from error
                raise found from error

        await retrying(once, policy=POLICY, budget=self._budget)


class _Taken(UsageError):
    """The name is somebody else's."""
