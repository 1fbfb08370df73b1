"""Reads the file with a key, where there is one."""

from pathlib import Path

from pipelines.glacier.landsat.credentials import (
    CREDENTIALS_FILE,
    Credentials,
    parse_credentials,
)
from shared.errors import UsageError

_BYTES_MAX = 64 * 1024


def load_credentials(home: Path) -> Credentials | None:
    """Read the file, None where there is none; UsageError where it does not hold a key."""
    path = home / CREDENTIALS_FILE
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"credentials {str(path)!r} cannot be read: {error.strerror}") from error
    try:
        return parse_credentials(content)
    except ValueError as error:
        raise UsageError(
            f"credentials {str(path)!r} {error}; make it as the AWS console does, or remove it"
        ) from None
