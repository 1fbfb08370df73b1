from xml.etree import ElementTree as ET

import aiobotocore.session
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from tests.support.raw_http import RawClient
from tests.support.strict_s3.behaviour import Behaviour
from tests.support.strict_s3.listing import Query, page_of
from tests.support.strict_s3.replies import Refused
from tests.support.strict_s3.server import BUCKET, StrictS3

KEYS = st.lists(st.text("ab/\u00ff\uffff\U0001f40b", min_size=1, max_size=5), unique=True)


def naive(keys: list[str], prefix: str, delimiter: str, start_after: str) -> list[str]:
    """List the slow way: keys and common prefixes in order."""
    entries: list[str] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix) or key.encode() <= start_after.encode():
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        entry = prefix + head + found if found else key
        if entry not in entries:
            entries.append(entry)
    return entries


@given(
    keys=KEYS,
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "a/"]),
    start_after=st.text("ab/\u00ff", max_size=3),
    limit=st.integers(1, 4),
)
def test_pages_join_to_the_whole_listing(
    keys: list[str], prefix: str, delimiter: str, start_after: str, limit: int
) -> None:
    """No page size loses, repeats or reorders an entry."""
    order = sorted(key.encode() for key in keys)
    token: str | None = None
    found: list[str] = []
    for _ in range(len(keys) + 1):
        page = page_of(
            order,
            Query(prefix.encode(), delimiter.encode(), start_after.encode(), token, limit),
        )
        assert len(page.keys) + len(page.prefixes) <= limit
        found += sorted([*page.keys, *page.prefixes], key=str.encode)
        token = page.next_token
        if token is None:
            break

    assert token is None
    assert found == naive(keys, prefix, delimiter, start_after)


@pytest.mark.parametrize("token", ["%", "", "eA=="])
def test_made_up_token_is_refused(token: str) -> None:
    """A token is the server's own; nothing else is taken for one."""
    with pytest.raises(Refused, match="InvalidArgument"):
        page_of([b"a"], Query(token=token))


def test_limit_of_zero_is_an_empty_last_page() -> None:
    """`max-keys=0` is legal and ends the listing."""
    assert page_of([b"a"], Query(limit=0)).next_token is None


@pytest.mark.asyncio
async def test_2500_keys_come_in_pages(strict_s3: StrictS3) -> None:
    """The SDK's paginator sees every key once, in the order of UTF-8 bytes."""
    keys = [f"{'abc'[i % 3]}/\u00e9{i:04}" for i in range(2500)]
    strict_s3.seed(BUCKET, dict.fromkeys(keys, b""))
    session = aiobotocore.session.get_session()
    config = Config(s3={"addressing_style": "path"})

    async with session.create_client("s3", config=config, **strict_s3.client_arguments()) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = [entry["Key"] async for page in pages for entry in page["Contents"]]
        grouped = await client.list_objects_v2(Bucket=BUCKET, Delimiter="/")

    assert found == sorted(keys, key=str.encode) == strict_s3.keys(BUCKET)
    assert strict_s3.count("ListObjectsV2") == 4
    assert [one["Prefix"] for one in grouped["CommonPrefixes"]] == ["a/", "b/", "c/"]


def test_page_size_can_be_small(strict_s3: StrictS3, raw: RawClient) -> None:
    """Paging is tested with five keys as well as with thousands."""
    strict_s3.behaviour = Behaviour(page_size=2)
    strict_s3.seed(BUCKET, {"a": b"1", "b": b"22", "c": b"333"})

    first = raw.call("GET", f"/{BUCKET}?list-type=2")
    token = first.text("NextContinuationToken")
    second = raw.call("GET", f"/{BUCKET}?list-type=2&continuation-token={token}")

    assert (first.text("IsTruncated"), first.text("KeyCount")) == ("true", "2")
    assert (second.text("IsTruncated"), second.text("Size")) == ("false", "3")
    assert raw.call("GET", f"/{BUCKET}?list-type=2&max-keys=x").code == "InvalidArgument"


def test_control_characters_break_xml_unless_encoded(strict_s3: StrictS3, raw: RawClient) -> None:
    """As on AWS: a client that lists such keys must ask for `encoding-type=url`."""
    strict_s3.seed(BUCKET, {"a\x01b": b""})

    plain = raw.call("GET", f"/{BUCKET}?list-type=2")
    coded = raw.call("GET", f"/{BUCKET}?list-type=2&encoding-type=url")

    with pytest.raises(ET.ParseError):
        ET.fromstring(plain.body)  # noqa: S314 - our own server's answer
    assert coded.text("Key") == "a%01b"
