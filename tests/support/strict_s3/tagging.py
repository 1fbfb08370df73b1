"""The operations on the tags of an object that is there."""

from tests.support.strict_s3.digests import Content
from tests.support.strict_s3.ground import Ground
from tests.support.strict_s3.objects import find
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.replies import Refused, Reply
from tests.support.strict_s3.tags import tagging_document, tags_of_body


def get_object_tagging(ground: Ground, call: Call, content: Content) -> Reply:
    """GetObjectTagging."""
    stored = find(ground, call)
    return Reply(200, {"Content-Type": "application/xml"}, tagging_document(stored.tags))


def put_object_tagging(ground: Ground, call: Call, content: Content) -> Reply:
    """PutObjectTagging: replaces all tags, and nothing else of the object."""
    if not any(
        name.lower() == "content-md5" or name.lower().startswith("x-amz-checksum-")
        for name in call.headers
    ):
        raise Refused("InvalidRequest", "Missing required header for this request: Content-MD5")
    tags = tags_of_body(content.data or b"")
    find(ground, call)
    ground.model.tag(call.bucket, call.key, tags)
    return Reply(200)
