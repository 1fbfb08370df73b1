"""The limit of a whole call: retries, waiting for a place and reading back included.

An engine's own limits only decide about one more attempt; this one cuts off the attempt under way.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from shared.s3.errors import Answer, OutcomeUnknown, Unreachable
from shared.s3.uri import S3Uri


@contextmanager
def within(deadline: float | None, uri: S3Uri, *, writing: bool) -> Iterator[None]:
    """Cut the block off after `deadline` seconds; None is no limit.

    Raises:
        OutcomeUnknown: it took longer and was `writing`: what was under way may be carried out.
        Unreachable: it took longer and was reading.
    """
    with anyio.move_on_after(deadline) as scope:
        yield
    if scope.cancelled_caught:
        kind = OutcomeUnknown if writing else Unreachable
        raise kind(uri, Answer(code="Timeout", message=f"no answer within {deadline:g} s"))
