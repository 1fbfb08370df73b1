"""From a raw request line and headers to the operation that is meant. Pure.

The key is what stands in the request target, percent-decoded once and otherwise untouched: no
segment is dropped, no slash merged, and `+` is a plus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from tests.support.strict_s3.access import Signer, signer_of
from tests.support.strict_s3.replies import Refused


class Operation(Enum):
    """The operations that the server knows; the values are AWS's own names."""

    LIST_BUCKETS = "ListBuckets"
    GET_CALLER_IDENTITY = "GetCallerIdentity"
    CREATE_BUCKET = "CreateBucket"
    HEAD_BUCKET = "HeadBucket"
    DELETE_BUCKET = "DeleteBucket"
    GET_BUCKET_LOCATION = "GetBucketLocation"
    LIST_OBJECTS_V2 = "ListObjectsV2"
    LIST_MULTIPART_UPLOADS = "ListMultipartUploads"
    DELETE_OBJECTS = "DeleteObjects"
    PUT_OBJECT = "PutObject"
    GET_OBJECT = "GetObject"
    HEAD_OBJECT = "HeadObject"
    DELETE_OBJECT = "DeleteObject"
    COPY_OBJECT = "CopyObject"
    CREATE_MULTIPART_UPLOAD = "CreateMultipartUpload"
    UPLOAD_PART = "UploadPart"
    COMPLETE_MULTIPART_UPLOAD = "CompleteMultipartUpload"
    ABORT_MULTIPART_UPLOAD = "AbortMultipartUpload"
    LIST_PARTS = "ListParts"
    GET_OBJECT_TAGGING = "GetObjectTagging"
    PUT_OBJECT_TAGGING = "PutObjectTagging"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, understood."""

    sequence: int
    method: str
    operation: Operation
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    signer: Signer | None = None

    @property
    def resource(self) -> str:
        """The path as an error names it."""
        return "/" + "/".join(part for part in (self.bucket, self.key) if part)


SUBRESOURCES = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "session",
        "tagging",
        "torrent",
        "versioning",
        "versions",
        "website",
    }
)
"""Sub-resources of AWS that the server does not have: 501 rather than a wrong answer."""

_SERVICE = {"GET": Operation.LIST_BUCKETS, "POST": Operation.GET_CALLER_IDENTITY}

# The first row whose method fits and whose query parameters are all there is the operation.
_BUCKET_TABLE = (
    ("GET", ("location",), Operation.GET_BUCKET_LOCATION),
    ("GET", ("uploads",), Operation.LIST_MULTIPART_UPLOADS),
    ("GET", ("list-type",), Operation.LIST_OBJECTS_V2),
    ("POST", ("delete",), Operation.DELETE_OBJECTS),
    ("PUT", (), Operation.CREATE_BUCKET),
    ("HEAD", (), Operation.HEAD_BUCKET),
    ("DELETE", (), Operation.DELETE_BUCKET),
)
_OBJECT_TABLE = (
    ("PUT", ("tagging",), Operation.PUT_OBJECT_TAGGING),
    ("GET", ("tagging",), Operation.GET_OBJECT_TAGGING),
    ("POST", ("uploads",), Operation.CREATE_MULTIPART_UPLOAD),
    ("POST", ("uploadId",), Operation.COMPLETE_MULTIPART_UPLOAD),
    ("PUT", ("partNumber", "uploadId"), Operation.UPLOAD_PART),
    ("DELETE", ("uploadId",), Operation.ABORT_MULTIPART_UPLOAD),
    ("GET", ("uploadId",), Operation.LIST_PARTS),
    ("PUT", (), Operation.PUT_OBJECT),
    ("GET", (), Operation.GET_OBJECT),
    ("HEAD", (), Operation.HEAD_OBJECT),
    ("DELETE", (), Operation.DELETE_OBJECT),
)


def parse_call(sequence: int, method: str, target: str, headers: Mapping[str, str]) -> Call:
    """Understand a request.

    Raises:
        Refused: the target is not valid UTF-8.
    """
    path, _, query_text = target.partition("?")
    query = _query(query_text)
    bucket, key = _address(path, headers.get("Host", ""))
    operation = _operation(method, bucket, key, query)
    if operation is Operation.PUT_OBJECT and "x-amz-copy-source" in headers:
        operation = Operation.COPY_OBJECT
    elif operation is Operation.UPLOAD_PART and "x-amz-copy-source" in headers:
        operation = Operation.UNKNOWN
    return Call(sequence, method, operation, bucket, key, query, headers, signer_of(headers, query))


def decoded(text: str) -> str:
    """Percent-decode once; what is not UTF-8 is refused."""
    if "%" not in text and text.isascii():
        return text
    try:
        # aiohttp hands raw bytes above 127 over as surrogates.
        return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode()
    except UnicodeDecodeError as error:
        raise Refused("InvalidURI", "Couldn't parse the specified URI.") from error


def _query(text: str) -> dict[str, str]:
    if not text:
        return {}
    pairs = (part.partition("=") for part in text.split("&") if part)
    return {decoded(name): decoded(value.replace("+", " ")) for name, _, value in pairs}


def _address(path: str, host: str) -> tuple[str, str]:
    name = host.partition(":")[0]
    if name.endswith(".localhost"):
        return name.removesuffix(".localhost"), decoded(path[1:])
    bucket, _, key = path[1:].partition("/")
    return decoded(bucket), decoded(key)


def _operation(method: str, bucket: str, key: str, query: Mapping[str, str]) -> Operation:
    if not bucket:
        return Operation.UNKNOWN if key else _SERVICE.get(method, Operation.UNKNOWN)
    if query and not SUBRESOURCES.isdisjoint(query) and not _is_tagging(method, key, query):
        return Operation.UNKNOWN
    for candidate, needed, operation in _OBJECT_TABLE if key else _BUCKET_TABLE:
        if candidate == method and all(name in query for name in needed):
            return operation
    return Operation.UNKNOWN


def _is_tagging(method: str, key: str, query: Mapping[str, str]) -> bool:
    """Tell whether it is about the tags of an object; those of buckets the server does not have."""
    asked = [name for name in query if name in SUBRESOURCES]
    return bool(key) and asked == ["tagging"] and method in {"GET", "PUT"}
