"""Writes to stores that take less than AWS does: what is refused is left out, one thing at a time.

| the store answers 501 to               | then                                                   |
|----------------------------------------|--------------------------------------------------------|
| the checksum header                    | an MD5 takes its place                                 |
| the precondition, the caller emulates  | a HEAD takes its place, which another can slip past    |
| the precondition, the caller does not  | Unsupported is raised: there is no fence               |

Rule: a thing is remembered as refused once the same write has succeeded without it, so that a 501
about something else (a storage class, an ACL) teaches nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.s3.errors import Answer, NotFound, PreconditionFailed, Unsupported
from shared.s3.requests import Request, Requests
from shared.s3.store import ABSENT, ALWAYS, Capabilities, ObjectInfo, Stored, When
from shared.s3.uri import S3Uri
from shared.s3.wire import read_info

Write = Callable[[bool, When], Awaitable[Stored]]
"""Write, with a checksum header or an MD5, under this precondition."""

_PRECONDITION_FAILED = 412
_NOT_IMPLEMENTED = 501


class Adapter:
    """Carries out writes with all that a bucket is known to take."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def write(
        self, uri: S3Uri, when: When, write: Write, *, emulate: bool, in_parts: bool = False
    ) -> Stored:
        """Write under the precondition; without `emulate`, Unsupported if the store takes none."""
        if when is ALWAYS:
            return await self._checked(uri, when, write)
        known = await self._requests.capabilities(uri.bucket)
        if (known.conditional_complete if in_parts else known.conditional_put) is not False:
            try:
                return await self._checked(uri, when, write)
            except PreconditionFailed as error:
                if error.answer.status == _PRECONDITION_FAILED:
                    self._learn(uri.bucket, _conditions(in_parts=in_parts, honoured=True))
                raise
            except Unsupported as error:
                if error.answer.status != _NOT_IMPLEMENTED or not emulate:
                    raise
        elif not emulate:
            said = Answer(code="NotImplemented", status=_NOT_IMPLEMENTED)
            raise Unsupported(uri, said, "the store takes no conditional writes")
        await self._check(uri, when)
        stored = await self._checked(uri, ALWAYS, write)
        self._learn(uri.bucket, _conditions(in_parts=in_parts, honoured=False))
        return stored

    async def _checked(self, uri: S3Uri, when: When, write: Write) -> Stored:
        """Write with the checksum header, unless the store refuses it."""
        known = await self._requests.capabilities(uri.bucket)
        try:
            return await write(known.checksums is not False, when)
        except Unsupported as error:
            said = error.answer
            blamed = said.status == _NOT_IMPLEMENTED or "checksum" in said.message.lower()
            if known.checksums is False or not blamed:
                raise
        try:
            stored = await write(False, when)  # noqa: FBT003 - a callable type has no keywords
        except PreconditionFailed:
            self._learn(uri.bucket, _no_checksums)
            raise
        self._learn(uri.bucket, _no_checksums)
        return stored

    async def _check(self, uri: S3Uri, when: When) -> None:
        """Look whether the precondition holds now, and fail as the store would."""
        held = await self._look(uri)
        if when is ABSENT:
            if held is not None:
                raise PreconditionFailed(uri, Answer(code="PreconditionFailed"))
            return
        if held is None:
            raise NotFound(uri, Answer(code="NoSuchKey"))
        if when is not ALWAYS and held.etag != when.etag:
            raise PreconditionFailed(uri, Answer(code="PreconditionFailed"))

    async def _look(self, uri: S3Uri) -> ObjectInfo | None:
        try:
            return read_info(uri, await self._requests.send(Request("head_object", uri)))
        except NotFound:
            return None

    def _learn(self, bucket: str, change: Callable[[Capabilities], Capabilities]) -> None:
        self._requests.learn(bucket, change(self._requests.known(bucket)))


def _conditions(*, in_parts: bool, honoured: bool) -> Callable[[Capabilities], Capabilities]:
    if in_parts:
        return lambda known: replace(known, conditional_complete=honoured)
    return lambda known: replace(known, conditional_put=honoured)


def _no_checksums(known: Capabilities) -> Capabilities:
    return replace(known, checksums=False)
