"""Checking an input document: every mistake is found, each is one line with the field's name. Pure.

| mistake                                  | line                                                 |
|------------------------------------------|------------------------------------------------------|
| no JSON, no object, a key twice          | what is wrong with the whole                         |
| an unknown key                           | the key, and what it may have been meant for; after  |
|                                          | fifty of them the number of the others               |
| a value of another type or out of limits | the field, the value, what is allowed                |
| prices that nobody has written down      | `price_book`, and those that there are               |
| results within the pictures or around    | `output_uri`, and what it collides with              |
| `run_id`, the old name                   | a warning; a mistake if `session_id` says otherwise  |
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256

from pydantic import ValidationError

from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.models.input import BOOK_NAME_MAX, InputDocument

DOCUMENT_BYTES_MAX = 256 * 1024
_SHOWN_MAX = 80
_UNKNOWN_MAX = 50
"""Lines about unknown keys: what a state machine passes on of an error is no more than 32 KiB."""
_OLD_SESSION = "run_id"
_UNKNOWN = "extra_forbidden"
_ALLOWED: Mapping[str, str] = {
    "input_uri": "s3://bucket/prefix/, or file:///folder/ in local mode",
    "output_uri": "s3://bucket/prefix/, or file:///folder/ in local mode",
    "budget_dkk": "a number from 0.01 to 10000",
    "use_spot": "true or false",
    "max_images": "a whole number from 1 to 50000",
    "max_job_duration": "a whole number of seconds from 300 to 14400",
    "weather_days_back": "a whole number of days from 1 to 365",
    "session_id": "1 to 64 characters A-Z a-z 0-9 _ -",
    "coordinates": '{"lat": -90 to 90, "lon": -180 to 180}',
    "coordinates.lat": "a number from -90 to 90",
    "coordinates.lon": "a number from -180 to 180",
    "write_details": "true or false",
    "price_book": "the name of a price book",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A document that was found to be right."""

    document: InputDocument
    source: Place
    target: Place
    session_id: str
    warnings: tuple[str, ...] = ()


def parse_document(text: str | bytes) -> object:
    """Read JSON in which no key comes twice and every number is one; InvalidInput."""
    if len(text) > DOCUMENT_BYTES_MAX:
        raise InvalidInput(f"the document is longer than {DOCUMENT_BYTES_MAX} bytes")
    try:
        return json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse_constant)
    except _Refused as error:
        raise InvalidInput(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the document is not valid JSON: {str(error)[:200]}") from error


def check_document(said: object, *, local: bool = False, books: Collection[str] = ()) -> Request:
    """Return what a document asks for; InvalidInput has a line for each mistake.

    Folders (`file://`) are taken with `local` alone. `books` are the names of the price books that
    there are; with none of them any is taken.
    """
    if not isinstance(said, Mapping):
        raise InvalidInput(f"the document must be a JSON object, not {_shown(said)}")
    fields, problems, warnings = _renamed(said)
    try:
        document = InputDocument.model_validate(fields)
    except ValidationError as error:
        problems += _problems(error)
        document = None
    problems += _of_book(fields.get("price_book"), books)
    places = {
        name: _place(name, fields.get(name), problems, local=local)
        for name in ("input_uri", "output_uri")
    }
    source, target = places["input_uri"], places["output_uri"]
    if source and target and source.overlaps(target):
        problems.append(
            f"output_uri {_shown(fields['output_uri'])} must lie apart from input_uri "
            f"{_shown(fields['input_uri'])}; neither may contain the other"
        )
    if problems or document is None or source is None or target is None:
        raise InvalidInput("\n".join(dict.fromkeys(problems)))
    session = document.session_id or derive_session(source, target)
    return Request(document, source, target, session, tuple(warnings))


def derive_session(source: Place, target: Place) -> str:
    """Return the name of a run between two places, the same each time."""
    digest = sha256(f"{source}\n{target}".encode()).hexdigest()
    return f"run-{digest[:12]}"


class _Refused(ValueError):
    """JSON that Python would read, and nobody else."""


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise _Refused(f"the document has the key {_shown(twice)} twice")
    return found


def _refuse_constant(name: str) -> object:
    raise _Refused(f"the document holds {name}, which is no number in JSON")


def _renamed(said: Mapping[object, object]) -> tuple[dict[str, object], list[str], list[str]]:
    """Return the fields by today's names, the mistakes and the warnings in this."""
    fields = {str(name): value for name, value in said.items()}
    if _OLD_SESSION not in fields:
        return fields, [], []
    old = fields.pop(_OLD_SESSION)
    if fields.setdefault("session_id", old) != old:
        line = f"run_id {_shown(old)} and session_id {_shown(fields['session_id'])} differ"
        return fields, [f"{line}; give session_id alone"], []
    return fields, [], ["run_id is an old name; write session_id"]


def _problems(error: ValidationError) -> list[str]:
    faults = [dict(each) for each in error.errors(include_url=False)]
    unknown = [each for each in faults if each["type"] == _UNKNOWN]
    known = [each for each in faults if each["type"] != _UNKNOWN]
    lines = [_problem(each) for each in (*known, *unknown[:_UNKNOWN_MAX])]
    more = len(unknown) - _UNKNOWN_MAX
    return [*lines, f"{more} more keys are not known"] if more > 0 else lines


def _problem(fault: Mapping[str, object]) -> str:
    location = fault["loc"]
    parts = [str(part) for part in location] if isinstance(location, tuple) else []
    name = ".".join(parts)[:_SHOWN_MAX]
    if fault["type"] == _UNKNOWN:
        return _unknown(parts)
    allowed = _ALLOWED.get(name, "another value")
    if fault["type"] == "missing":
        return f"{name} is required; allowed: {allowed}"
    return f"{name} = {_shown(fault['input'])} is not valid; allowed: {allowed}"


def _unknown(parts: list[str]) -> str:
    known: Iterable[str] = ("lat", "lon") if len(parts) > 1 else InputDocument.model_fields
    near = get_close_matches(parts[-1], list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"{_shown('.'.join(parts))[1:-1]} is not known; {hint}"


def _of_book(name: object, books: Collection[str]) -> list[str]:
    """Return what is wrong with a price book that may be named; another line tells what may not."""
    if (
        not books
        or not isinstance(name, str)
        or name in books
        or not 0 < len(name) <= BOOK_NAME_MAX
    ):
        return []
    known = ", ".join(map(repr, sorted(books)))
    return [f"price_book = {_shown(name)} is not known; known: {known}"]


def _place(name: str, said: object, problems: list[str], *, local: bool) -> Place | None:
    if not isinstance(said, str):
        return None
    try:
        place = parse_place(said)
    except ValueError as error:
        problems.append(f"{name} = {_shown(said)} is not valid; allowed: {error}")
        return None
    if place.scheme == "file" and not local:
        problems.append(f"{name} = {_shown(said)} is a folder; allowed with --mode local alone")
        return None
    return place


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
