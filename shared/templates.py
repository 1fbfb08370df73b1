"""Command templates: an argument list with placeholders such as `{cid}`. Pure.

Rule: a value goes into the one argument that names it, verbatim; nothing is split, quoted or
expanded after a value was put in.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}|[{}]")


def fill_template(template: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the argument list with every placeholder replaced; `{{` and `}}` are single braces."""
    check_template(template, values)

    def replaced(match: re.Match[str]) -> str:
        return values[match[1]] if match[1] else match[0][0]

    return tuple(_PIECE.sub(replaced, argument) for argument in template)


def check_template(template: Sequence[str], allowed: Iterable[str]) -> frozenset[str]:
    """Return the placeholders that a template uses; ValueError for one that is not allowed."""
    if not template or not template[0]:
        raise ValueError("a command needs a program as its first word")
    names = set(allowed)
    used: set[str] = set()
    for argument in template:
        if "\0" in argument:
            raise ValueError(f"argument {argument!r} has a NUL, which no program can be given")
        for match in _PIECE.finditer(argument):
            if match[0] in {"{", "}"}:
                raise ValueError(
                    f"argument {argument!r} has a single brace; write {match[0] * 2!r} for a brace"
                )
            if match[1] and match[1] not in names:
                listed = ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"
                raise ValueError(f"unknown placeholder {match[0]!r}; allowed are {listed}")
            if match[1]:
                used.add(match[1])
    return frozenset(used)


def parse_template(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return an argument list given as a list, as a JSON list, or as words quoted as in a shell."""
    if not isinstance(value, str):
        words: object = list(value)
    elif value.lstrip().startswith("["):
        words = _json_list(value)
    else:
        words = _shell_words(value)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"a command is a list of texts, not {value!r}")
    if not words or not words[0]:
        raise ValueError("a command needs a program as its first word")
    return tuple(words)


def _json_list(text: str) -> object:
    """Read a JSON list."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{text!r} begins as a JSON list and is none: {error}") from None


def _shell_words(text: str) -> list[str]:
    """Split as a shell would, without doing anything else that a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"command {text!r} cannot be split: {error}") from None
