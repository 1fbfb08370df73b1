"""What every handler works on, and the conditions they share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.strict_s3.access import Access
from tests.support.strict_s3.behaviour import AWS, Behaviour, Conditions
from tests.support.strict_s3.digests import Content
from tests.support.strict_s3.history import History
from tests.support.strict_s3.model import Model, Precondition
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.replies import Refused, Reply
from tests.support.strict_s3.uploads import Uploads

DEFAULT_REGION = "eu-west-1"


@dataclass(slots=True)
class Ground:
    """The state of one server; its handlers run one at a time, in the server's thread."""

    history: History = field(default_factory=History)
    access: Access = field(default_factory=Access)
    behaviour: Behaviour = AWS
    aws_region: str = DEFAULT_REGION
    """Where buckets are unless they are made elsewhere."""
    uploads: Uploads = field(default_factory=Uploads)
    now: Callable[[], datetime] | None = None
    """The server's clock; None: this machine's."""
    model: Model = field(init=False)

    def __post_init__(self) -> None:
        self.model = Model(self.history, self.now)


Handler = Callable[[Ground, Call, Content], Reply]


def precondition_of(
    ground: Ground, call: Call, policy: Conditions, *, since: int
) -> Precondition | None:
    """Read If-Match and If-None-Match of a write, as far as the store knows them.

    Raises:
        Refused: 501 for a store without conditions, and for an If-None-Match other than `*`.
    """
    if_match, if_none_match = call.headers.get("If-Match"), call.headers.get("If-None-Match")
    if (if_match is None and if_none_match is None) or policy is Conditions.IGNORED:
        return None
    if policy is Conditions.REFUSED or if_none_match not in (None, "*"):
        raise not_implemented()
    if if_match is not None and if_none_match is not None:
        raise Refused("InvalidRequest", "If-Match and If-None-Match exclude each other")
    return Precondition(if_match, since, ground.behaviour.conflict_on)


def not_implemented() -> Refused:
    """Refuse what the store cannot do."""
    return Refused(
        "NotImplemented",
        "A header or query you provided requested a function that is not implemented.",
    )


def number_of(call: Call, name: str, default: int) -> int:
    """Read a whole number, zero or more, out of the query."""
    text = call.query.get(name) or str(default)
    if not text.isdecimal():
        raise Refused("InvalidArgument", f"Provided {name} not an integer or within integer range")
    return int(text)
