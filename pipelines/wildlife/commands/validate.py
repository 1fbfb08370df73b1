"""`towpath wildlife validate`: whether an input document is right; nobody is asked."""

import json
import sys
from collections.abc import Sequence

from pipelines.wildlife.commands.call import add_form, add_input, read_document
from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.document.checks import Request, check_document
from pipelines.wildlife.errors import WildlifeStatus
from shared.flags import OneLineParser

SUMMARY = "check an input document, and name every mistake in it"

_DESCRIPTION = """
    Check an input document: every mistake is a line on stderr, and the status is 2.

    Folders (file://) are allowed, as `run --mode local` takes them. Nobody is asked whether what
    the document names is there.
"""


def main(argv: Sequence[str]) -> int:
    """Check one document."""
    parser = OneLineParser("towpath wildlife validate", _DESCRIPTION)
    add_input(parser)
    add_form(parser)
    options = parser.parse_args(list(argv))
    request = check_document(read_document(options.input), local=True, books=BOOKS)
    for warning in request.warnings:
        sys.stderr.write(f"towpath wildlife validate: warning: {warning}\n")
    sys.stdout.write(_json(request) if options.output == "json" else _text(request))
    return WildlifeStatus.DONE


def _json(request: Request) -> str:
    said = request.document.model_dump(mode="json") | {
        "input_uri": str(request.source),
        "output_uri": str(request.target),
        "session_id": request.session_id,
    }
    return json.dumps(said, indent=2) + "\n"


def _text(request: Request) -> str:
    return (
        f"valid: session {request.session_id}, pictures of {request.source}, "
        f"results to {request.target}\n"
    )
