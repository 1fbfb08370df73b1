"""What all commands take: the input document, from a file or from standard input."""

import argparse
import sys
from pathlib import Path

from pipelines.wildlife.document.checks import DOCUMENT_BYTES_MAX, parse_document
from pipelines.wildlife.errors import InvalidInput

_REGION = "eu-north-1"


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add `--input`."""
    parser.add_argument(
        "--input", required=True, metavar="FILE", help="the input document, JSON; - is stdin"
    )


def add_form(parser: argparse.ArgumentParser) -> None:
    """Add `--output`, the form of what is printed."""
    parser.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="form of what is printed (default: text)",
    )


def add_account(parser: argparse.ArgumentParser) -> None:
    """Add where S3 is, and as whom to speak to it."""
    parser.add_argument(
        "--region",
        "--aws-region",
        dest="aws_region",
        default=_REGION,
        metavar="NAME",
        help=f"region (default: {_REGION})",
    )
    parser.add_argument("--profile", metavar="NAME", help="profile of the AWS configuration")
    parser.add_argument("--endpoint-url", metavar="URL", help="where S3 is, if not at AWS")


def read_document(name: str) -> object:
    """Return the document of a file, or of standard input; InvalidInput."""
    # One byte more than is allowed is enough to refuse it.
    if name == "-":
        return parse_document(sys.stdin.buffer.read(DOCUMENT_BYTES_MAX + 1))
    try:
        with Path(name).open("rb") as stream:
            return parse_document(stream.read(DOCUMENT_BYTES_MAX + 1))
    except OSError as error:
        raise InvalidInput(
            f"--input {name!r} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error


def say(command: str, text: str) -> None:
    """Say something on stderr, a line that names who says it."""
    sys.stderr.write(f"towpath wildlife {command}: {text}\n")
    sys.stderr.flush()
