"""The tags of objects: what S3 takes as such, and the two operations on them."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from tests.support.strict_s3.replies import Refused
from tests.support.strict_s3.xml import document, element, parse_tagging

TAGS_MAX = 10
KEY_CHARACTERS_MAX = 128
VALUE_CHARACTERS_MAX = 256


def stated_tags(headers: Mapping[str, str]) -> dict[str, str]:
    """Read the tags that a write brings with it."""
    return _checked(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))


def tags_of_body(body: bytes) -> dict[str, str]:
    """Read the body of PutObjectTagging."""
    return _checked(parse_tagging(body))


def tagging_document(tags: Mapping[str, str]) -> bytes:
    """Write the answer of GetObjectTagging."""
    shown = "".join(
        f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in tags.items()
    )
    return document("Tagging", [f"<TagSet>{shown}</TagSet>"])


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise Refused("InvalidTag", "Cannot provide multiple Tags with the same key")
        if not 0 < len(key) <= KEY_CHARACTERS_MAX:
            raise Refused("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > VALUE_CHARACTERS_MAX:
            raise Refused("InvalidTag", "The TagValue you have provided is invalid")
        found[key] = value
    if len(found) > TAGS_MAX:
        raise Refused("BadRequest", "Object tags cannot be greater than 10")
    return found
