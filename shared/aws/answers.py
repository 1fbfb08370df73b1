"""Answers of AWS read at a fraction of what botocore takes for it, with the same result.

botocore gives every timestamp to dateutil, which tries what it might be, and reads each entry of a
listing by a description of all that S3 can say: together half a millisecond for an object that is
listed. Rule: what is not exactly as expected here is left to botocore.
"""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree.ElementTree import Element

from aiobotocore.parsers import AioResponseParserFactory, AioRestXMLParser
from botocore.utils import parse_timestamp

_ENTRY = "Object"
"""What the service's model calls one object of a listing."""
_TEXTS = frozenset({"Key", "ETag"})


def read_timestamp(value: object) -> datetime:
    """Return the moment that a field of an answer names; ValueError when it names none."""
    if isinstance(value, str):
        # Of a listing, and of a header.
        for parse in (datetime.fromisoformat, parsedate_to_datetime):
            try:
                found = parse(value)
            except ValueError:
                continue
            # Seconds since 1970 may look like a date; they never have a zone.
            if found.tzinfo is not None:
                return found
    guessed: datetime = parse_timestamp(value)
    return guessed


class AnswerParsers(AioResponseParserFactory):  # type: ignore[misc]  # aiobotocore ships no types
    """Makes the parsers of all answers; to be registered with a session."""

    def __init__(self) -> None:
        super().__init__()
        self.set_parser_defaults(timestamp_parser=read_timestamp)

    def create_parser(self, protocol_name: str) -> Any:  # noqa: ANN401 - an SDK object
        """Return a parser for a protocol; S3 speaks rest-xml."""
        if protocol_name == "rest-xml":
            return _S3Parser(**self._defaults)
        return super().create_parser(protocol_name)


class _S3Parser(AioRestXMLParser):  # type: ignore[misc]  # aiobotocore ships no types
    """Reads of an entry of a listing what `shared.s3.wire.read_listed` asks for."""

    def _handle_structure(self, shape: Any, node: Any) -> dict[str, Any]:  # noqa: ANN401 - SDK objects
        if shape.name == _ENTRY and isinstance(node, Element):
            return _read_entry(node)
        found: dict[str, Any] = super()._handle_structure(shape, node)
        return found


def _read_entry(node: Element) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for child in node:
        name, text = child.tag.rpartition("}")[2], child.text or ""
        if name in _TEXTS:
            entry[name] = text
        elif name == "Size":
            entry[name] = int(text)
        elif name == "LastModified":
            entry[name] = read_timestamp(text)
    return entry
