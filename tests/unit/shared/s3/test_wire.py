from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.s3.store import (
    ABSENT,
    ALWAYS,
    Checksums,
    Evidence,
    Matches,
    ObjectInfo,
    PutOptions,
    Span,
    When,
)
from shared.s3.uri import S3Uri
from shared.s3.wire import (
    encode_crc,
    option_parameters,
    read_checksums,
    read_etag,
    read_info,
    read_listed,
    read_parameters,
    weigh,
    when_parameters,
)

URI = S3Uri("colony-shots", "a.png")
MOMENT = datetime(2024, 11, 3, tzinfo=UTC)
MD5 = "9dd4e461268c8034f5c8564e155c67a6"
STRONG = ("crc64nvme", "sha256", "crc32c", "crc32", "sha1")


def held(size: int, checksums: Checksums) -> ObjectInfo:
    """Describe an object."""
    return ObjectInfo(URI, size, "etag", MOMENT, checksums)


def test_crc_is_eight_bytes_in_base64() -> None:
    """S3 refuses any other spelling; the value is the check value of CRC-64/NVME."""
    assert encode_crc(0xAE8B14860A799888) == "rosUhgp5mIg="
    assert encode_crc(0) == "AAAAAAAAAAA="


@pytest.mark.parametrize(
    ("when", "expected"),
    [(ALWAYS, {}), (ABSENT, {"IfNoneMatch": "*"}), (Matches("e"), {"IfMatch": '"e"'})],
)
def test_precondition_on_the_wire(when: When, expected: dict[str, str]) -> None:
    """Without its quotation marks an ETag matches nothing."""
    assert when_parameters(when) == expected


def test_options_that_are_empty_are_not_sent() -> None:
    """The bucket's own defaults must hold, and an empty ACL is refused."""
    assert option_parameters(PutOptions()) == {}
    assert option_parameters(
        PutOptions(
            "image/png", {"a": "b"}, {"c d": "e&f"}, "STANDARD_IA", "aws:kms", "k", "private"
        )
    ) == {
        "ContentType": "image/png",
        "Metadata": {"a": "b"},
        "Tagging": "c+d=e%26f",
        "StorageClass": "STANDARD_IA",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "k",
        "ACL": "private",
    }


@pytest.mark.parametrize(
    ("span", "if_match", "expected"),
    [
        (None, None, {"ChecksumMode": "ENABLED"}),
        (Span(0, 5), None, {"Range": "bytes=0-4"}),
        (Span(5), "e", {"Range": "bytes=5-", "IfMatch": '"e"'}),
    ],
)
def test_span_on_the_wire(
    span: Span | None, if_match: str | None, expected: dict[str, str]
) -> None:
    """Ours ends before its stop, HTTP's includes its last byte; checksums are of whole objects."""
    assert read_parameters(span, if_match) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"ETag": f'"{MD5}"'}, Checksums(md5=MD5)),
        ({"ETag": f'"{MD5}"', "ServerSideEncryption": "AES256"}, Checksums(md5=MD5)),
        ({"ETag": f'"{MD5}"', "ServerSideEncryption": "aws:kms"}, Checksums()),
        ({"ETag": f'"{MD5}-2"'}, Checksums()),
        ({"ETag": f'"{MD5.upper()}"'}, Checksums()),
        ({}, Checksums()),
        ({"ChecksumCRC64NVME": "c", "ChecksumType": "FULL_OBJECT"}, Checksums(crc64nvme="c")),
        ({"ChecksumSHA256": "s-2", "ChecksumType": "COMPOSITE"}, Checksums()),
        (
            {"ChecksumCRC32": "1", "ChecksumCRC32C": "2", "ChecksumSHA1": "3"},
            Checksums(crc32="1", crc32c="2", sha1="3"),
        ),
    ],
)
def test_only_what_speaks_of_all_bytes_is_a_checksum(
    answer: dict[str, str], expected: Checksums
) -> None:
    """An ETag under KMS or of parts is no MD5, a composite checksum is one of checksums."""
    assert read_checksums(answer) == expected


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        ({"ContentLength": 7}, 7),
        ({"ContentLength": 2, "ContentRange": "bytes 0-1/9"}, 9),
        ({"ContentLength": 2, "ContentRange": "bytes 0-1/*"}, 2),
        ({}, 0),
    ],
)
def test_size_is_that_of_the_whole_object(answer: dict[str, object], size: int) -> None:
    """A range answers with its own length."""
    assert read_info(URI, answer).size == size


