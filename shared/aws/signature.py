"""AWS Signature Version 4 of a GET without a body. Pure: the time is an argument.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from shared.aws.credentials import Keys

_ALGORITHM = "AWS4-HMAC-SHA256"
_NO_BODY = hashlib.sha256(b"").hexdigest()
_UNRESERVED = "/-_.~"


def encode_path(path: str) -> str:
    """Return a path as S3 signs it: every byte that is not unreserved is quoted, once."""
    return quote(path, safe=_UNRESERVED)


def sign_get(
    host: str, path: str, range_: str, *, keys: Keys, aws_region: str, now: datetime
) -> Mapping[str, str]:
    """Return the headers of a GET of a range of an object; `path` is encoded already."""
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    signed = {
        "host": host,
        "range": range_,
        "x-amz-content-sha256": _NO_BODY,
        "x-amz-date": stamp,
    }
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    request = f"GET\n{path}\n\n{lines}\n{names}\n{_NO_BODY}"
    scope = f"{stamp[:8]}/{aws_region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = _signing_key(keys.secret_access_key, stamp[:8], aws_region)
    signature = hmac.new(key, f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}".encode(), "sha256")
    credential = f"{keys.access_key_id}/{scope}"
    told = f"Credential={credential}, SignedHeaders={names}, Signature={signature.hexdigest()}"
    return {**signed, "authorization": f"{_ALGORITHM} {told}"}


@lru_cache(maxsize=4)
def _signing_key(secret: str, day: str, aws_region: str) -> bytes:
    """Derive the key of a day, which all requests of it share."""
    key = f"AWS4{secret}".encode()
    for part in (day, aws_region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
