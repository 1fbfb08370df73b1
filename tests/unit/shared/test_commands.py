import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.commands import LONGEST_TAIL, CommandLimits, CommandOutcome, plain_tail


def outcome(
    exit_status: int | None = None,
    signal: str | None = None,
    fault: str = "",
    *,
    timed_out: bool = False,
) -> CommandOutcome:
    """Return an outcome."""
    return CommandOutcome(("x",), exit_status, signal, timed_out, 1.0, "", 600, fault)


@pytest.mark.parametrize(
    ("ended", "ok", "reason"),
    [
        (outcome(0), True, "exit status 0"),
        (outcome(3), False, "exit status 3"),
        (outcome(signal="SIGSEGV"), False, "killed by SIGSEGV"),
        (outcome(signal="SIGKILL"), False, "killed by SIGKILL (memory limit?)"),
        (outcome(signal="SIGXFSZ"), False, "killed by SIGXFSZ (file size limit)"),
        (outcome(signal="SIGTERM", timed_out=True), False, "time limit of 600 s reached"),
        (outcome(0, timed_out=True), False, "time limit of 600 s reached"),
        (outcome(fault="cannot be started: no"), False, "cannot be started: no"),
    ],
)
def test_an_outcome_says_how_it_went(ended: CommandOutcome, ok: bool, reason: str) -> None:  # noqa: FBT001 - a column of the table
    """The reason is what a person reads beside a parked job."""
    assert ended.ok is ok
    assert ended.reason() == reason


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", ""),
        (b"a\nb\n", "a\nb\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b" 1%\r 50%\r100%\ndone\r", "100%\ndone"),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07x", "red x"),
        (b"a\0b\x07c\x1b", "a\ufffdb\ufffdc\ufffd"),
        ("\u202eevil \u2028x".encode(), "\ufffdevil \ufffdx"),
        ("Dæd\n".encode(), "Dæd\n"),
        ("a\u00a0b\U000ff000".encode(), "a b\ufffd"),
        (b"\xff\xc3", "\ufffd\ufffd"),
        (b"password=hunter22\n", "password=***\n"),
        (b"AKIAIOSFODNN7EXAMPLE", "***"),
    ],
)
def test_output_is_made_harmless(raw: bytes, shown: str) -> None:
    """It is shown on terminals, written into logs and stored in a bucket."""
    assert plain_tail(raw, 1000) == shown


@given(st.binary(max_size=300), st.integers(0, 100))
def test_a_tail_is_bounded_and_printable(raw: bytes, limit: int) -> None:
    """Whatever a program prints."""
    text = plain_tail(raw, limit)

    assert len(text.encode()) <= limit
    assert all(character in "\n\t" or character.isprintable() for character in text)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_half_a_secret_is_not_shown(cut: int) -> None:
    """What was cut at its beginning is not recognised; colours make what follows it short."""
    secret = b"wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYZZ"
    rest = secret[cut:] + b" and more\n" + b"\x1b[0m" * 1000 + b"x " * 3000
    raw = rest[: 4000 + 2048]

    text = plain_tail(raw, 4000)

    assert "KEYZZ" not in text
    assert text.strip("x ") == ""
    assert len(text) > 1900


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1])
def test_every_wait_is_bounded(seconds: float) -> None:
    """A limit that never comes is none."""
    with pytest.raises(ValueError, match=r"^time_seconds is"):
        CommandLimits(seconds)
    with pytest.raises(ValueError, match=r"^term_seconds is"):
        CommandLimits(1, term_seconds=seconds)


@pytest.mark.parametrize("size", [-1, LONGEST_TAIL + 1])
def test_a_tail_is_short(size: int) -> None:
    """It goes into a report, which is no log."""
    with pytest.raises(ValueError, match=r"^tail_bytes is"):
        CommandLimits(1, tail_bytes=size)
