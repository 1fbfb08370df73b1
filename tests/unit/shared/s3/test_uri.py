import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.s3.uri import KEY_BYTES_MAX, S3Uri, bucket_fault, key_fault, parse_uri

BUCKETS = st.from_regex(r"[a-z][a-z0-9-]{1,61}[a-z0-9]", fullmatch=True).filter(
    lambda name: bucket_fault(name) is None
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://colony-shots/a.png", S3Uri("colony-shots", "a.png")),
        ("s3://colony-shots/", S3Uri("colony-shots")),
        ("s3://colony-shots", S3Uri("colony-shots")),
        ("s3://colony-shots//a", S3Uri("colony-shots", "/a")),
        ("s3://colony-shots/a/../b//c/", S3Uri("colony-shots", "a/../b//c/")),
        ("s3://colony-shots/a%2Fb?c#d+e f", S3Uri("colony-shots", "a%2Fb?c#d+e f")),
        ("s3://colony-shots/s3://x", S3Uri("colony-shots", "s3://x")),
    ],
)
def test_uri_is_taken_as_it_stands(text: str, expected: S3Uri) -> None:
    """A key is not a path: nothing in it is decoded, joined or cleaned."""
    assert parse_uri(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not an S3 URI; write s3://bucket/key"),
        ("colony-shots/a", "is not an S3 URI"),
        ("s3:colony-shots/a", "is not an S3 URI"),
        ("S3://colony-shots/a", "is not an S3 URI"),
        ("https://colony-shots/a", "is not an S3 URI"),
        ("s3://", "has 0 characters"),
        ("s3:///key", "has 0 characters"),
        ("s3://distributed_colony/a", "may hold only a-z 0-9 . -"),
    ],
)
def test_what_is_no_uri_is_refused(text: str, reason: str) -> None:
    """An option with a wrong value is one readable line."""
    with pytest.raises(ValueError, match=reason) as raised:
        parse_uri(text)

    assert repr(text) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("abc", None),
        ("a" * 63, None),
        ("my.bucket-1", None),
        ("123", None),
        ("1.2.3.4.5", None),
        ("ab", "has 2 characters; allowed are 3 to 63"),
        ("a" * 64, "has 64 characters; allowed are 3 to 63"),
        ("distributed_colony", "may hold only"),
        ("Colony", "may hold only"),
        ("-abc", "may hold only"),
        ("abc-", "may hold only"),
        (".abc", "may hold only"),
        ("abc\n", "may hold only"),
        ("c\N{LATIN SMALL LETTER O WITH DIAERESIS}l", "may hold only"),
        ("a..b", "two dots"),
        ("192.168.5.4", "looks like an IP address"),
        ("xn--abc", "that AWS reserves"),
        ("sthree-abc", "that AWS reserves"),
        ("abc-s3alias", "that AWS reserves"),
        ("abc--ol-s3", "that AWS reserves"),
        ("abc--x-s3", "that AWS reserves"),
    ],
)
def test_bucket_names_follow_the_rules(name: str, reason: str | None) -> None:
    """A directory with an illegal name gets one clear error instead of one refusal per file."""
    fault = bucket_fault(name)

    assert (fault is None) if reason is None else (fault is not None and reason in fault)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a", None),
        ("/", None),
        ("..", None),
        ("a\nb", None),
        ("x" * 1024, None),
        ("", "is empty"),
        ("x" * 1025, "has 1025 bytes in UTF-8; allowed are 1024"),
        ("\N{FIRE}" * 257, "has 1028 bytes in UTF-8; allowed are 1024"),
        ("caf\udce9", "is not valid UTF-8"),
        ("a\0b", "holds a NUL character"),
    ],
)
def test_only_impossible_keys_are_faulty(key: str, reason: str | None) -> None:
    """The limit counts bytes, and odd is not the same as impossible."""
    assert key_fault(key) == reason


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("a b", "s3://colony-shots/a b"),
        ("two\nlines", r"s3://colony-shots/two\nlines"),
        ("\x1b[31mred", r"s3://colony-shots/\x1b[31mred"),
        ("caf\udce9", r"s3://colony-shots/caf\udce9"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}b", r"s3://colony-shots/a\u202eb"),
        ("\N{FIRE}", "s3://colony-shots/\N{FIRE}"),
    ],
)
def test_shown_uri_cannot_play_tricks(key: str, shown: str) -> None:
    """A file name must not forge a log line or move a terminal's cursor."""
    assert str(S3Uri("colony-shots", key)) == shown


@given(bucket=BUCKETS, key=st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_key_survives_being_written_and_parsed(bucket: str, key: str) -> None:
    """No character of a key has a meaning of its own."""
    assert parse_uri(f"s3://{bucket}/{key}") == S3Uri(bucket, key)


@given(st.text(max_size=1100))
def test_key_fault_never_raises(key: str) -> None:
    """Names come from directories that anybody may write to."""
    fault = key_fault(key)

    if fault is None:
        assert 0 < len(key.encode()) <= KEY_BYTES_MAX


@given(st.text(max_size=80))
def test_legal_buckets_are_plain(name: str) -> None:
    """What passes goes into host names and URLs without quoting."""
    if bucket_fault(name) is None:
        assert name.isascii()
        assert name == name.lower()
        assert "/" not in name
