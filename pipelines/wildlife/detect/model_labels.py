"""The names of a model's classes, from a file or as exports carry them. Pure."""

import ast
import json
from collections.abc import Sequence

from pipelines.wildlife.detect.answers import LABEL_MAX

LABELS_MAX = 10_000
LABELS_BYTES_MAX = 1024 * 1024
_NESTED_MAX = 64 * 1024
"""Deeper or longer literals are no names, and could take the parser's stack."""


class BadLabels(ValueError):
    """These are no names of classes."""


def parse_labels(body: bytes) -> Sequence[str]:
    """Read a JSON list of names in the order of the outputs; BadLabels."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadLabels(f"it is no JSON: {error}") from error
    if not isinstance(said, list):
        raise BadLabels("it is no list of names")
    return _checked(said)


def labels_of_names(text: str) -> Sequence[str]:
    """Read what an export says of itself: `{0: 'moose', 1: 'fox'}`; BadLabels."""
    if not text:
        raise BadLabels("it does not name its classes; set model_labels_uri to a list of them")
    try:
        said = ast.literal_eval(text[:_NESTED_MAX])
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise BadLabels(f"its names of classes cannot be read: {type(error).__name__}") from error
    if isinstance(said, dict):
        if sorted(map(str, said)) != sorted(map(str, range(len(said)))):
            raise BadLabels("its names of classes are not counted from 0")
        said = [each for _, each in sorted(said.items(), key=lambda item: int(item[0]))]
    if not isinstance(said, list | tuple):
        raise BadLabels("its names of classes are no list")
    return _checked(list(said))


def _checked(said: Sequence[object]) -> Sequence[str]:
    if not 0 < len(said) <= LABELS_MAX:
        raise BadLabels(f"there are {len(said)} names of classes; from 1 to {LABELS_MAX}")
    names = [each for each in said if isinstance(each, str) and 0 < len(each) <= LABEL_MAX]
    if len(names) != len(said):
        raise BadLabels(f"a name of a class is no text of 1 to {LABEL_MAX} characters")
    return tuple(names)
