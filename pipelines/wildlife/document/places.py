"""Where pictures lie and results go: `s3://bucket/prefix/`, or `file:///folder/` locally. Pure.

A place ends with exactly one `/`, and what lies below is named by joining, never by writing a
slash in between.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote

Scheme: TypeAlias = Literal["s3", "file"]

_BUCKET = re.compile(r"[a-z0-9.-]{3,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HALF = re.compile(r"[\ud800-\udfff]")
_ODD = "surrogateescape"
"""A file's name is bytes; those that are no UTF-8 come back as they were."""
_LONGEST = 900
"""Bytes: a key has 1024, and names are put behind this."""


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix in a bucket, or a folder; `bucket` is empty for a folder."""

    scheme: Scheme
    bucket: str
    prefix: str
    """Ends with `/`; that of a folder begins with one as well."""

    def __str__(self) -> str:
        """Return it as it is written."""
        return self.join("")

    @property
    def last_segment(self) -> str:
        """The name behind the last but one slash."""
        return self.prefix.rstrip("/").rpartition("/")[2]

    def join(self, relative: str) -> str:
        """Return the URI of something below. Keys are taken as they are, paths are quoted."""
        if self.scheme == "file":
            return f"file://{quote(self.prefix + relative, errors=_ODD)}"
        return f"s3://{self.bucket}/{self.prefix}{relative}"

    def overlaps(self, other: "Place") -> bool:
        """Tell whether either contains the other, or they are the same."""
        if (self.scheme, self.bucket) != (other.scheme, other.bucket):
            return False
        return self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class Location:
    """One object or file: a bucket and its key, or a path; `bucket` is empty for a file."""

    scheme: Scheme
    bucket: str
    name: str


def locate(uri: str) -> Location:
    """Read a URI that `Place.join` has made; ValueError for anything else."""
    scheme, found, rest = uri.partition("://")
    if found and scheme == "s3":
        bucket, slash, key = rest.partition("/")
        if _BUCKET.fullmatch(bucket) and slash and key:
            return Location("s3", bucket, key)
    path = unquote(rest, errors=_ODD)
    if found and scheme == "file" and path.startswith("/") and "\0" not in path:
        return Location("file", "", path)
    raise ValueError(f"{uri[:200]!r} is neither s3://bucket/key nor file:///path")


def parse_place(text: str) -> Place:
    """Read a place; ValueError says what is allowed."""
    scheme, found, rest = text.partition("://")
    if not found or scheme not in {"s3", "file"}:
        raise ValueError("s3://bucket/prefix/, or file:///folder/ in local mode")
    # A path's octets may be quoted; JSON can hold halves of characters, which nothing can name.
    written = unquote(text) if scheme == "file" else text
    size = len(text.encode(errors="surrogatepass"))
    if _CONTROL.search(written) or _HALF.search(text) or size > _LONGEST:
        raise ValueError(f"up to {_LONGEST} bytes of UTF-8 without control characters")
    return _bucket_place(rest) if scheme == "s3" else _folder_place(rest)


def _bucket_place(rest: str) -> Place:
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError("s3://bucket/prefix/ with a bucket of 3 to 63 characters a-z 0-9 . -")
    prefix = prefix.strip("/")
    if not prefix:
        raise ValueError("s3://bucket/prefix/ with a prefix; a whole bucket is not taken")
    return Place("s3", bucket, f"{prefix}/")


def _folder_place(rest: str) -> Place:
    path = unquote(rest)
    parts = path.strip("/").split("/")
    if not path.startswith("/") or parts == [""]:
        raise ValueError("file:///folder/ with an absolute path")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError("file:///folder/ without '.', '..' or an empty part")
    return Place("file", "", f"/{'/'.join(parts)}/")
