"""Sends metrics to CloudWatch: one call, bounded, with what it said when it would not take them.

Rule: the endpoint of S3 is not looked at, for another service that speaks S3 has no CloudWatch; the
SDK's own variables (AWS_ENDPOINT_URL_CLOUDWATCH, AWS_ENDPOINT_URL) are.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import anyio

from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.aws.errors import SDK_ERRORS, translate
from shared.aws.identity import find_place, plan_credentials
from shared.aws.imds import open_imds
from shared.errors import TransientError
from shared.metrics import NAMESPACE, Datum
from shared.s3.errors import AccessDenied, CredentialsExpired, ObjectError
from shared.s3.uri import S3Uri

_SEND_SECONDS = 30.0
_CONNECTIONS = 2


class MetricsNotSent(TransientError):
    """CloudWatch has not taken them, or not said so; the next minute's may reach it."""


class CloudWatch:
    """Takes data for one region's CloudWatch. Made by `open_cloudwatch`."""

    def __init__(self, clients: ClientPool, aws_region: str) -> None:
        self._clients = clients
        self.aws_region = aws_region
        """Where they are sent."""

    async def put(self, data: Sequence[Datum], *, at: datetime) -> None:
        """Send data, of which one call takes `shared.metrics.MOST_DATA`; MetricsNotSent."""
        try:
            with anyio.fail_after(_SEND_SECONDS):
                client = await self._clients.client("cloudwatch", self.aws_region)
                await client.put_metric_data(
                    Namespace=NAMESPACE, MetricData=[_entry(datum, at) for datum in data]
                )
        except SDK_ERRORS as error:
            raise self._not_sent(translate(error, S3Uri("PutMetricData"), writing=False)) from error
        except TimeoutError as error:
            raise MetricsNotSent(
                f"CloudWatch in {self.aws_region!r} gave no answer within {_SEND_SECONDS:g} s"
            ) from error

    def _not_sent(self, error: ObjectError) -> MetricsNotSent:
        advice = ""
        if isinstance(error, CredentialsExpired):
            # Keys in a file may have been replaced; the SDK would not look again.
            self._clients.renew()
        if isinstance(error, AccessDenied):
            advice = f"; allow cloudwatch:PutMetricData in the namespace {NAMESPACE!r}"
        said = " ".join(part for part in (error.code, error.answer.message) if part)
        return MetricsNotSent(
            f"CloudWatch in {self.aws_region!r} did not take the metrics: {said}{advice}"
        )


@asynccontextmanager
async def open_cloudwatch(*, aws_region: str, profile: str | None) -> AsyncIterator[CloudWatch]:
    """Open CloudWatch for the length of a block; it needs no credentials before the first call.

    On EC2 the role acts, in the region of the instance: there its alarms are.
    """
    async with open_imds() as imds:
        place = await find_place(imds)
    plan = plan_credentials(place, profile)
    chosen = ClientSettings(
        aws_region=place.aws_region or aws_region,
        profile=plan.profile,
        instance_role=plan.instance_role,
        connections=_CONNECTIONS,
    )
    async with open_clients(chosen) as clients:
        yield CloudWatch(clients, chosen.aws_region)


def _entry(datum: Datum, at: datetime) -> dict[str, object]:
    return {
        "MetricName": datum.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.dimensions],
        "Timestamp": at,
        "Value": datum.value,
        "Unit": datum.unit,
    }
