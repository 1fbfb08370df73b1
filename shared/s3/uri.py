"""Names in S3: buckets, keys and the URI of both. Pure; a key is never treated as a path."""

import re
from dataclasses import dataclass

KEY_BYTES_MAX = 1024
"""Longest key in UTF-8 bytes (Amazon S3 User Guide, "Naming Amazon S3 objects")."""

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


@dataclass(frozen=True, slots=True, order=True)
class S3Uri:
    """An exact bucket and key (or key prefix); nothing in it is ever normalised."""

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        """Show it as `s3://bucket/key`, for people; control characters are escaped."""
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in self.key)
        return f"s3://{self.bucket}/{shown}"


def parse_uri(text: str) -> S3Uri:
    """Read `s3://bucket/key`; the key may be empty and is taken as it stands.

    Raises:
        ValueError: not an S3 URI, or the bucket name is illegal.
    """
    scheme, found, rest = text.partition("://")
    if scheme != "s3" or not found:
        raise ValueError(f"{text!r} is not an S3 URI; write s3://bucket/key")
    bucket, _, key = rest.partition("/")
    if reason := bucket_fault(bucket):
        raise ValueError(f"bucket {bucket!r} in {text!r} {reason}")
    return S3Uri(bucket, key)


def bucket_fault(name: str) -> str | None:
    """Say why `name` cannot be a general purpose bucket, or None when it can.

    The rules are those of the Amazon S3 User Guide, "General purpose bucket naming rules".
    """
    if not 3 <= len(name) <= 63:  # noqa: PLR2004 - the limits are the rule, named in the message
        return f"has {len(name)} characters; allowed are 3 to 63"
    if not _BUCKET.fullmatch(name):
        return "may hold only a-z 0-9 . - and must begin and end with a letter or digit"
    if ".." in name:
        return "may not hold two dots in a row"
    if _ADDRESS.fullmatch(name):
        return "looks like an IP address"
    if name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES):
        return "begins or ends with a part that AWS reserves"
    return None


def key_fault(key: str) -> str | None:
    """Say why `key` cannot be an object key, or None when it can."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if size == 0:
        return "is empty"
    if size > KEY_BYTES_MAX:
        return f"has {size} bytes in UTF-8; allowed are {KEY_BYTES_MAX}"
    if "\0" in key:
        return "holds a NUL character"
    return None
