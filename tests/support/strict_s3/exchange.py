"""One request from its head to its answer: access, body, faults, commit, answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from aiohttp import ClientPayloadError, hdrs
from aiohttp.web import BaseRequest, Response

from tests.support.gate import Gate
from tests.support.strict_s3 import buckets, multipart, objects, sts, tagging
from tests.support.strict_s3.bodies import receive
from tests.support.strict_s3.digests import Algorithm, decoded, encoded
from tests.support.strict_s3.faults import (
    NO_TROUBLE,
    Do,
    Fail,
    FaultScript,
    NoAnswer,
    Reset,
    Stage,
    Trouble,
    Wait,
)
from tests.support.strict_s3.ground import Ground, Handler, not_implemented
from tests.support.strict_s3.history import MARKS, RequestRecord
from tests.support.strict_s3.protocol import Call, Operation, parse_call
from tests.support.strict_s3.replies import STATUS_OF_CODE, Refused, Reply
from tests.support.strict_s3.wire import Line
from tests.support.strict_s3.xml import error_document

HANDLERS: Mapping[Operation, Handler] = {
    Operation.LIST_BUCKETS: buckets.list_buckets,
    Operation.GET_CALLER_IDENTITY: sts.get_caller_identity,
    Operation.CREATE_BUCKET: buckets.create_bucket,
    Operation.HEAD_BUCKET: buckets.head_bucket,
    Operation.DELETE_BUCKET: buckets.delete_bucket,
    Operation.GET_BUCKET_LOCATION: buckets.get_bucket_location,
    Operation.LIST_OBJECTS_V2: buckets.list_objects_v2,
    Operation.DELETE_OBJECTS: buckets.delete_objects,
    Operation.PUT_OBJECT: objects.put_object,
    Operation.GET_OBJECT: objects.get_object,
    Operation.HEAD_OBJECT: objects.head_object,
    Operation.DELETE_OBJECT: objects.delete_object,
    Operation.COPY_OBJECT: objects.copy_object,
    Operation.CREATE_MULTIPART_UPLOAD: multipart.create_multipart_upload,
    Operation.UPLOAD_PART: multipart.upload_part,
    Operation.COMPLETE_MULTIPART_UPLOAD: multipart.complete_multipart_upload,
    Operation.ABORT_MULTIPART_UPLOAD: multipart.abort_multipart_upload,
    Operation.LIST_PARTS: multipart.list_parts,
    Operation.LIST_MULTIPART_UPLOADS: multipart.list_multipart_uploads,
    Operation.GET_OBJECT_TAGGING: tagging.get_object_tagging,
    Operation.PUT_OBJECT_TAGGING: tagging.put_object_tagging,
}

_ANYWHERE = (Operation.CREATE_BUCKET, Operation.GET_BUCKET_LOCATION)
"""Operations that may be asked of any region."""

_REDIRECTS = {
    "permanent": ("PermanentRedirect", "The bucket must be addressed using its own endpoint."),
    "temporary": ("TemporaryRedirect", "Please re-send this request to the specified endpoint."),
    "malformed": ("AuthorizationHeaderMalformed", "The authorization header is malformed."),
}


class Broken(Exception):
    """The connection is gone, or is to go: no answer follows."""


class Exchange:
    """One request and what becomes of it."""

    def __init__(self, ground: Ground, script: FaultScript, line: Line) -> None:
        self._ground = ground
        self._script = script
        self._line = line
        self._trouble: Trouble = NO_TROUBLE
        self._call: Call | None = None
        self._sequence = 0
        self._method = ""

    async def run(self, request: BaseRequest) -> Response:
        """Answer, or break the connection off; either way it is in the history by then.

        Whoever has the answer, or the end of it, may look into the history at once.
        """
        sequence = self._sequence = self._ground.history.tick()
        self._method = request.method
        answered = False
        try:
            reply = self._dressed(await self._reply(sequence, request), sequence)
            if not self._trouble.halves:
                self._record(reply.status, reply.code)
            response = await self._send(request, reply)
            answered = True
        except (Broken, ConnectionError, ClientPayloadError):
            # aiohttp wants something to send; the connection is gone and nobody will see it.
            response = Response()
        finally:
            if not answered:
                self._record(0, "")
        return response

    async def _reply(self, sequence: int, request: BaseRequest) -> Reply:
        try:
            call = parse_call(sequence, request.method, request.raw_path, request.headers)
            self._call = call
            self._trouble = self._script.meet(call)
            await self._strike(Stage.ARRIVAL)
            self._admit(call)
            content = await receive(request, call, self._ground.behaviour)
            await self._strike(Stage.BEFORE_COMMIT)
            reply = HANDLERS[call.operation](self._ground, call, content)
            await self._strike(Stage.AFTER_COMMIT)
        except Refused as refused:
            return self._refusal(sequence, refused)
        return reply

    def _admit(self, call: Call) -> None:
        """Refuse before the body is read: access, operation, bucket, region."""
        self._ground.access.check(call.signer, call.operation.value, call.bucket, call.key)
        if call.operation not in HANDLERS:
            raise not_implemented()
        if not call.bucket or call.operation in _ANYWHERE:
            return
        region = self._ground.model.bucket(call.bucket).region
        if call.signer is not None and call.signer.aws_region != region:
            code, message = _REDIRECTS[self._ground.behaviour.wrong_region]
            details = {"Region": region, "Bucket": call.bucket}
            raise Refused(code, message, headers={"x-amz-bucket-region": region}, details=details)

    async def _strike(self, stage: Stage) -> None:
        """Let happen what the script says of this stage."""
        for effect in self._trouble.at(stage):
            match effect:
                case Fail():
                    raise _injected(effect)
                case Reset():
                    self._record(0, "")
                    self._line.reset()
                    raise Broken
                case NoAnswer():
                    await self._line.gone.wait()
                    raise Broken
                case Wait():
                    await _held(effect.until)
                case Do() if self._call is not None:
                    effect.action(self._call)

    def _refusal(self, sequence: int, refused: Refused) -> Reply:
        call = self._call
        if call is not None and call.operation is Operation.GET_CALLER_IDENTITY:
            return sts.sts_error(refused)
        body = b""
        if refused.status != HTTPStatus.NOT_MODIFIED:
            resource = call.resource if call else "/"
            body = error_document(refused, resource=resource, request_id=f"{sequence:016X}")
        headers = {"Content-Type": "application/xml", **refused.headers}
        if call is not None and call.method == hdrs.METH_HEAD:
            # HEAD has no body, and S3 then says no length either: the code is lost to the client.
            return Reply(refused.status, headers, length=0, code=refused.code)
        return Reply(refused.status, headers, body, code=refused.code)

    def _dressed(self, reply: Reply, sequence: int) -> Reply:
        """Add what every answer of S3 carries, and the lie that the script asks for."""
        headers = {
            "x-amz-request-id": f"{sequence:016X}",
            "x-amz-id-2": f"strict/{sequence}",
            "Server": "AmazonS3",
            **reply.headers,
        }
        wrong = self._trouble.wrong_checksum
        body = reply.body
        if wrong is not None:
            headers = {name: _falsified(name, value) for name, value in headers.items()}
            body = _falsified_body(bytes(body))
            if wrong.etag and "ETag" in headers:
                headers["ETag"] = f'"{"0" * 32}"'
        return replace(reply, headers=headers, body=body)

    async def _send(self, request: BaseRequest, reply: Reply) -> Response:
        if self._trouble.halves:
            self._record(0, "")
            self._line.send_half(reply)
            raise Broken
        headers = dict(reply.headers)
        if reply.length is not None:
            headers[hdrs.CONTENT_LENGTH] = str(reply.length)
        response = Response(status=reply.status, headers=headers, body=bytes(reply.body))
        await response.prepare(request)
        await response.write_eof()
        return response

    def _record(self, status: int, code: str) -> None:
        """Put it into the history, in the place of what was said of it before."""
        call = self._call
        self._ground.history.add_request(
            RequestRecord(
                sequence=self._sequence,
                method=self._method,
                operation=call.operation.value if call else Operation.UNKNOWN.value,
                bucket=call.bucket if call else "",
                key=call.key if call else "",
                status=status,
                code=code,
                access_key=call.signer.access_key if call and call.signer else "",
                prefix=call.query.get("prefix") if call else None,
                marks=frozenset(name for name in MARKS if call and name in call.headers),
            )
        )


async def _held(until: Gate | float) -> None:
    if not isinstance(until, Gate):
        await asyncio.sleep(until)
        return
    try:
        await until.enter()
    except TimeoutError as error:
        # Left as it is, aiohttp would turn it into a silent 504.
        raise RuntimeError("the test never opened a gate that holds a request") from error


def _injected(effect: Fail) -> Refused:
    headers = {} if effect.retry_after is None else {"Retry-After": str(effect.retry_after)}
    status = effect.status or STATUS_OF_CODE.get(effect.code, 500)
    return Refused(effect.code, effect.message, status=status, headers=headers)


def _falsified(name: str, value: str) -> str:
    for algorithm in Algorithm:
        if name == algorithm.header:
            return _inverted(value, algorithm)
    return value


def _falsified_body(body: bytes) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    for algorithm in Algorithm:
        before, found, rest = text.partition(f"<{algorithm.element}>")
        if found:
            value, _, after = rest.partition("<")
            text = f"{before}{found}{_inverted(value, algorithm)}<{after}"
    return text.encode("utf-8", "surrogateescape")


def _inverted(value: str, algorithm: Algorithm) -> str:
    stated, dash, parts = value.partition("-")
    right = decoded(stated, algorithm.size_bytes) or bytes(algorithm.size_bytes)
    return encoded(bytes(byte ^ 0xFF for byte in right)) + dash + parts
