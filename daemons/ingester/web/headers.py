"""Headers of an answer that something depends on; each is input from outside. Pure."""

import re
from dataclasses import dataclass

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,512}"')
_ANY_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,512}"')
_DATE = re.compile(r"[A-Za-z0-9 ,:+-]{1,64}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Validators:
    """What makes the next request for a document a conditional one."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for the document only if it has changed."""
        asked = {}
        if _ANY_ETAG.fullmatch(self.etag):
            asked["If-None-Match"] = self.etag
        if _DATE.fullmatch(self.last_modified):
            asked["If-Modified-Since"] = self.last_modified
        return asked


NO_VALIDATORS = Validators()
"""For a document that is not here yet, or any more."""


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which part of a whole an answer holds; `last` is included."""

    first: int
    last: int
    total: int | None


def strong_etag(text: str) -> str:
    """Return an ETag that stands for exact bytes, empty for a weak one or none."""
    return text if _STRONG_ETAG.fullmatch(text) else ""


def parse_content_range(text: str) -> ContentRange | None:
    """Read a Content-Range; None where it says nothing that can be used."""
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None:
        return None
    total = None if found[3] == "*" else int(found[3])
    span = ContentRange(int(found[1]), int(found[2]), total)
    return span if span.first <= span.last and (total is None or span.last < total) else None


def retry_after_seconds(text: str) -> float:
    """Read a Retry-After in seconds; 0 for the rare form, a date, and for anything else."""
    return float(text) if _SECONDS.fullmatch(text.strip()) else 0.0
