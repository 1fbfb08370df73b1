"""What IAM makes of a policy that only allows: a few lines of its evaluation. Pure.

moto decides about actions and resources; of the conditions of an identity's policy it knows
nothing and takes each for a refusal. So these lines decide about conditions, and `resolved` hands
moto what is left of a policy for requests of one kind. Rules: IAM User Guide, "Policy evaluation
logic" and "Condition operators".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.aws.permission import Condition, Permission

ON_BUCKET = frozenset({"s3:ListBucket", "s3:ListBucketMultipartUploads"})
"""Actions whose resource is the bucket itself."""


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One thing that a request asks IAM for."""

    action: str
    bucket: str
    key: str = ""
    """Empty for what is asked of a bucket."""
    prefix: str | None = None
    """Which a listing names; None: the request names none."""

    @property
    def resource(self) -> str:
        """The ARN that it is about."""
        arn = f"arn:aws:s3:::{self.bucket}"
        return arn if self.action in ON_BUCKET else f"{arn}/{self.key}"

    @property
    def context(self) -> Mapping[str, str]:
        """The condition keys of the request."""
        return {} if self.prefix is None else {"s3:prefix": self.prefix}


def allowed_by(permissions: Iterable[Permission], need: Need) -> Sequence[Permission]:
    """Return the statements that allow it; none: it is denied."""
    return [
        permission
        for permission in permissions
        if need.action in permission.actions
        and any(matches(pattern, need.resource) for pattern in permission.resources)
        and all(holds(condition, need.context) for condition in permission.conditions)
    ]


def resolved(
    permissions: Iterable[Permission], context: Mapping[str, str]
) -> tuple[Permission, ...]:
    """Return the statements whose conditions hold for such requests, without the conditions."""
    return tuple(
        replace(permission, conditions=())
        for permission in permissions
        if all(holds(condition, context) for condition in permission.conditions)
    )


def holds(condition: Condition, context: Mapping[str, str]) -> bool:
    """Tell whether a condition is met; a key that the request has not meets none but `Null`."""
    value = context.get(condition.key)
    match condition.operator:
        case "Null":
            return condition.values == (str(value is None).lower(),)
        case "StringEquals":
            return value in condition.values
        case "StringLike":
            return value is not None and any(matches(one, value) for one in condition.values)
        case operator:
            raise NotImplementedError(f"the operator {operator!r} is used by no policy of ours")


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text fits a pattern of IAM: `*` any text, `?` any one character."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None