@pytest.mark.parametrize(("etag", "md5"), [(MD5, MD5), (f"{MD5}-2", "")])
def test_entry_of_a_listing_is_an_object(etag: str, md5: str) -> None:
    """What is listed is not asked for again; the ETag of parts is no MD5."""
    entry = {"Key": "a.png", "Size": 8, "ETag": f'"{etag}"', "LastModified": MOMENT}

    found = read_listed("colony-shots", entry)

    assert found == ObjectInfo(URI, 8, etag, MOMENT, Checksums(md5=md5))


def test_bare_entry_of_a_listing_is_an_object() -> None:
    """Stores other than AWS leave out what nobody asked them for."""
    found = read_listed("colony-shots", {"Key": "a.png"})

    assert (found.uri, found.size, found.etag, found.modified_at.year) == (URI, 0, "", 1970)


def test_info_carries_everything_that_was_answered() -> None:
    """Nothing is asked for twice."""
    answer = {
        "ETag": '"e"',
        "LastModified": MOMENT,
        "VersionId": "v",
        "Metadata": {"a": "b"},
        "ContentLength": 1,
    }

    assert read_info(URI, answer) == ObjectInfo(URI, 1, "e", MOMENT, Checksums(), "v", {"a": "b"})
    assert read_info(URI, {}).modified_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert read_etag({}) == ""


@pytest.mark.parametrize(
    ("sent", "found", "expected"),
    [
        *(
            (Checksums(**{kind: "a"}), Checksums(**{kind: theirs}), verdict)
            for kind, (theirs, verdict) in product(
                STRONG, [("a", Evidence.READ_BACK), ("b", None), ("", Evidence.SIZE)]
            )
        ),
        (Checksums(md5=MD5), Checksums(md5=MD5), Evidence.ETAG_MD5),
        (Checksums(md5=MD5), Checksums(md5="0" * 32), Evidence.NONE),
        (Checksums(md5=MD5), Checksums(), Evidence.SIZE),
        (Checksums(), Checksums(md5=MD5), Evidence.SIZE),
        (Checksums(crc64nvme="a", md5=MD5), Checksums(crc64nvme="b", md5=MD5), None),
        (Checksums(crc64nvme="a", md5="0"), Checksums(crc64nvme="a", md5=MD5), Evidence.READ_BACK),
        (Checksums(crc32="a", md5=MD5), Checksums(sha256="a", md5=MD5), Evidence.ETAG_MD5),
    ],
)
def test_evidence_table(sent: Checksums, found: Checksums, expected: Evidence | None) -> None:
    """Every row of the table that the docstring shows; a delete is decided from it."""
    assert weigh(sent, 7, held(7, found)) == expected


checksums = st.builds(
    Checksums, **{kind: st.sampled_from(["", "a", "b"]) for kind in (*STRONG, "md5")}
)


@given(checksums, checksums, st.sampled_from([6, 7]))
def test_evidence_is_never_better_than_what_agrees(
    sent: Checksums, found: Checksums, size: int
) -> None:
    """No combination of checksums may talk a difference away."""
    evidence = weigh(sent, 7, held(size, found))

    pairs = [(getattr(sent, kind), getattr(found, kind)) for kind in STRONG]
    if size != 7:
        assert evidence is None
    elif evidence is Evidence.READ_BACK:
        assert any(ours == theirs != "" for ours, theirs in pairs)
    elif evidence is Evidence.ETAG_MD5:
        assert sent.md5 == found.md5 != ""
        assert not any(ours and theirs for ours, theirs in pairs)
    elif evidence is None:
        assert any(ours != theirs and ours and theirs for ours, theirs in pairs)
