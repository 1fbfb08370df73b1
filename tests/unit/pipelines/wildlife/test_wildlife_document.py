import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wildlife.document.checks import check_document, derive_session, parse_document
from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.errors import InvalidInput
from scripts.reference_schemas import schemas

EXAMPLE: Mapping[str, object] = {
    "input_uri": "s3://bucket/raw/cam01/",
    "output_uri": "s3://bucket/out/run_001/",
    "budget_dkk": 25,
    "use_spot": True,
    "max_images": 1500,
    "max_job_duration": 3600,
    "weather_days_back": 7,
}
_SCHEMAS = Path(__file__).resolve().parents[4] / "pipelines/wildlife/schemas"


def _mistakes(**changed: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        check_document({**EXAMPLE, **changed})
    return str(caught.value).splitlines()


def test_the_documented_example_is_right() -> None:
    """It is what people copy first."""
    request = check_document(EXAMPLE)

    assert request.document.max_images == 1500
    assert (request.document.write_details, request.document.price_book) == (False, "reference")
    assert request.warnings == ()


def test_five_mistakes_are_five_lines() -> None:
    """Whoever mends one mistake a run gives up before the fifth."""
    whole_bucket = "s3://bucket/prefix/ with a prefix; a whole bucket is not taken"

    lines = _mistakes(
        input_uri="s3://bucket",
        budget_dkk="25",
        use_spot="yes",
        max_images=0,
        max_image=3,
    )

    assert lines == [
        "budget_dkk = '25' is not valid; allowed: a number from 0.01 to 10000",
        "use_spot = 'yes' is not valid; allowed: true or false",
        "max_images = 0 is not valid; allowed: a whole number from 1 to 50000",
        "max_image is not known; did you mean 'max_images'?",
        f"input_uri = 's3://bucket' is not valid; allowed: {whole_bucket}",
    ]


def test_an_unknown_price_book_is_named_with_the_other_mistakes() -> None:
    """It is a field like any other, and its mistake must not come up in the next try alone."""
    said = {**EXAMPLE, "price_book": "reverence", "max_images": 0}

    with pytest.raises(InvalidInput) as caught:
        check_document(said, books=("reference", "eu-north-1"))

    assert str(caught.value).splitlines() == [
        "max_images = 0 is not valid; allowed: a whole number from 1 to 50000",
        "price_book = 'reverence' is not known; known: 'eu-north-1', 'reference'",
    ]


def test_thousands_of_unknown_keys_fit_into_the_cause_of_an_execution() -> None:
    """A state machine passes on 32 KiB of an error; of more not even its name would come."""
    lines = _mistakes(**{f"k{number}": 1 for number in range(20_000)}, max_images=0)

    assert lines[0].startswith("max_images = 0 is not valid")
    assert lines[-1] == "19950 more keys are not known"
    assert len(lines) == 52
    assert len("\n".join(lines)) < 32_768


def test_a_key_twice_among_thousands_is_found_at_once() -> None:
    """Comparing each with all others took eleven seconds, of a minute that the guard has."""
    keys = ",".join(f'"k{number}": 1' for number in range(15_000))

    began = time.process_time()
    with pytest.raises(InvalidInput, match="has the key 'k14999' twice"):
        parse_document(f'{{{keys}, "k14999": 2}}')

    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget_dkk", True),
        ("budget_dkk", 0),
        ("budget_dkk", 10_000.01),
        ("budget_dkk", float("nan")),
        ("budget_dkk", float("inf")),
        ("budget_dkk", None),
        ("use_spot", 1),
        ("max_images", 50_001),
        ("max_images", 10.0),
        ("max_images", True),
        ("max_job_duration", 299),
        ("max_job_duration", 14_401),
        ("weather_days_back", 0),
        ("weather_days_back", 366),
        ("session_id", ""),
        ("session_id", "a/b"),
        ("session_id", "x" * 65),
        ("session_id", "line\n"),
        ("coordinates", [1, 2]),
        ("price_book", ""),
        ("input_uri", "http://bucket/prefix"),
        ("input_uri", "s3://BUCKET/prefix"),
        ("input_uri", "s3://bucket//"),
        ("input_uri", "s3://bucket/a\nb"),
        ("input_uri", "s3://bucket/\ud800"),
        ("input_uri", "file:///pictures"),
        ("output_uri", "file:///a%00b"),
        ("input_uri", 7),
    ],
)
def test_a_value_outside_its_limits_is_named(name: str, value: object) -> None:
    """Each line has the field, what was written, and what is allowed."""
    (line,) = _mistakes(**{name: value})

    assert line.startswith(f"{name} = ")
    assert "; allowed" in line


