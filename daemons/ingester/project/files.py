"""Small files of the project's root: read with a bound, and named when they are wrong."""

import json
from collections.abc import Mapping
from pathlib import Path

from daemons.ingester.project.dotenv import parse_dotenv
from shared.errors import UsageError

_LARGEST_BYTES = 4 * 1024 * 1024


def read_text(path: Path) -> str | None:
    """Return a file's text, None where there is none; UsageError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            body = stream.read(_LARGEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if len(body) > _LARGEST_BYTES:
        raise UsageError(f"{str(path)!r} is larger than {_LARGEST_BYTES} bytes; it cannot be right")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(path)!r} is not UTF-8 at byte {error.start}; save it so") from None


def read_object(path: Path) -> Mapping[str, object] | None:
    """Return the JSON object in a file, None where there is no file; UsageError for another."""
    text = read_text(path)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{str(path)!r} holds a JSON {type(found).__name__}; it must be an object")
    return found


def read_variables(path: Path) -> Mapping[str, str]:
    """Return the variables in a file, none where there is no file; UsageError names bad lines."""
    text = read_text(path)
    try:
        return parse_dotenv(text or "")
    except ValueError as error:
        raise UsageError(f"{str(path)!r} {error}; comments begin with '#'") from None
