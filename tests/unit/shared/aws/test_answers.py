"""Answers: read as botocore reads them, at a fraction of its cost."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.utils import parse_timestamp

from shared.aws.answers import AnswerParsers, read_timestamp
from shared.aws.clients import ClientPool, ClientSettings

MOMENT = datetime(2024, 11, 5, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2024-11-05T07:08:09.000Z",
        "2024-11-05T07:08:09Z",
        "2024-11-05T08:08:09+01:00",
        "Tue, 05 Nov 2024 07:08:09 GMT",
        "Tue, 05 Nov 2024 07:08:09 +0000",
        "1730790489",
        "1730790489.0",
        1730790489,
        1730790489.0,
        "Tuesday, 05-Nov-24 07:08:09 GMT",
        "05 November 2024 07:08:09 UTC",
    ],
)
def test_every_form_names_the_same_moment(value: object) -> None:
    """The forms of S3 and STS, of other stores, and what botocore alone can read."""
    found = read_timestamp(value)

    assert found == MOMENT
    assert found == parse_timestamp(value)


@pytest.mark.parametrize("value", ["20241105", "1711121000"])
def test_seconds_that_look_like_a_date_are_seconds(value: str) -> None:
    """Digits alone are a number for botocore; they must not become a day of 2024."""
    assert read_timestamp(value) == parse_timestamp(value)


@pytest.mark.parametrize("value", ["", "yesterday", "2024-13-05T07:08:09Z"])
def test_what_is_no_time_is_refused(value: str) -> None:
    """A store that writes nonsense is told of, as before."""
    with pytest.raises(ValueError, match="Invalid timestamp"):
        read_timestamp(value)


LISTING = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>colony-shots</Name>
<Prefix>a</Prefix><KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>
<NextContinuationToken>t</NextContinuationToken>
<Contents><Key>a&amp;b%20.png</Key><LastModified>2024-11-05T07:08:09.000Z</LastModified>
<ETag>&quot;e-2&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>
<ChecksumType>FULL_OBJECT</ChecksumType><Size>12</Size>
<Owner><ID>o</ID><DisplayName>d</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>
<Contents><Key>a/</Key><LastModified>Tue, 05 Nov 2024 07:08:09 GMT</LastModified><ETag></ETag>
<Size>0</Size></Contents>
<CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes></ListBucketResult>"""
READ = ("Key", "LastModified", "ETag", "Size")


def model(operation: str) -> Any:
    """Return what botocore knows of an S3 operation's answer."""
    description = create_loader().load_service_model("s3", "service-2")
    return ServiceModel(description, "s3").operation_model(operation).output_shape


def answered(body: bytes) -> dict[str, Any]:
    """Describe an answer as the transport hands it on."""
    return {"status_code": 200, "headers": {}, "body": body, "context": {}}


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [LISTING, LISTING.replace(b' xmlns="http://s3', b' xmlns="urn:x')])
async def test_listing_is_read_as_botocore_reads_it(body: bytes) -> None:
    """The short way must not lose a key, nor what tells of the next page."""
    shape = model("ListObjectsV2")
    theirs = create_parser("rest-xml").parse(answered(body), shape)

    ours = await AnswerParsers().create_parser("rest-xml").parse(answered(body), shape)

    told = [{name: entry[name] for name in READ} for entry in theirs.pop("Contents")]
    assert ours.pop("Contents") == told
    assert ours == theirs


@pytest.mark.asyncio
async def test_other_answers_are_left_to_botocore() -> None:
    """Of parts and copies, everything that the model knows is wanted."""
    shape = model("CopyObject")
    sums = b"<ETag>e</ETag><ChecksumCRC64NVME>c</ChecksumCRC64NVME>"
    body = b"<CopyObjectResult>" + sums + b"</CopyObjectResult>"
    theirs = create_parser("rest-xml").parse(answered(body), shape)

    ours = await AnswerParsers().create_parser("rest-xml").parse(answered(body), shape)

    assert ours == theirs
    assert ours["CopyObjectResult"]["ChecksumCRC64NVME"] == "c"


@pytest.mark.asyncio
async def test_clients_read_answers_this_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would break without it, and every listing would cost ten times as much."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    pool = ClientPool(ClientSettings(aws_region="eu-west-1"))

    factory = pool._session.get_component("response_parser_factory")
    await pool.aclose()

    assert isinstance(factory, AnswerParsers)
