"""STS, Lambda and CloudFront on loopback, beside the strict S3: what a site's account answers.

    with StrictS3([bucket]) as s3, AwsControl({"111111111111"}) as aws:
        aws.functions |= {"srt-indexing-hardfork", "search-api-hardfork"}
        aws.distributions |= {"E2EXAMPLE"}
        environ = {**aws.environment(s3.url), ...}     # of a daemon as a process
        (root / ".env.automation").write_text(CENTRAL_KEYS)

Without an environment of its own, as in a test of a module, set the same variables with
`monkeypatch.setenv`. What came is in `assumed`, `invoked` and `invalidated`. What is answered
instead of success (see `tests.support.aws_answers`) is in `answers`, by operation ("AssumeRole",
"AssumeRole 111111111111", "GetCallerIdentity", "CreateInvalidation") or by a function's name:

    aws.answers["srt-indexing-hardfork"] = [throttled(), throttled(), WORKS]

Of several answers each is given once and the last for ever. `aws.life` is how long the keys of a
role live from now on, `aws.expire()` ends those that are out; for S3 a test says it to the strict
S3 as well: `s3.access.keys[key] = KeyState.EXPIRED`. `aws.on_invoke` is called, in the server's
thread, for every invocation that is accepted: it is where an index appears.

Signatures are not computed. Who signs, and whether the session's policy allows it, is looked at.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

from aiohttp.web import BaseRequest, Response, StreamResponse

from tests.support.aws_answers import WORKS, Answer, Assumed, Invalidated, Invoked
from tests.support.serving import Served, ServerThread
from tests.support.strict_s3.access import Signer, signer_of
from tests.support.strict_s3.xml import element, elements

CENTRAL_KEY = "automation-user"
CENTRAL_SECRET = "central-secret-nobody-may-see"
AWS_REGION = "us-east-1"
CENTRAL_KEYS = (
    f"AWS_ACCESS_KEY_ID={CENTRAL_KEY}\nAWS_SECRET_ACCESS_KEY={CENTRAL_SECRET}\n"
    f"AWS_REGION={AWS_REGION}\n"
)
"""The content of a project's `.env.automation`."""
ROLE_NAME = "browse-dot-show-automation-role"

_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/([\w+=,.@-]{1,64})", re.ASCII)
_POLICY_MAX = 2048
_LEAST_SECONDS, _MOST_SECONDS = 900, 43200
_CLOUDFRONT = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_FUNCTION_PATH = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_INVALIDATION_PATH = re.compile(r"/2020-05-31/distribution/([^/]+)/invalidation")
_STATUS_OF_KIND = {"Event": 202, "DryRun": 204, "RequestResponse": 200}


class _Refused(Exception):
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.code)


class _HungUp(Exception):
    """No answer follows."""


