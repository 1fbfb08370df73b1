"""`towpath wildlife label-map`: what a detector's labels become."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from pipelines.wildlife.commands.call import add_form
from pipelines.wildlife.errors import InvalidInput, WildlifeStatus
from pipelines.wildlife.labels import (
    ALIASES,
    CORRECTIONS,
    VOCABULARY,
    Label,
    UnknownMap,
    find_corrections,
    label_of,
)
from shared.flags import OneLineParser

SUMMARY = "show what a detector's labels become"

_DESCRIPTION = """
    Show what labels become: those that are named, else the vocabulary and every alias. With --map
    the corrections of that name are applied first; what they change needs a person's look.
"""


def main(argv: Sequence[str]) -> int:
    """Print a line, or an object, for each label."""
    options = _parser().parse_args(list(argv))
    try:
        corrections = find_corrections(options.map)
    except UnknownMap as error:
        raise InvalidInput(f"--map: {error}") from error
    named: Iterable[str] = options.labels or sorted({*VOCABULARY, *ALIASES, *corrections})
    labels = [label_of(raw, corrections) for raw in named]
    if options.output == "json":
        sys.stdout.write(json.dumps([_object(label) for label in labels], indent=2) + "\n")
    else:
        sys.stdout.write("".join(_line(label) for label in labels))
    return WildlifeStatus.DONE


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser("towpath wildlife label-map", _DESCRIPTION)
    parser.add_argument("labels", nargs="*", metavar="LABEL", help="as a detector writes it")
    known = ", ".join(CORRECTIONS)
    parser.add_argument(
        "--map", default="", metavar="NAME", help=f"corrections to apply: {known} (default: none)"
    )
    add_form(parser)
    return parser


def _object(label: Label) -> Mapping[str, object]:
    return {
        "raw_label": label.raw,
        "label": label.name,
        "animal": label.is_animal,
        "needs_review": label.corrected,
    }


def _line(label: Label) -> str:
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in label.raw)
    return f"{shown:<16}{label.name}{'  (needs review)' if label.corrected else ''}\n"
