"""Translate what aiobotocore raises into the suite's own words, once, for every caller.

| what was raised                               | reading            | writing            |
|-----------------------------------------------|--------------------|--------------------|
| no connection: refused, DNS, connect time-out | Unreachable        | Unreachable        |
| untrusted certificate                         | CertificateInvalid | CertificateInvalid |
| reset, half an answer, read time-out          | Unreachable        | OutcomeUnknown     |
| credentials cannot be loaded or refreshed     | CredentialsExpired | CredentialsExpired |
| a body that is not what its checksum says     | ChecksumMismatch   |                    |
| an answer with a code                         | by the code, else by the status         ||
"""

import re
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
from botocore import exceptions as sdk

from shared.s3 import errors
from shared.s3.errors import Answer, ObjectError
from shared.s3.uri import S3Uri

SDK_ERRORS = (sdk.BotoCoreError, sdk.ClientError, aiohttp.ClientError)
"""Everything aiobotocore raises on its own account, and what it lets through of aiohttp's: a body
that ends too early is a `ClientPayloadError` while it is read."""

_BY_CODE: Mapping[str, type[ObjectError]] = {
    "NoSuchBucket": errors.BucketMissing,
    "NoSuchKey": errors.NotFound,
    "NoSuchUpload": errors.NotFound,
    "PreconditionFailed": errors.PreconditionFailed,
    "ConditionalRequestConflict": errors.Conflict,
    "OperationAborted": errors.Conflict,
    "SlowDown": errors.Throttled,
    "Throttling": errors.Throttled,
    "ThrottlingException": errors.Throttled,
    "RequestLimitExceeded": errors.Throttled,
    "TooManyRequests": errors.Throttled,
    "TooManyInvalidationsInProgress": errors.Throttled,
    "BadDigest": errors.ChecksumMismatch,
    "InvalidDigest": errors.ChecksumMismatch,
    "XAmzContentSHA256Mismatch": errors.ChecksumMismatch,
    "IncompleteBody": errors.ServerError,
    "RequestTimeout": errors.ServerError,
    "ExpiredToken": errors.CredentialsExpired,
    "ExpiredTokenException": errors.CredentialsExpired,
    "TokenRefreshRequired": errors.CredentialsExpired,
    "RequestTimeTooSkewed": errors.CredentialsExpired,
    # A HEAD has no body to say so: this is how S3 answers one with an expired token.
    "400": errors.CredentialsExpired,
    "InvalidAccessKeyId": errors.AccessDenied,
    "SignatureDoesNotMatch": errors.AccessDenied,
    "InvalidToken": errors.AccessDenied,
    "InvalidBucketName": errors.BucketMissing,
    "KeyTooLongError": errors.InvalidKey,
    "EntityTooLarge": errors.TooLarge,
    "NotImplemented": errors.Unsupported,
    "InvalidArgument": errors.Unsupported,
    "InvalidRequest": errors.Unsupported,
}
_BY_STATUS: Mapping[int, type[ObjectError]] = {
    401: errors.AccessDenied,
    403: errors.AccessDenied,
    404: errors.NotFound,
    408: errors.ServerError,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    429: errors.Throttled,
    501: errors.Unsupported,
    503: errors.Throttled,
}
_CREDENTIAL_ERRORS = (
    sdk.NoCredentialsError,
    sdk.ProfileNotFound,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.MetadataRetrievalError,
    sdk.TokenRetrievalError,
    sdk.UnauthorizedSSOTokenError,
    sdk.SSOTokenLoadError,
)
_OWN_FAULTS = (TypeError, ValueError, AttributeError, LookupError, AssertionError)
_SERVER_ERROR_MIN = 500


def translate(error: Exception, uri: S3Uri, *, writing: bool, attempts: int = 1) -> ObjectError:
    """Return the suite's error for one that aiobotocore raised; raise the result `from` the cause.

    Args:
        error: one of `SDK_ERRORS`.
        uri: the object (or bucket) the request was about.
        writing: whether the request may have changed something although no answer came.
        attempts: how many times it was tried.
    """
    if isinstance(error, sdk.ClientError):
        return _from_answer(error, uri, attempts)
    answer = Answer(code=type(error).__name__, message=_one_line(error), attempts=attempts)
    if isinstance(error, _CREDENTIAL_ERRORS):
        return errors.CredentialsExpired(uri, answer)
    if isinstance(error, sdk.FlexibleChecksumError):
        return errors.ChecksumMismatch(uri, answer)
    if isinstance(error, sdk.SSLError):
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        kind = errors.CertificateInvalid if untrusted else errors.Unreachable
        return kind(uri, answer)
    if isinstance(error, sdk.ParamValidationError):
        return errors.InvalidKey(uri, answer)
    cause = error.kwargs.get("error") if isinstance(error, sdk.HTTPClientError) else None
    if type(error) is sdk.HTTPClientError and isinstance(cause, _OWN_FAULTS):
        # aiobotocore wraps whatever it does not know; a mistake of ours is not worth a retry.
        return errors.Unsupported(uri, answer)
    if _never_sent(error) or not writing:
        return errors.Unreachable(uri, answer)
    return errors.OutcomeUnknown(uri, answer)


def answer_of(response: Mapping[str, Any], attempts: int = 1) -> Answer:
    """Read code, message, status and request id out of a parsed response."""
    said = response.get("Error", {})
    meta = response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    wait = str(headers.get("retry-after", ""))
    return Answer(
        code=str(said.get("Code", "")),
        message=str(said.get("Message", "")),
        status=int(meta.get("HTTPStatusCode", 0)),
        request_id=str(meta.get("RequestId", "") or headers.get("x-amz-request-id", "")),
        attempts=attempts,
        retry_after=float(wait) if re.fullmatch(r"\d{1,4}", wait) else 0.0,
    )


def region_hint(error: Exception) -> str:
    """Return the region that a bucket's answer names (301, 307, 400, 403), or the empty string."""
    if not isinstance(error, sdk.ClientError):
        return ""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    said = error.response.get("Error", {})
    return str(headers.get("x-amz-bucket-region") or said.get("Region") or "")


def status_of(error: Exception) -> int:
    """Return the HTTP status of an answered error, 0 when there was no answer."""
    if not isinstance(error, sdk.ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _from_answer(error: sdk.ClientError, uri: S3Uri, attempts: int) -> ObjectError:
    answer = answer_of(error.response, attempts)
    kind = _BY_CODE.get(answer.code) or _BY_STATUS.get(answer.status)
    if kind is None:
        server_side = answer.status >= _SERVER_ERROR_MIN
        kind = errors.ServerError if server_side else errors.Unsupported
    return kind(uri, answer)


def _never_sent(error: Exception) -> bool:
    if isinstance(error, sdk.ConnectTimeoutError | sdk.ProxyConnectionError):
        return True
    # aiobotocore raises EndpointConnectionError for "could not connect" and for "reset while
    # sending" alike; the cause it keeps tells them apart.
    cause = error.kwargs.get("error") if isinstance(error, sdk.EndpointConnectionError) else None
    return isinstance(cause, aiohttp.ClientConnectorError | socket.gaierror)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
