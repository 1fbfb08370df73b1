import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wildlife.command import main
from pipelines.wildlife.labels import (
    ALIASES,
    CORRECTIONS,
    OTHER,
    VOCABULARY,
    find_corrections,
    label_of,
)
from shared.cli import run_command


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("roe deer", "roe_deer"),
        ("Roe-Deer", "roe_deer"),
        ("roedeer", "roe_deer"),
        ("elk", "moose"),
        ("Vulpes vulpes", "fox"),
        ("wild_boar", "boar"),
        ("person", "human"),
        ("animal", "unknown"),
        ("hare", "hare"),
        ("bear", "bear"),
        ("cow", "other"),
        ("", "other"),
    ],
)
def test_a_label_becomes_one_of_ours(raw: str, name: str) -> None:
    """Tables of years are joined by these names."""
    label = label_of(raw)

    assert (label.raw, label.name, label.corrected) == (raw, name, False)


@pytest.mark.parametrize(
    ("raw", "name"),
    [("cow", "moose"), ("sheep", "roe_deer"), ("bear", "boar"), ("kitten", "fox"), ("Dog", "boar")],
)
def test_corrections_are_asked_for_and_marked(raw: str, name: str) -> None:
    """They hide real bears and dogs: a person has to look."""
    label = label_of(raw, find_corrections("swedish-coco"))

    assert (label.name, label.corrected) == (name, True)


def test_what_corrections_do_not_know_is_left() -> None:
    """A moose that was recognised as one needs no look."""
    assert not label_of("moose", find_corrections("swedish-coco")).corrected


@given(raw=st.text(max_size=20))
def test_anything_becomes_a_word_of_the_vocabulary(raw: str) -> None:
    """Whatever a model was trained on, and twice is once."""
    name = label_of(raw).name

    assert name in VOCABULARY
    assert label_of(name).name == name


def test_aliases_and_corrections_lead_into_the_vocabulary() -> None:
    """A name that leads nowhere would be `other` without a word."""
    targets = {*ALIASES.values(), *(to for each in CORRECTIONS.values() for to in each.values())}

    assert targets <= VOCABULARY - {OTHER}


def test_the_command_shows_what_becomes_of_labels(capsys: pytest.CaptureFixture[str]) -> None:
    """Before a run is paid for, people see what their model's words become."""
    argv = ["label-map", "cow", "elk", "--map", "swedish-coco", "--output", "json"]

    status = run_command("wildlife", main, argv)

    said = json.loads(capsys.readouterr().out)
    assert status == 0
    assert [(each["label"], each["needs_review"]) for each in said] == [
        ("moose", True),
        ("moose", False),
    ]


def test_a_map_that_is_not_known_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped name must not mean that nothing is corrected."""
    status = run_command("wildlife", main, ["label-map", "--map", "coco"])

    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert "--map: label map 'coco' is not known; known: 'swedish-coco'" in said.err
