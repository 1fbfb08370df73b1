"""GetCallerIdentity of STS, beside S3 so that one endpoint serves a daemon's start check."""

from urllib.parse import parse_qs

from tests.support.strict_s3.digests import Content
from tests.support.strict_s3.ground import Ground
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.replies import Refused, Reply
from tests.support.strict_s3.xml import HEADER, elements

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_CODES = {"InvalidAccessKeyId": "InvalidClientTokenId", "ExpiredToken": "ExpiredToken"}


def get_caller_identity(ground: Ground, call: Call, content: Content) -> Reply:
    """Say who the signer is."""
    form = parse_qs((content.data or b"").decode("utf-8", "replace"))
    if form.get("Action") != ["GetCallerIdentity"]:
        raise Refused("NotImplemented", "only GetCallerIdentity is answered here")
    arn = ground.access.arn
    inside = elements(
        {"Arn": arn, "UserId": "AROATOWPATHTEST:session", "Account": arn.split(":")[4]}
    )
    body = (
        f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>{inside}'
        "</GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    return Reply(200, {"Content-Type": "text/xml"}, body.encode())


def sts_error(refused: Refused) -> Reply:
    """Put a refusal in the words and the XML of STS: keys are refused with 403."""
    code = _CODES.get(refused.code, refused.code)
    status = 403 if refused.code in _CODES else refused.status
    inside = elements({"Type": "Sender", "Code": code, "Message": refused.message})
    body = (
        f'{HEADER}<ErrorResponse xmlns="{_NAMESPACE}"><Error>{inside}</Error>'
        "<RequestId>0</RequestId></ErrorResponse>"
    )
    return Reply(status, {"Content-Type": "text/xml", **refused.headers}, body.encode(), code=code)
