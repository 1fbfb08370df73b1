"""The strict S3 as a test uses it: a server in its own thread, and a view of what it holds."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from aiohttp.web import BaseRequest, RequestHandler, Response

from tests.support.gate import LIMIT_SECONDS
from tests.support.serving import ServerThread
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY, Access
from tests.support.strict_s3.behaviour import AWS, Behaviour
from tests.support.strict_s3.exchange import Exchange
from tests.support.strict_s3.faults import Fault, FaultScript
from tests.support.strict_s3.ground import DEFAULT_REGION, Ground
from tests.support.strict_s3.history import Mutation, RequestRecord
from tests.support.strict_s3.uploads import Upload
from tests.support.strict_s3.wire import Line

BUCKET = "test-bucket"
"""The bucket of the `strict_s3` fixture."""


class StrictS3:
    """An S3 on loopback: `with StrictS3(buckets=["one"]) as s3: ... s3.url`."""

    def __init__(
        self,
        buckets: Iterable[str] = (),
        *,
        behaviour: Behaviour = AWS,
        access: Access | None = None,
        faults: Sequence[Fault] = (),
        aws_region: str = DEFAULT_REGION,
        port: int = 0,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._ground = Ground(
            access=access or Access(), behaviour=behaviour, aws_region=aws_region, now=now
        )
        self.faults = FaultScript(faults)
        self._lines: dict[object, Line] = {}
        self._under_way = 0
        self._quiet = threading.Condition()
        self._thread = ServerThread(
            self._answer, name="strict-s3", port=port, on_lost=self._connection_lost
        )
        for bucket in buckets:
            self.create_bucket(bucket)

    def start(self) -> Self:
        """Listen; returns once connections are taken."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection, whatever is still held, and stop listening."""
        self._thread.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The endpoint, for path-style addressing."""
        return self._thread.url

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._thread.port

    @property
    def access(self) -> Access:
        """Who may do what; change it at any time."""
        return self._ground.access

    @property
    def behaviour(self) -> Behaviour:
        """Switches and limits; assign another to change them."""
        return self._ground.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._ground.behaviour = behaviour

    def environment(self) -> dict[str, str]:
        """Return the variables with which any AWS client, in any process, talks to this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self._ground.aws_region,
            "AWS_DEFAULT_REGION": self._ground.aws_region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of botocore's `create_client` for this server."""
        return {
            "endpoint_url": self.url,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "region_name": self._ground.aws_region,
        }

    def create_bucket(self, bucket: str, aws_region: str = "") -> None:
        """Make a bucket, in the server's own region unless another is named."""
        self._ground.model.create_bucket(bucket, aws_region or self._ground.aws_region)

    def seed(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Lay objects down as if they had always been there."""
        self._ground.model.seed(bucket, objects.items())

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object as another client would."""
        self._ground.model.delete(bucket, key)

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return key and content of every object, in key order.

        Raises:
            LookupError: a body was not kept; compare `mutations` instead.
        """
        held = self._ground.model
        with held.lock:
            found = held.bucket(bucket)
            return {
                key: _kept(key, found.objects[key].content.data)
                for key in (name.decode() for name in found.order)
            }

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of a bucket in their order."""
        held = self._ground.model
        with held.lock:
            return [name.decode() for name in held.bucket(bucket).order]

    def open_uploads(self, bucket: str | None = None) -> list[Upload]:
        """Return the multipart uploads that were neither completed nor aborted."""
        return self._ground.uploads.all(bucket)

    def requests(self) -> list[RequestRecord]:
        """Return the requests that are over, in the order of their arrival."""
        return self._ground.history.requests()

    def mutations(self, bucket: str | None = None, key: str | None = None) -> list[Mutation]:
        """Return every change of an object, in order."""
        return self._ground.history.mutations(bucket, key)

    def count(
        self,
        operation: str | None = None,
        *,
        bucket: str | None = None,
        key: str | None = None,
        status: int | None = None,
    ) -> int:
        """Count finished requests; `operation` may be a glob."""
        return self._ground.history.count(operation, bucket=bucket, key=key, status=status)

    def forget(self) -> None:
        """Forget the history and keep the objects: what follows is counted from zero."""
        self._ground.history.clear()

    def wait_alone(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Block until every connection is closed and no request is under way.

        Of a client that was killed a request may still be on its way, and take effect later.

        Raises:
            TimeoutError: somebody is still connected.
        """
        with self._quiet:
            alone = self._quiet.wait_for(
                lambda: not self._lines and not self._under_way, limit_seconds
            )
        if not alone:
            raise TimeoutError(f"{len(self._lines)} connections, {self._under_way} requests")

    def reset(self) -> None:
        """Empty the buckets, the uploads, the history, the fault script and the denials."""
        self._ground.model.clear()
        self._ground.uploads.clear()
        self._ground.history.clear()
        self._ground.access.keys.clear()
        self._ground.access.denials.clear()
        self.faults.clear()

    async def _answer(self, request: BaseRequest) -> Response:
        with self._quiet:
            self._under_way += 1
        try:
            line = self._lines.get(request.protocol)
            if line is None:
                line = self._lines[request.protocol] = Line(request.transport)
            return await Exchange(self._ground, self.faults, line).run(request)
        finally:
            with self._quiet:
                self._under_way -= 1
                self._quiet.notify_all()

    def _connection_lost(self, handler: RequestHandler) -> None:
        with self._quiet:
            line = self._lines.pop(handler, None)
            self._quiet.notify_all()
        if line is not None:
            line.gone.set()


def _kept(key: str, data: bytes | None) -> bytes:
    if data is None:
        raise LookupError(f"the body of {key!r} was not kept; raise keep_bytes_max")
    return data
