"""Hold every request that a test's daemons make against the policy of their service.

The stories in `iam_stories` are chosen by hand; the acceptance tests kill, race and starve daemons
in ways that nobody thought of for a policy.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import pytest

from infra.permissions import Scope, Service, statements_for
from tests.support.iam_calls import needs_of
from tests.support.iam_policy import allowed_by
from tests.support.strict_s3.history import RequestRecord
from tests.support.strict_s3.server import StrictS3

_UNKNOWN = "Unknown"


def service_of(module: str) -> Service | None:
    """Return whose tests a module holds, by its name; None for tests of several, or of none."""
    name = module.rpartition(".")[2].removeprefix("test_").partition("_")[0]
    return next((service for service in get_args(Service) if service == name), None)


@contextmanager
def within_policy(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail if a strict S3 that stops meanwhile has seen what the service may not do."""
    seen: list[RequestRecord] = []
    stop = StrictS3.stop

    def stop_and_keep(server: StrictS3) -> None:
        seen.extend(server.requests())
        stop(server)

    with monkeypatch.context() as patch:
        patch.setattr(StrictS3, "stop", stop_and_keep)
        yield
    assert beyond(service, seen) == []


def beyond(service: Service, records: list[RequestRecord]) -> list[str]:
    """Return what of the requests the service may not do, in the bucket that each names."""
    found = set()
    for record in records:
        if not record.bucket or record.operation == _UNKNOWN:
            continue
        permissions = statements_for(service, Scope(record.bucket, acl=True, tag_collected=True))
        for need, caller in needs_of(record).items():
            if not allowed_by(permissions, need):
                found.add(f"{caller}: {need.action} on {need.resource} {need.prefix or ''}".strip())
    return sorted(found)
