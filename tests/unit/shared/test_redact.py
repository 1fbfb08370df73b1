import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.options import Kind
from shared.redact import redact_fields, redact_text

# The pairs that AWS's own documentation uses: of the right form, and nobody's.
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"no access for {ACCESS_KEY}", ACCESS_KEY),
        (f"key {SECRET_KEY}, line 3", SECRET_KEY),
        (f"aws_secret_access_key = {SECRET_KEY}", SECRET_KEY),
        ("aws_secret_access_key = short1", "short1"),
        ("{'password': 'hunter2'}", "hunter2"),
        ('{"sessionToken": "hunter22"}', "hunter22"),
        (
            f"https://b.s3.amazonaws.com/k?X-Amz-Signature=0a1b2c&X-Amz-Security-Token={SESSION}",
            SESSION,
        ),
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=0a1b2c", "0a1b2c"),
        (f"https://h/k?X-Amz-Credential={ACCESS_KEY}%2F20260101", "20260101"),
        ("https://h/k?AWSAccessKeyId=A&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D", "vjby"),
        (f"Authorization: Bearer {SESSION}", SESSION),
        ("authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        (f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/x, Signature=fe5f80f77d5fa3beca0", "fe5f80"),
        ("('x-amz-security-token', b'Zm9vYmFyMTIz')", "Zm9vYmFyMTIz"),
        ("cannot reach https://anna:hunter2@example.org/feed", "hunter2"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_any_text(text: str, secret: str) -> None:
    """Library errors carry whole requests in their messages; a log is read by many."""
    assert secret in text
    assert secret not in redact_text(text)
    assert "***" in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "images_shots/2024_11_03__10_25_30.png",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
        "Experiment/Run/Sweep/Images/Raw/IMG00001",
        "https://colony-shots.s3.eu-west-1.amazonaws.com/images/a.png?versionId=3",
        "S3_UPLOAD_INTERVAL='abc' is not valid for --interval",
        "arn:aws:sts::123456789012:assumed-role/coordinator/i-0abcd1234abcd1234",
    ],
)
def test_names_and_checksums_stay_readable(text: str) -> None:
    """An operator must see which file it was; forty characters alone make no secret."""
    assert redact_text(text) == text


def test_a_secret_name_hides_its_value_at_any_depth() -> None:
    """What a secret looks like is not known in advance; what it is called mostly is."""
    fields = {
        "bucket": "b",
        "Authorization": "anything",
        "request": {"headers": [{"x-api-key": "v", "host": "h"}], "db_password": 12},
        "session_token": None,
        "token_expired": True,
    }

    assert redact_fields(fields) == {
        "bucket": "b",
        "Authorization": "***",
        "request": {"headers": [{"x-api-key": "***", "host": "h"}], "db_password": "***"},
        "session_token": None,
        "token_expired": True,
    }


def test_values_become_plain() -> None:
    """Every form of the log writes the same; JSON knows no path and no infinity."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    fields = {
        "path": Path("/a"),
        "kind": Kind.LIST,
        "body": b"\xffa",
        "rate": float("inf"),
        "names": {"b", "a"},
        "at": moment,
        "error": ValueError("password=hunter2"),
        "many": range(3),
        "long": list(range(150)),
    }

    plain = redact_fields(fields)

    assert plain["path"] == "/a"
    assert plain["kind"] == "list"
    assert plain["body"] == "\\xffa"
    assert plain["rate"] == "inf"
    assert plain["names"] == ["a", "b"]
    assert plain["at"] == str(moment)
    assert plain["error"] == "password=***"
    assert plain["long"] == [*range(100), "and 50 more"]


def test_endless_nesting_ends() -> None:
    """A structure that contains itself must not take the daemon down with its log line."""
    endless: dict[str, object] = {}
    endless["self"] = endless

    assert "<dict>" in json.dumps(redact_fields({"value": endless}))


@pytest.mark.parametrize("place", [30_000, 32 * 1024 - 10, 1_000_000, 2_000_000 - 32 * 1024 - 10])
def test_an_endless_text_keeps_its_ends_and_no_half_secret(place: int) -> None:
    """A log tail of megabytes would stop the daemon for seconds, and be cut through a key."""
    filler = "log line\n" * 250_000
    text = f"first {filler[:place]} {SECRET_KEY} {filler[place:2_000_000]} last"

    short = redact_text(text)

    assert len(short) < 70_000
    assert short.startswith("first ")
    assert short.endswith(" last")
    assert "characters ...]" in short
    assert not any(SECRET_KEY[i : i + 8] in short for i in range(len(SECRET_KEY) - 8))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
@example({"name": "\udcff\x00\n"})
def test_redaction_never_fails_and_is_json(fields: dict[str, object]) -> None:
    """A log line that raises would turn a warning into an outage."""
    json.dumps(redact_fields(fields), allow_nan=False)


@given(st.text(), st.text())
def test_a_key_inside_any_text_is_found(before: str, after: str) -> None:
    """A secret does not become harmless by what stands around it."""
    assert ACCESS_KEY not in redact_text(f"{before} {ACCESS_KEY} {after}")