@pytest.mark.parametrize("missing", ["input_uri", "output_uri", "budget_dkk"])
def test_what_is_required_is_asked_for(missing: str) -> None:
    """There is no default for what is spent, or where."""
    said = {name: value for name, value in EXAMPLE.items() if name != missing}

    with pytest.raises(InvalidInput, match=f"^{missing} is required; allowed: "):
        check_document(said)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("s3://bucket/a", "s3://bucket/a/"),
        ("s3://bucket/a", "s3://bucket/a/b"),
        ("s3://bucket/a/b", "s3://bucket/a"),
    ],
)
def test_results_never_lie_among_the_pictures(source: str, target: str) -> None:
    """The next run would take crops for pictures."""
    (line,) = _mistakes(input_uri=source, output_uri=target)

    assert "must lie apart" in line


def test_neighbours_with_the_same_beginning_are_apart() -> None:
    """`cam1` is not within `cam10`."""
    said = {**EXAMPLE, "input_uri": "s3://bucket/cam1", "output_uri": "s3://bucket/cam10"}

    assert str(check_document(said).target) == "s3://bucket/cam10/"


def test_folders_are_for_the_local_mode() -> None:
    """On AWS nobody could read them."""
    said = {**EXAMPLE, "input_uri": "file:///pictures/a%20b", "output_uri": "file:///results"}

    request = check_document(said, local=True)

    assert request.source.prefix == "/pictures/a b/"
    with pytest.raises(InvalidInput, match="--mode local"):
        check_document(said)


def test_the_old_name_of_a_session_still_works() -> None:
    """Documents that people have name it `run_id`."""
    request = check_document({**EXAMPLE, "run_id": "night-1"})

    assert request.session_id == "night-1"
    assert request.warnings == ("run_id is an old name; write session_id",)
    (line,) = _mistakes(run_id="a", session_id="b")
    assert "differ" in line


def test_the_same_places_are_the_same_session() -> None:
    """A run that is started again finds what it did; how a slash was written plays no part."""
    first = derive_session(parse_place("s3://bucket/in"), parse_place("s3://bucket/out//"))
    second = derive_session(parse_place("s3://bucket/in//"), parse_place("s3://bucket/out"))

    # From `printf 's3://bucket/in/\ns3://bucket/out/' | sha256sum`.
    assert first == second == "run-7eec0024da94"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"budget_dkk": NaN}',
        '{"budget_dkk": 1, "budget_dkk": 2}',
        "[" * 100_000,
        '{"a": "' + "x" * 300_000 + '"}',
        b"\xff",
    ],
)
def test_what_is_no_document_is_one_line(text: str | bytes) -> None:
    """Hostile text costs a line, never a traceback."""
    with pytest.raises(InvalidInput) as caught:
        check_document(parse_document(text))

    assert "\n" not in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(said=st.dictionaries(st.sampled_from([*EXAMPLE, "coordinates", "x\n", ""]), _JSON))
def test_any_object_is_right_or_refused_in_lines(said: Mapping[str, object]) -> None:
    """Nothing but InvalidInput comes of anything that JSON can say."""
    with suppress(InvalidInput):
        check_document(json.loads(json.dumps(said)))


def test_the_schemas_are_those_of_the_models() -> None:
    """They are checked in for others to read: `make reference` writes them."""
    assert {each.name: each.read_text() for each in _SCHEMAS.glob("*.json")} == schemas()
