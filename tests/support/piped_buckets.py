"""The in-memory buckets behind a pipe, so that forked children share them and can be killed.

The parent holds the state and answers one request at a time; a child that dies in the middle of
anything leaves the state whole, as a client that dies leaves S3 whole. Fork before any event loop
or thread exists.
"""

from multiprocessing.connection import Connection
from typing import Any, cast

from shared.s3.errors import Answer, ObjectError
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri

_Failure = tuple[type[ObjectError], S3Uri, Answer, str]


class PipedBuckets:
    """The child's side: every verb of `MemoryBuckets`, carried out by the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def over(cls, connection: Connection) -> MemoryBuckets:
        """Return buckets for a `MemoryStore` that live at the other end of the pipe."""
        return cast("MemoryBuckets", cls(connection))

    def __getattr__(self, verb: str) -> Any:
        def request(*arguments: object, **named: object) -> object:
            self._connection.send((verb, arguments, named))
            result, failure = self._connection.recv()
            if failure is not None:
                raise _revive(failure)
            return result

        return request


def serve_one(buckets: MemoryBuckets, connection: Connection) -> bool:
    """Answer one request; False when the child is gone."""
    try:
        verb, arguments, named = connection.recv()
    except (EOFError, ConnectionResetError):
        return False
    try:
        reply: tuple[object, _Failure | None] = (getattr(buckets, verb)(*arguments, **named), None)
    except ObjectError as error:
        reply = (None, (type(error), error.uri, error.answer, str(error)))
    try:
        connection.send(reply)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def serve(buckets: MemoryBuckets, connection: Connection) -> None:
    """Answer requests until the child closes its end or dies."""
    while serve_one(buckets, connection):
        pass


def _revive(failure: _Failure) -> ObjectError:
    """Exceptions do not survive pickling with their fields, so they travel in parts."""
    kind, uri, answer, text = failure
    return kind(uri, answer, note=text.removeprefix(f"{uri}: "))