@dataclass(slots=True)
class AwsControl(Served):
    """The control planes of any number of accounts: `with AwsControl({"111111111111"}) as aws:`."""

    accounts: set[str] = field(default_factory=set)
    """Those whose automation role trusts the central user."""
    functions: set[str] = field(default_factory=set)
    """Names of the functions that there are, in every account."""
    distributions: set[str] = field(default_factory=set)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    life: timedelta = timedelta(hours=1)
    on_invoke: Callable[[Invoked], None] = lambda _invoked: None
    assumed: list[Assumed] = field(default_factory=list)
    invoked: list[Invoked] = field(default_factory=list)
    invalidated: list[Invalidated] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Every request that came, answered or not, under its key in `answers`."""
    _ended: set[str] = field(default_factory=set)
    _thread: ServerThread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = ServerThread(self._answer, name="aws-control")

    @property
    def url(self) -> str:
        """Where all three services are."""
        return self._thread.url

    def environment(self, s3_url: str = "") -> dict[str, str]:
        """Return the variables with which an AWS client talks to this server, and to that S3."""
        return {
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ENDPOINT_URL_LAMBDA": self.url,
            "AWS_ENDPOINT_URL_CLOUDFRONT": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            **({"AWS_ENDPOINT_URL_S3": s3_url} if s3_url else {}),
        }

    def expire(self) -> None:
        """Let all keys that roles have been given so far be refused as expired."""
        self._ended.update(each.access_key for each in self.assumed)

    def forget(self) -> None:
        """Count what follows from zero; keys that are out stay good, answers stay as they are."""
        for seen in (self.invoked, self.invalidated, self.asked):
            seen.clear()

    def count(self, key: str) -> int:
        """Count the requests of a kind; the key is one of `answers`."""
        return sum(key in (each, each.partition(" ")[0]) for each in self.asked)

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        body = await request.read()
        try:
            if found := _FUNCTION_PATH.fullmatch(request.path):
                return await self._invoke(request, found[1], body)
            if found := _INVALIDATION_PATH.fullmatch(request.path):
                return await self._invalidate(request, found[1], body)
            return await self._security_token(request, parse_qs(body.decode()))
        except _Refused as refused:
            return _shown(request, refused.answer)
        except _HungUp:
            assert request.transport is not None
            request.transport.close()
            return Response()

    async def _security_token(
        self, request: BaseRequest, form: Mapping[str, list[str]]
    ) -> StreamResponse:
        asked = {name: values[0] for name, values in form.items()}
        action = asked.get("Action", "")
        if action == "GetCallerIdentity":
            await self._meet(action)
            return self._who(self._session(request, "InvalidClientTokenId"))
        if action != "AssumeRole":
            raise _refused(400, "InvalidAction", f"Could not find operation {action}")
        arn = _ROLE_ARN.fullmatch(asked.get("RoleArn", ""))
        account = arn[1] if arn else ""
        await self._meet(f"AssumeRole {account}", "AssumeRole")
        if self._session(request, "InvalidClientTokenId") is not None or arn is None:
            raise _not_authorised("sts:AssumeRole", asked.get("RoleArn", ""))
        if account not in self.accounts or arn[2] != ROLE_NAME:
            raise _not_authorised("sts:AssumeRole", arn[0])
        return self._assume(account, asked)

    def _assume(self, account: str, asked: Mapping[str, str]) -> Response:
        name, policy = asked.get("RoleSessionName", ""), asked.get("Policy", "")
        seconds = int(asked.get("DurationSeconds", "3600"))
        if not _SESSION_NAME.fullmatch(name) or len(policy) > _POLICY_MAX:
            raise _refused(400, "ValidationError", "1 validation error detected")
        if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
            raise _refused(400, "ValidationError", "DurationSeconds exceeds the MaxSessionDuration")
        assumed = Assumed(
            account_id=account,
            role_arn=asked["RoleArn"],
            session_name=name,
            duration_seconds=seconds,
            policy=json.loads(policy) if policy else None,
            access_key="ASIA" + secrets.token_hex(8).upper(),
            token=secrets.token_urlsafe(96),
            expires_at=datetime.now(UTC) + self.life,
        )
        self.assumed.append(assumed)
        keys = elements(
            {
                "AccessKeyId": assumed.access_key,
                "SecretAccessKey": secrets.token_urlsafe(30),
                "SessionToken": assumed.token,
                "Expiration": f"{assumed.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            }
        )
        user = elements({"AssumedRoleId": f"AROA:{name}", "Arn": assumed.arn})
        return _sts(
            "AssumeRole",
            f"<Credentials>{keys}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>",
        )

    def _who(self, session: Assumed | None) -> Response:
        user = "arn:aws:iam::999999999999:user/automation/browse-dot-show-automation"
        arn = session.arn if session else user
        account = session.account_id if session else "999999999999"
        facts = {"Arn": arn, "UserId": "AIDATOWPATH", "Account": account}
        return _sts("GetCallerIdentity", elements(facts))

    async def _invoke(self, request: BaseRequest, function: str, body: bytes) -> StreamResponse:
        answer = await self._meet(function)
        session = self._of_role(request)
        arn = f"arn:aws:lambda:{_signer(request).aws_region}:{session.account_id}"
        if not session.allows("lambda:InvokeFunction", f"{arn}:function:{function}"):
            raise _refused(403, "AccessDeniedException", f"not authorized to invoke {function}")
        if function not in self.functions:
            raise _refused(404, "ResourceNotFoundException", f"Function not found: {function}")
        if body:
            json.loads(body)
        kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        invoked = Invoked(function, kind, body, session)
        self.invoked.append(invoked)
        self.on_invoke(invoked)
        failed = {"X-Amz-Function-Error": answer.function_error} if answer.function_error else {}
        shown = answer.body if kind == "RequestResponse" else b""
        return Response(status=_STATUS_OF_KIND[kind], body=shown, headers=failed)

    async def _invalidate(self, request: BaseRequest, name: str, body: bytes) -> StreamResponse:
        await self._meet("CreateInvalidation")
        session = self._of_role(request)
        arn = f"arn:aws:cloudfront::{session.account_id}:distribution/{name}"
        if not session.allows("cloudfront:CreateInvalidation", arn):
            raise _not_authorised("cloudfront:CreateInvalidation", arn)
        if name not in self.distributions:
            raise _refused(404, "NoSuchDistribution", "The specified distribution does not exist.")
        batch = ET.fromstring(body)  # noqa: S314 - of the code under test
        paths = tuple(str(each.text) for each in batch.iter(f"{{{_CLOUDFRONT}}}Path"))
        reference = str(batch.findtext(f"{{{_CLOUDFRONT}}}CallerReference"))
        known = [
            each
            for each in self.invalidated
            if (each.distribution, each.reference) == (name, reference)
        ]
        if any(each.paths != paths for each in known):
            raise _refused(400, "InvalidArgument", "Your caller reference is associated already.")
        if not known:
            self.invalidated.append(Invalidated(name, paths, reference, session))
        inside = elements({"Id": f"I{len(self.invalidated)}", "Status": "InProgress"})
        text = f'<Invalidation xmlns="{_CLOUDFRONT}">{inside}</Invalidation>'
        return Response(status=201, text=text, content_type="text/xml")

    async def _meet(self, *keys: str) -> Answer:
        """Note a request, and let happen what a test has laid down for it."""
        self.asked.append(keys[0])
        laid = next((self.answers[key] for key in keys if self.answers.get(key)), [WORKS])
        answer = laid.pop(0) if len(laid) > 1 else laid[0]
        if answer.held is not None:
            await answer.held.enter()
        if answer.hangs_up:
            raise _HungUp
        if answer.status:
            raise _Refused(answer)
        return answer

    def _of_role(self, request: BaseRequest) -> Assumed:
        session = self._session(request, "UnrecognizedClientException")
        if session is None:
            raise _refused(
                403, "AccessDeniedException", "the automation user may assume roles only"
            )
        return session

    def _session(self, request: BaseRequest, unknown: str) -> Assumed | None:
        """Find whose keys have signed; None for those of the central user."""
        key = _signer(request).access_key
        if key == CENTRAL_KEY:
            return None
        found = next((each for each in self.assumed if each.access_key == key), None)
        if found is None or request.headers.get("X-Amz-Security-Token") != found.token:
            raise _refused(403, unknown, "The security token included in the request is invalid.")
        if key in self._ended or datetime.now(UTC) >= found.expires_at:
            raise _refused(403, "ExpiredTokenException", "The security token has expired")
        return found


def _signer(request: BaseRequest) -> Signer:
    signer = signer_of(request.headers, {})
    if signer is None:
        raise _refused(403, "MissingAuthenticationToken", "Request is missing a token")
    return signer


def _refused(status: int, code: str, message: str) -> _Refused:
    return _Refused(Answer(status, code, message))


def _not_authorised(action: str, resource: str) -> _Refused:
    message = f"User is not authorized to perform: {action} on resource: {resource}"
    return _refused(403, "AccessDenied", message)


def _sts(action: str, inside: str) -> Response:
    text = (
        f'<{action}Response xmlns="{_STS}"><{action}Result>{inside}</{action}Result>'
        f"<ResponseMetadata>{element('RequestId', '0')}</ResponseMetadata></{action}Response>"
    )
    return Response(text=text, content_type="text/xml")


def _shown(request: BaseRequest, answer: Answer) -> Response:
    """Put a refusal in the words of the service that was asked."""
    headers = {"Retry-After": answer.retry_after} if answer.retry_after else {}
    if request.path.startswith("/2015-03-31/"):
        text = json.dumps({"Type": "User", "message": answer.message})
        headers["x-amzn-ErrorType"] = answer.code
        return Response(
            status=answer.status, text=text, headers=headers, content_type="application/json"
        )
    space = _CLOUDFRONT if request.path.startswith("/2020-05-31/") else _STS
    facts = elements({"Type": "Sender", "Code": answer.code, "Message": answer.message})
    inside = f"<Error>{facts}</Error>{element('RequestId', '0')}"
    text = f'<ErrorResponse xmlns="{space}">{inside}</ErrorResponse>'
    return Response(status=answer.status, text=text, headers=headers, content_type="text/xml")
