"""Paging over sorted keys. Pure; keys are UTF-8 bytes, because that is the order of S3."""

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.strict_s3.replies import Refused


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing asks for."""

    prefix: bytes = b""
    delimiter: bytes = b""
    start_after: bytes = b""
    token: str | None = None
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys and common prefixes of one page; `next_token` is None on the last."""

    keys: Sequence[str]
    prefixes: Sequence[str]
    next_token: str | None


def page_of(order: Sequence[bytes], query: Query) -> KeyPage:
    """Cut one page out of the sorted keys.

    A common prefix counts as one entry, and the keys behind it are stepped over by bisection, so a
    page costs the same however many keys it stands for.
    """
    keys: list[str] = []
    prefixes: list[str] = []
    if query.limit == 0:
        return KeyPage(keys, prefixes, None)
    at = max(_start(order, query), bisect_left(order, query.prefix))
    last = b""
    while at < len(order) and order[at].startswith(query.prefix):
        if len(keys) + len(prefixes) == query.limit:
            return KeyPage(keys, prefixes, base64.b64encode(last).decode())
        group = _common_prefix(order[at], query)
        if group is None:
            keys.append(order[at].decode())
            last, at = b"k" + order[at], at + 1
        else:
            prefixes.append(group.decode())
            last, at = b"p" + group, bisect_left(order, _behind(group), lo=at)
    return KeyPage(keys, prefixes, None)


def _start(order: Sequence[bytes], query: Query) -> int:
    if query.token is None:
        return bisect_right(order, query.start_after) if query.start_after else 0
    try:
        last = base64.b64decode(query.token, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_token() from error
    kind, name = last[:1], last[1:]
    if kind == b"p" and name:
        return bisect_left(order, _behind(name))
    if kind == b"k":
        return bisect_right(order, name)
    raise _bad_token()


def _common_prefix(key: bytes, query: Query) -> bytes | None:
    if not query.delimiter:
        return None
    found = key.find(query.delimiter, len(query.prefix))
    return None if found < 0 else key[: found + len(query.delimiter)]


def _behind(prefix: bytes) -> bytes:
    # UTF-8 never holds the byte 0xFF, so the successor of the last byte always exists.
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _bad_token() -> Refused:
    return Refused("InvalidArgument", "The continuation token provided is incorrect")
