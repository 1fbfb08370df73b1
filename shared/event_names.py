"""Which events a service can log, read from its source without running it.

An event's name is a constant text in a call such as `log.info("file_uploaded", ...)`: the house
keeps it so, and that makes the list complete. Rule: nothing is imported, so this is quick and has
no effects.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

_LEVELS = ("debug", "info", "warning", "error", "critical")
_NAME_ARGUMENT = {**dict.fromkeys(_LEVELS, 0), "log": 1}
"""Which argument of each method is the event."""


def events_of(package: str) -> Mapping[str, str]:
    """Return the events that a package and `shared` can log, with the level of each, by name."""
    found: dict[str, str] = {}
    for name in ("shared", package):
        for path in _sources(name):
            source = path.read_bytes()
            if b"get_logger()" in source:  # parsing the others would take most of the time
                for event, level in _events(ast.parse(source)):
                    found.setdefault(event, level)
    return dict(sorted(found.items()))


def _sources(package: str) -> Iterator[Path]:
    """Yield the modules of a package."""
    spec = find_spec(package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in folders:
        yield from sorted(Path(folder).rglob("*.py"))


def _events(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield event and level of each call that logs."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.Assign)]
    named = _texts_by_name(nodes)
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=method), args=arguments):
                at = _NAME_ARGUMENT.get(method)
                if at is not None and len(arguments) > at:
                    level = "any" if method == "log" else method
                    yield from ((event, level) for event in _texts(arguments[at], named))


def _texts_by_name(nodes: Iterable[ast.AST]) -> Mapping[str, list[str]]:
    """Return the constant texts that a module gives to each of its names."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value):
                found.setdefault(name, []).extend(_texts(value, {}))
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=False):
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).extend(_texts(value, {}))
    return found


def _texts(node: ast.expr, named: Mapping[str, list[str]]) -> list[str]:
    """Return the texts that an expression can be."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body, named) + _texts(orelse, named)
        case ast.Name(name):
            return named.get(name, [])
        case _:
            return []
