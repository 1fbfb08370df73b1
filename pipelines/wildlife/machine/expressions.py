"""What a definition has computed: fields whose names end with `.$`, and `States.Format`. Pure.

| value of `name.$`                | becomes                                              |
|----------------------------------|------------------------------------------------------|
| `$.a.b`                          | what the document has there                          |
| `States.Format('{} of {}', ...)` | the text, each `{}` filled with the next argument    |

Arguments are paths, texts in single quotes, numbers, `true`, `false`, `null`. No other function of
Step Functions is known here; a definition that uses one is refused when it is read.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipelines.wildlife.machine.paths import BadPath, parse_path, read_path

_FORMAT = re.compile(r"States\.Format\((.*)\)", re.DOTALL)
_ARGUMENT = re.compile(
    r"\s*(?:'(?P<text>(?:[^'\\]|\\.)*)'|(?P<path>\$[^\s,')]*)"
    r"|(?P<plain>-?\d+(?:\.\d+)?|true|false|null))\s*(?P<end>,|$)",
    re.DOTALL,
)
_PIECE = re.compile(r"\\(.)|(\{\})|([^\\{}]+)|(.)", re.DOTALL)
COMPUTED = ".$"
"""Ends the name of a field that is computed."""


class BadExpression(ValueError):
    """This is no expression that is known here."""


class Unfit(ValueError):
    """An argument is none that a text can be made of."""


@dataclass(frozen=True, slots=True)
class Path:
    """An argument that is looked up."""

    path: str


@dataclass(frozen=True, slots=True)
class Constant:
    """An argument that stands for itself."""

    value: object


@dataclass(frozen=True, slots=True)
class Format:
    """A text with holes; None is a hole."""

    pieces: tuple[str | None, ...]
    arguments: tuple[Path | Constant, ...]


Expression: TypeAlias = Path | Format


def parse_expression(text: str) -> Expression:
    """Read the value of a computed field; BadExpression."""
    match = _FORMAT.fullmatch(text.strip())
    if match is not None:
        return _format(match[1], text)
    try:
        parse_path(text)
    except BadPath as error:
        raise BadExpression(f"{error}, or States.Format('...', ...)") from error
    return Path(text)


def evaluate(expression: Expression, document: object) -> object:
    """Return what an expression is worth; NothingThere, Unfit."""
    if isinstance(expression, Path):
        return read_path(expression.path, document)
    values = iter([_value(argument, document) for argument in expression.arguments])
    return "".join(
        _written(next(values)) if piece is None else piece for piece in expression.pieces
    )


def fill(template: object, document: object) -> object:
    """Return a template with every computed field filled from a document.

    Raises:
        NothingThere: a path leads nowhere.
        Unfit: an argument is an object or a list.
        BadExpression: an expression is none; `check_template` tells it before.
    """
    if isinstance(template, Mapping):
        return dict(_fields(template, document))
    if isinstance(template, list):
        return [fill(each, document) for each in template]
    return template


def check_template(template: object) -> Iterator[str]:
    """Yield what is wrong with a template."""
    if isinstance(template, list):
        for each in template:
            yield from check_template(each)
    if not isinstance(template, Mapping):
        return
    for name, value in template.items():
        if not str(name).endswith(COMPUTED):
            yield from check_template(value)
        elif not isinstance(value, str):
            yield f"{name!r} must be text, not {value!r}"
        else:
            yield from _check(value)


def _check(text: str) -> Iterator[str]:
    try:
        parse_expression(text)
    except BadExpression as error:
        yield str(error)


def _fields(template: Mapping[object, object], document: object) -> Iterator[tuple[str, object]]:
    for key, value in template.items():
        name = str(key)
        if name.endswith(COMPUTED):
            yield name.removesuffix(COMPUTED), evaluate(parse_expression(str(value)), document)
        else:
            yield name, fill(value, document)


def _format(inside: str, whole: str) -> Format:
    first, *arguments = _arguments(inside, whole)
    if not isinstance(first, Constant) or not isinstance(first.value, str):
        raise BadExpression(f"{whole[:200]!r} must begin with a text in single quotes")
    pieces = tuple(_pieces(first.value, whole))
    if pieces.count(None) != len(arguments):
        holes = pieces.count(None)
        raise BadExpression(f"{whole[:200]!r} has {holes} of {{}} for {len(arguments)} arguments")
    return Format(pieces, tuple(arguments))


def _arguments(inside: str, whole: str) -> list[Path | Constant]:
    found: list[Path | Constant] = []
    position, more = 0, True
    while more:
        match = _ARGUMENT.match(inside, position)
        if match is None:
            raise BadExpression(f"{whole[:200]!r} has an argument that is not understood")
        found.append(_argument(match, whole, is_first=not found))
        position, more = match.end(), match["end"] == ","
    return found


def _argument(match: "re.Match[str]", whole: str, *, is_first: bool) -> Path | Constant:
    if match["path"] is not None:
        try:
            parse_path(match["path"])
        except BadPath as error:
            raise BadExpression(f"{whole[:200]!r}: {error}") from error
        return Path(match["path"])
    if match["plain"] is not None:
        return Constant(json.loads(match["plain"]))
    text = match["text"]
    # Of the first the braces still have to be told from escaped ones.
    return Constant(text if is_first else re.sub(r"\\(.)", r"\1", text))


def _pieces(text: str, whole: str) -> Iterator[str | None]:
    for escaped, hole, plain, other in _PIECE.findall(text):
        if other:
            raise BadExpression(f"{whole[:200]!r} has a lonely {other!r}; write \\{other}")
        yield None if hole else escaped or plain


def _value(argument: Path | Constant, document: object) -> object:
    return read_path(argument.path, document) if isinstance(argument, Path) else argument.value


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | list):
        raise Unfit("States.Format takes texts, numbers, true, false and null alone")
    return json.dumps(value)
