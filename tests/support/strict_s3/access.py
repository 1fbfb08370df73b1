"""Who may do what: access keys and their state, denials, and the region a request is signed for.

The signature itself is not computed: any secret will do. What is read is the access key and the
region that the client put into its signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from tests.support.strict_s3.replies import Refused

ACCESS_KEY = "lockkeeper"
"""The key that `StrictS3.environment` hands out; good unless a test says otherwise."""
SECRET_KEY = "strict-s3-does-not-check-the-signature"

ACTION_OF_OPERATION: Mapping[str, str] = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateBucket": "s3:CreateBucket",
    "CreateMultipartUpload": "s3:PutObject",
    "DeleteBucket": "s3:DeleteBucket",
    "DeleteObject": "s3:DeleteObject",
    "GetBucketLocation": "s3:GetBucketLocation",
    "GetCallerIdentity": "sts:GetCallerIdentity",
    "GetObject": "s3:GetObject",
    "GetObjectTagging": "s3:GetObjectTagging",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListBuckets": "s3:ListAllMyBuckets",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "ListParts": "s3:ListMultipartUploadParts",
    "PutObject": "s3:PutObject",
    "PutObjectTagging": "s3:PutObjectTagging",
    "UploadPart": "s3:PutObject",
}
"""The IAM action that allows an operation; DeleteObjects is judged key by key."""


class KeyState(Enum):
    """What the server knows of an access key."""

    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Signer:
    """What a request says about who signed it, and for where."""

    access_key: str
    aws_region: str


@dataclass(frozen=True, slots=True)
class Denial:
    """An explicit deny; every field is a glob."""

    action: str = "*"
    bucket: str = "*"
    key: str = "*"

    def covers(self, action: str, bucket: str, key: str) -> bool:
        """Say whether it denies this."""
        return (
            fnmatchcase(action, self.action)
            and fnmatchcase(bucket, self.bucket)
            and fnmatchcase(key, self.key)
        )


@dataclass(slots=True)
class Access:
    """The table of keys and denials; change it at any time, from any thread."""

    keys: dict[str, KeyState] = field(default_factory=dict)
    others: KeyState = KeyState.VALID
    """The state of every key that is not in the table."""
    denials: list[Denial] = field(default_factory=list)
    anonymous: bool = False
    """On: unsigned requests are answered."""
    arn: str = "arn:aws:sts::123456789012:assumed-role/towpath-test/session"
    """Who GetCallerIdentity says one is."""

    def deny(self, action: str = "*", bucket: str = "*", key: str = "*") -> None:
        """Deny from now on."""
        self.denials.append(Denial(action, bucket, key))

    def denied(self, action: str, bucket: str, key: str = "") -> bool:
        """Say whether a denial covers this."""
        return any(denial.covers(action, bucket, key) for denial in list(self.denials))

    def state_of(self, signer: Signer) -> KeyState:
        """Look an access key up."""
        return self.keys.get(signer.access_key, self.others)

    def check(self, signer: Signer | None, operation: str, bucket: str, key: str) -> None:
        """Refuse whom S3 would refuse."""
        if signer is None:
            if not self.anonymous:
                raise access_denied()
        else:
            _check_key(signer, self.state_of(signer))
        action = ACTION_OF_OPERATION.get(operation)
        if action is not None and self.denied(action, bucket, key):
            raise access_denied()


def access_denied() -> Refused:
    """Refuse someone who is known."""
    return Refused("AccessDenied", "Access Denied")


def signer_of(headers: Mapping[str, str], query: Mapping[str, str]) -> Signer | None:
    """Read the signer out of an Authorization header or a presigned URL; None when unsigned.

    Raises:
        Refused: there is a signature of another kind than version 4.
    """
    scope = query.get("X-Amz-Credential", "")
    authorization = headers.get("Authorization")
    if authorization is not None:
        if not authorization.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(
                "InvalidRequest",
                "The authorization mechanism you have provided is not supported. "
                "Please use AWS4-HMAC-SHA256.",
            )
        scope = authorization.partition("Credential=")[2].partition(",")[0]
    if not scope:
        return None
    parts = scope.rsplit("/", 4)
    if len(parts) != 5:
        raise Refused("AuthorizationHeaderMalformed", "The authorization header is malformed.")
    return Signer(access_key=parts[0], aws_region=parts[2])


def _check_key(signer: Signer, state: KeyState) -> None:
    if state is KeyState.UNKNOWN:
        raise Refused(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            details={"AWSAccessKeyId": signer.access_key},
        )
    if state is KeyState.EXPIRED:
        raise Refused("ExpiredToken", "The provided token has expired.")
