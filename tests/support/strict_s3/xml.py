"""Reading and writing the XML of S3. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tests.support.strict_s3.replies import Refused

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'

_SPECIAL = re.compile(r'[&<>"\x00-\x1f\x7f]')
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escaped(text: str) -> str:
    """Escape text as S3 does: a control character becomes a reference, legal in XML 1.0 or not.

    So a listing without `encoding-type=url` breaks most parsers on such a key, as on AWS.
    """
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda found: _NAMED.get(found[0]) or f"&#x{ord(found[0]):x};", text)


def element(name: str, text: object) -> str:
    """Write one element with text in it; a truth value in S3's spelling."""
    shown = str(text).lower() if isinstance(text, bool) else escaped(str(text))
    return f"<{name}>{shown}</{name}>"


def elements(pairs: Mapping[str, object]) -> str:
    """Write one element after another, leaving out those whose value is None."""
    return "".join(element(name, value) for name, value in pairs.items() if value is not None)


def shown_key(text: str, *, coded: bool) -> str:
    """Write a key as a listing shows it, percent-encoded when the client asked for that."""
    return quote(text, safe="/-_.*") if coded else text


def document(root: str, parts: Iterable[str]) -> bytes:
    """Write a whole document in the namespace of S3."""
    return f'{HEADER}<{root} xmlns="{NAMESPACE}">{"".join(parts)}</{root}>'.encode()


def error_document(refused: Refused, *, resource: str, request_id: str) -> bytes:
    """Write the body of an error; it has no namespace."""
    inside = elements(
        {
            "Code": refused.code,
            "Message": refused.message,
            **refused.details,
            "Resource": resource,
            "RequestId": request_id,
        }
    )
    return f"{HEADER}<Error>{inside}</Error>".encode()


def timestamp(at: datetime) -> str:
    """Write a time as S3 does in XML."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A part as CompleteMultipartUpload names it."""

    number: int
    etag: str
    checksums: Mapping[str, str]
    """Element name to base64 value."""


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """An object as DeleteObjects names it."""

    key: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """The body of DeleteObjects."""

    entries: tuple[DeleteEntry, ...]
    quiet: bool


def parse_complete(body: bytes) -> list[PartEntry]:
    """Read the body of CompleteMultipartUpload."""
    entries = [_part_entry(node) for node in _root(body, "CompleteMultipartUpload")]
    if not entries:
        raise _malformed()
    return entries


def parse_delete(body: bytes) -> DeleteRequest:
    """Read the body of DeleteObjects, at most a thousand keys."""
    root = _root(body, "Delete")
    entries, quiet = [], False
    for node in root:
        if node.tag == "Quiet":
            quiet = (node.text or "").strip() == "true"
        elif node.tag == "Object":
            key = node.findtext("Key")
            if not key:
                raise _malformed()
            entries.append(DeleteEntry(key, node.findtext("ETag")))
    if not 1 <= len(entries) <= 1000:
        raise _malformed()
    return DeleteRequest(tuple(entries), quiet)


def parse_tagging(body: bytes) -> list[tuple[str, str]]:
    """Read the body of PutObjectTagging: keys and values in order."""
    found = []
    for node in _root(body, "Tagging").iter("Tag"):
        key, value = node.findtext("Key"), node.findtext("Value")
        if key is None or value is None:
            raise _malformed()
        found.append((key, value))
    return found


def parse_location(body: bytes) -> str | None:
    """Read the region out of the body of CreateBucket, which may be empty."""
    if not body:
        return None
    return _root(body, "CreateBucketConfiguration").findtext("LocationConstraint")


def _part_entry(node: ET.Element) -> PartEntry:
    number, etag = node.findtext("PartNumber"), node.findtext("ETag")
    if node.tag != "Part" or number is None or not number.isdecimal() or etag is None:
        raise _malformed()
    stated = {child.tag: child.text or "" for child in node if child.tag.startswith("Checksum")}
    return PartEntry(int(number), etag.strip('"'), stated)


def _root(body: bytes, name: str) -> ET.Element:
    try:
        # The only writers are clients under test, on loopback: no hostile entity comes this way.
        root = ET.fromstring(body)  # noqa: S314
    except ET.ParseError as error:
        raise _malformed() from error
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    if root.tag != name:
        raise _malformed()
    return root


def _malformed() -> Refused:
    return Refused(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
