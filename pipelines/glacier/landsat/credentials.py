"""The file with a key that the AWS console offers when it makes one. Pure.

It lies in the home folder of who runs the step. Where there is none, GDAL looks for a key itself:
environment, profile, container, instance.
"""

import csv
import io
from dataclasses import dataclass, field

CREDENTIALS_FILE = "AWS_user_credentials.csv"
"""In the home folder."""
_KEY_ID, _SECRET = "Access key ID", "Secret access key"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key, and its secret."""

    key_id: str
    secret: str = field(repr=False)


def parse_credentials(content: bytes) -> Credentials:
    """Return the first key of a file; ValueError, which never tells what the file holds."""
    try:
        # The console puts a byte order mark in front.
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        row = {str(name).strip(): value for name, value in next(rows, {}).items()}
    except (UnicodeDecodeError, csv.Error):
        raise ValueError("is no CSV file") from None
    key_id, secret = (_cell(row.get(name)) for name in (_KEY_ID, _SECRET))
    if not key_id or not secret:
        raise ValueError(f"has no line with {_KEY_ID!r} and {_SECRET!r}")
    return Credentials(key_id, secret)


def _cell(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return text if text.isascii() and text.isprintable() else ""
