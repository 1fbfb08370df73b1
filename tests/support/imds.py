"""The instance metadata service of EC2, version 2, on loopback: what makes a laptop look like EC2.

Version 1 is off as on a hardened instance: without a token every question is answered with 401.
"""

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from aiohttp.web import BaseRequest, Response

from tests.support.gate import Gate
from tests.support.serving import ServerThread, plain

TOKEN_PATH = "/latest/api/token"
_METADATA = "/latest/meta-data/"
_TOKEN_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"


@dataclass(slots=True)
class Instance:
    """The instance that the service describes; change it at any time."""

    instance_id: str = "i-0123456789abcdef0"
    aws_region: str = "eu-west-1"
    life_cycle: str = "spot"
    """`spot` or `on-demand`."""
    role: str | None = "towpath-test"
    """None: no instance profile is attached."""
    credentials_ttl: timedelta = timedelta(hours=6)
    access_key: str = "role-key"
    v1_enabled: bool = False
    failing: int | None = None
    """A status that everything is answered with, such as 503; None: the service is well."""
    held: Gate | None = None
    """Every answer waits for this gate."""
    spot_action: dict[str, str] | None = None
    rebalance_at: datetime | None = None


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Record:
    lock: threading.Lock = field(default_factory=threading.Lock)
    tokens: dict[str, datetime] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)


class Imds:
    """The service: `with Imds() as imds: ... imds.url`."""

    def __init__(
        self, instance: Instance | None = None, *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.instance = instance or Instance()
        self._now = now
        self._record = _Record()
        self._thread = ServerThread(self._answer, name="imds")

    def start(self) -> Self:
        """Listen; returns once connections are taken."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening."""
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
        """The endpoint."""
        return self._thread.url

    def environment(self) -> dict[str, str]:
        """Return the variables with which a process finds itself on this instance."""
        return {
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url,
            "AWS_EC2_METADATA_V1_DISABLED": "true",
        }

    def requests(self) -> list[tuple[str, str]]:
        """Return method and path of every request so far."""
        with self._record.lock:
            return list(self._record.requests)

    def interrupt(
        self, action: str = "terminate", notice: timedelta = timedelta(minutes=2)
    ) -> None:
        """Announce that the spot instance will be taken away."""
        self.instance.spot_action = {"action": action, "time": _written(self._now() + notice)}

    def recommend_rebalance(self) -> None:
        """Announce that the instance is at a higher risk from now on."""
        self.instance.rebalance_at = self._now()

    def calm(self) -> None:
        """Take every notice back."""
        self.instance.spot_action = None
        self.instance.rebalance_at = None

    def forget_tokens(self) -> None:
        """Make every token invalid, as a restart of the service does."""
        with self._record.lock:
            self._record.tokens.clear()

    async def _answer(self, request: BaseRequest) -> Response:
        with self._record.lock:
            self._record.requests.append((request.method, request.path))
        if self.instance.held is not None:
            await self.instance.held.enter()
        if self.instance.failing is not None:
            return plain(self.instance.failing)
        if request.method == "PUT":
            return self._token(request)
        if not self._authorised(request.headers.get(_TOKEN_HEADER)):
            return plain(401)
        text = self._described(request.path)
        if text is None:
            return plain(404)
        return plain(200, text, "application/json" if text.startswith("{") else "text/plain")

    def _token(self, request: BaseRequest) -> Response:
        ttl = request.headers.get(_TOKEN_TTL_HEADER, "")
        if request.path != TOKEN_PATH or not ttl.isdecimal() or not 1 <= int(ttl) <= 21600:
            return plain(400)
        if "X-Forwarded-For" in request.headers:
            # A forwarded request comes from an open proxy, not from the instance.
            return plain(403)
        token = secrets.token_urlsafe(32)
        with self._record.lock:
            self._record.tokens[token] = self._now() + timedelta(seconds=int(ttl))
        answer = plain(200, token)
        answer.headers[_TOKEN_TTL_HEADER] = ttl
        return answer

    def _authorised(self, token: str | None) -> bool:
        if token is None:
            return self.instance.v1_enabled
        with self._record.lock:
            expires_at = self._record.tokens.get(token)
        return expires_at is not None and self._now() < expires_at

    def _described(self, path: str) -> str | None:
        instance = self.instance
        zone = f"{instance.aws_region}a"
        if path == "/latest/dynamic/instance-identity/document":
            return json.dumps(
                {
                    "accountId": "123456789012",
                    "availabilityZone": zone,
                    "instanceId": instance.instance_id,
                    "region": instance.aws_region,
                }
            )
        facts = {
            "instance-id": instance.instance_id,
            "instance-life-cycle": instance.life_cycle,
            "instance-type": "t3.small",
            "placement/availability-zone": zone,
            "placement/region": instance.aws_region,
            **self._credentials(),
            **self._notices(),
        }
        return facts.get(path.removeprefix(_METADATA))

    def _credentials(self) -> dict[str, str]:
        role = self.instance.role
        if role is None:
            return {}
        now = self._now()
        document = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": _written(now),
            "AccessKeyId": self.instance.access_key,
            "SecretAccessKey": "role-secret",
            "Token": "role-token",
            "Expiration": _written(now + self.instance.credentials_ttl),
        }
        return {
            "iam/security-credentials/": role,
            f"iam/security-credentials/{role}": json.dumps(document),
        }

    def _notices(self) -> dict[str, str]:
        found = {}
        if self.instance.spot_action is not None:
            found["spot/instance-action"] = json.dumps(self.instance.spot_action)
            found["spot/termination-time"] = self.instance.spot_action["time"]
        if self.instance.rebalance_at is not None:
            notice = {"noticeTime": _written(self.instance.rebalance_at)}
            found["events/recommendations/rebalance"] = json.dumps(notice)
        return found


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
