import pytest

from shared.errors import ExitStatus, PermanentError, SuiteError, TransientError
from shared.s3 import errors
from shared.s3.errors import Answer, NotFound, ObjectError, OutcomeUnknown, Throttled
from shared.s3.uri import S3Uri

URI = S3Uri("colony-shots", "a\nb.png")

TRANSIENT = {
    "Throttled",
    "Unreachable",
    "ServerError",
    "Conflict",
    "CredentialsExpired",
    "ChecksumMismatch",
}
PERMANENT = {
    "NotFound",
    "BucketMissing",
    "PreconditionFailed",
    "AccessDenied",
    "InvalidKey",
    "TooLarge",
    "Unsupported",
    "SourceChanged",
    "CertificateInvalid",
}


def kinds() -> dict[str, type[ObjectError]]:
    """Find every kind of error that the module defines."""
    found = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ObjectError)
    }
    del found["ObjectError"]
    return found


def test_every_error_is_on_one_side_and_drawn() -> None:
    """Whether to try again is decided from the class alone."""
    found = kinds()

    assert {name for name in found if issubclass(found[name], TransientError)} == TRANSIENT
    assert {name for name in found if issubclass(found[name], PermanentError)} == PERMANENT
    assert set(found) - TRANSIENT - PERMANENT == {"OutcomeUnknown"}
    assert all(name in str(errors.__doc__) for name in found)


def test_unknown_outcome_is_on_neither_side() -> None:
    """It must be read back: neither trying again nor parking may happen by a broad except."""
    error = OutcomeUnknown(URI)

    assert isinstance(error, SuiteError)
    assert not isinstance(error, TransientError | PermanentError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NotFound(URI), r"s3://colony-shots/a\nb.png: NotFound"),
        (NotFound(URI, Answer("NoSuchKey")), r"s3://colony-shots/a\nb.png: NoSuchKey"),
        (
            Throttled(URI, Answer("SlowDown", "please wait", 503)),
            r"s3://colony-shots/a\nb.png: SlowDown please wait",
        ),
        (
            Throttled(URI, Answer("SlowDown"), note="a storm"),
            r"s3://colony-shots/a\nb.png: a storm",
        ),
    ],
)
def test_message_names_the_object_and_the_reason(error: ObjectError, text: str) -> None:
    """One line, whatever is in the key."""
    assert str(error) == text


def test_code_is_the_service_s_own_or_the_class() -> None:
    """The log line must show an error code; without an answer there is still a word."""
    assert NotFound(URI, Answer("NoSuchKey")).code == "NoSuchKey"
    assert NotFound(URI).code == "NotFound"


@pytest.mark.parametrize(
    ("status", "kinds_of_it"),
    [
        (
            ExitStatus.UNREACHABLE,
            {
                "Throttled",
                "Unreachable",
                "ServerError",
                "AccessDenied",
                "BucketMissing",
                "CertificateInvalid",
                "OutcomeUnknown",
            },
        ),
        (ExitStatus.CREDENTIALS, {"CredentialsExpired"}),
    ],
)
def test_exit_status_says_what_is_wrong(status: ExitStatus, kinds_of_it: set[str]) -> None:
    """A unit restarts on 3 and 6, with growing delay, and a script tells the two apart."""
    assert {name for name, kind in kinds().items() if kind.status is status} == kinds_of_it


def test_daemon_outlives_what_is_mended_from_outside() -> None:
    """Every transient error, and of the others those that a bucket or its policy causes."""
    survivable = {name for name, kind in kinds().items() if kind.survivable}

    assert survivable == TRANSIENT | {"OutcomeUnknown", "AccessDenied", "BucketMissing"}


def test_error_knows_attempts_and_wait() -> None:
    """The retry policy asks any error of the suite, and knows none by name."""
    error = Throttled(URI, Answer("SlowDown", retry_after=7.0))

    error.note_attempts(3)

    assert (error.retry_after, error.answer.attempts) == (7.0, 3)
    assert SuiteError("no service said anything").retry_after == 0.0
