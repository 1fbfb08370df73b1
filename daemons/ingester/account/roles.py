"""The role of a site's account: its name, the name of a session, and what the session may do. Pure.

A role is shared by all sites of an account, so a session is narrowed to one site: a mistake at one
of them cannot reach the others' buckets.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

ROLE_NAME = "browse-dot-show-automation-role"
INDEXING, SEARCHING = "srt-indexing", "search-api"
GRANTED_FUNCTIONS = (INDEXING, SEARCHING)
"""Of each site these functions may be invoked by the role; the site's name follows."""
SESSION_NAME_MAX = 64

_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject")
_INVALIDATION_ACTIONS = ("cloudfront:CreateInvalidation", "cloudfront:GetInvalidation")
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_=,.@-]")
_CUT = ".."


@dataclass(frozen=True, slots=True)
class SiteScope:
    """What belongs to one site."""

    site_id: str
    account_id: str
    bucket: str
    aws_region: str
    """Of its functions."""
    distribution: str | None = None
    functions: tuple[str, ...] = GRANTED_FUNCTIONS


def role_arn(account_id: str) -> str:
    """Return the role to assume in an account."""
    return f"arn:aws:iam::{account_id}:role/{ROLE_NAME}"


def function_name(function: str, site_id: str) -> str:
    """Return what a site's function is called."""
    return f"{function}-{site_id}"


def session_name(step: str, site_id: str, epoch_ms: int) -> str:
    """Name a session so that AWS takes it, whatever the site is called.

    AWS allows 64 characters. Both ends are kept: the moment, and what tells two long sites apart.
    """
    head = _NOT_ALLOWED.sub("-", f"auto-{step}-{site_id}")
    tail = f"-{epoch_ms}"
    room = SESSION_NAME_MAX - len(tail)
    if len(head) > room:
        front = (room - len(_CUT)) // 2
        back = room - len(_CUT) - front
        head = f"{head[:front]}{_CUT}{head[len(head) - back :]}"
    return head + tail


def session_policy(scope: SiteScope) -> str:
    """Return the policy of a session: what the role is granted, for this one site."""
    bucket = f"arn:aws:s3:::{scope.bucket}"
    lambdas = f"arn:aws:lambda:{scope.aws_region}:{scope.account_id}:function"
    statements = [
        _allow(_OBJECT_ACTIONS, [f"{bucket}/*"]),
        _allow(("s3:ListBucket",), [bucket]),
        _allow(
            ("lambda:InvokeFunction",),
            [f"{lambdas}:{function_name(each, scope.site_id)}" for each in scope.functions],
        ),
    ]
    if scope.distribution:
        served = f"arn:aws:cloudfront::{scope.account_id}:distribution/{scope.distribution}"
        statements.append(_allow(_INVALIDATION_ACTIONS, [served]))
    # AWS counts every blank of it.
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _allow(actions: Sequence[str], resources: Sequence[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
