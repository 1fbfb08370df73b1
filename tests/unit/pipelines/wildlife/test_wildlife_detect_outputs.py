"""What comes out of models, and out of files and services that have looked already."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wildlife.detect.answers import BadAnswer, parse_answer
from pipelines.wildlife.detect.judging import RawDetection
from pipelines.wildlife.detect.model_labels import BadLabels, labels_of_names, parse_labels
from pipelines.wildlife.detect.outputs import (
    Hit,
    Layout,
    UnknownLayout,
    find_layout,
    read_hits,
)

_TARGET = (100, 100)
_KEYS = st.sampled_from(["label", "confidence", "bbox", "category", "conf", "detections"])
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=6,
)


def _hits(rows: object, layout: Layout, *, threshold: float = 0.3) -> list[Hit]:
    output = np.array([rows], dtype=np.float32)
    hits = read_hits(output, layout, _TARGET, threshold=threshold, overlap=0.5)
    return [replace(hit, score=round(hit.score, 4)) for hit in hits]


@pytest.mark.parametrize(
    ("shape", "classes", "own_form", "layout"),
    [
        ((1, 84, 8400), 80, False, Layout.CLASSES_FIRST),
        ((1, 25200, 85), 80, False, Layout.OBJECTNESS),
        ((1, 25200, 8), 3, True, Layout.OBJECTNESS),
        ((1, 7, 8400), 3, True, Layout.CLASSES_FIRST),
        ((1, 300, 6), 80, False, Layout.CORNERS),
        ((1, 300, 6), 3, True, Layout.CORNER_AND_SIZE),
        ((1, 300, 6), 1, False, Layout.OBJECTNESS),
    ],
)
def test_a_layout_is_known_by_its_shape(
    shape: Sequence[int], classes: int, own_form: object, layout: Layout
) -> None:
    """Exports of three generations are about, and none says which it is."""
    assert find_layout(shape, classes, corner_and_size=bool(own_form)) is layout


@pytest.mark.parametrize("shape", [(1, 84, 8400), (2, 7, 10), (7, 10), (1, 1, 7, 10), ()])
def test_a_shape_that_no_model_with_these_classes_has_is_refused(shape: Sequence[int]) -> None:
    """Boxes read with the wrong number of labels are boxes of anything."""
    with pytest.raises(UnknownLayout, match="labels"):
        find_layout(shape, 3, corner_and_size=False)


def test_each_layout_gives_the_same_boxes() -> None:
    """The detection does not depend on how a model was exported."""
    expected = [
        Hit((10.0, 20.0, 30.0, 60.0), 0.8, 1),
        Hit((50.0, 50.0, 60.0, 60.0), 0.4, 0),
    ]
    classes_first = np.array([[20, 40, 20, 40, 0.1, 0.8], [55, 55, 10, 10, 0.4, 0.2]]).T

    assert _hits(classes_first, Layout.CLASSES_FIRST) == expected
    assert (
        _hits([[20, 40, 20, 40, 0.8, 0.5, 1], [55, 55, 10, 10, 0.5, 0.8, 0]], Layout.OBJECTNESS)
        == expected
    )
    assert _hits([[50, 50, 60, 60, 0.4, 0], [10, 20, 30, 60, 0.8, 1]], Layout.CORNERS) == expected
    assert (
        _hits([[10, 20, 20, 40, 0.8, 1], [50, 50, 10, 10, 0.4, 0]], Layout.CORNER_AND_SIZE)
        == expected
    )
    shares = [[0.1, 0.2, 0.2, 0.4, 0.8, 1], [0.5, 0.5, 0.1, 0.1, 0.4, 0]]
    assert [hit.box for hit in _hits(shares, Layout.CORNER_AND_SIZE)] == [
        pytest.approx(hit.box) for hit in expected
    ]


def test_of_overlapping_boxes_of_a_class_the_surest_stays() -> None:
    """One animal is one box; two kinds at one place are two."""
    rows = [
        [0, 0, 10, 10, 0.7, 0],
        [0, 0, 10, 9, 0.9, 0],
        [0, 0, 10, 10, 0.6, 1],
        # Exactly half of the union: not more than the limit.
        [0, 0, 10, 4.5, 0.5, 0],
        [20, 20, 30, 30, 0.4, 0],
    ]

    assert [(hit.score, hit.number) for hit in _hits(rows, Layout.CORNERS)] == [
        (0.9, 0),
        (0.6, 1),
        (0.5, 0),
        (0.4, 0),
    ]


def test_nonsense_from_a_model_is_left_out() -> None:
    """A model in half precision overflows now and then."""
    nan, inf = float("nan"), float("inf")
    rows = [
        [nan, 0, 10, 10, 0.9, 0],
        [0, 0, inf, 10, 0.9, 0],
        [0, 0, 10, 10, nan, 0],
        [0, 0, 10, 10, inf, 0],
        [0, 0, 10, 10, 0.2, 0],
    ]

    assert _hits(rows, Layout.CORNERS) == []
    assert _hits(np.zeros((0, 6)), Layout.CORNERS) == []
    assert _hits(np.zeros((0, 6)), Layout.CORNER_AND_SIZE) == []


def test_a_model_gone_mad_is_bounded() -> None:
    """A picture of boxes everywhere must not take minutes and gigabytes."""
    corner = np.random.default_rng(1).uniform(0, 1000, (6_000, 2))
    rows = np.hstack([corner, corner + 1, np.full((6_000, 1), 0.9), np.zeros((6_000, 1))])

    assert len(_hits(rows, Layout.CORNERS)) == 300


def test_an_answer_is_read_in_both_forms() -> None:
    """What MegaDetector has written already need not be converted by hand."""
    ours = [{"label": "moose", "confidence": 0.9, "bbox": [10, 20, 30.5, 40]}]
    theirs = {
        "detections": [
            {"category": "1", "conf": 0.9, "bbox": [0.1, 0.2, 0.5, 0.25]},
            {"category": "7", "conf": 0.8, "bbox": [0, 0, 1, 1]},
        ]
    }
    named = {**theirs, "detection_categories": {"1": "fox", "7": "bear"}}

    assert parse_answer(json.dumps(ours).encode(), (100, 200)) == [
        RawDetection("moose", 0.9, (10.0, 20.0, 30.5, 40.0))
    ]
    assert parse_answer(json.dumps(theirs).encode(), (100, 200)) == [
        RawDetection("animal", 0.9, (10.0, 40.0, 60.0, 90.0)),
        RawDetection("", 0.8, (0.0, 0.0, 100.0, 200.0)),
    ]
    assert [each.label for each in parse_answer(json.dumps(named).encode(), (100, 200))] == [
        "fox",
        "bear",
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"label": "fox"},
        {"label": "fox", "confidence": "0.9", "bbox": [1, 2, 3]},
        {"label": "fox", "confidence": True, "bbox": "1234"},
        {"label": "fox", "confidence": None, "bbox": [1, 2, 3, None]},
        {"category": "1", "conf": [], "bbox": {}},
    ],
)
def test_a_box_or_score_that_is_missing_is_left_to_the_filter(said: object) -> None:
    """It has a reason for it, which is counted; the other boxes of the picture stay."""
    [found] = parse_answer(json.dumps([said]).encode(), (100, 100))

    assert (found.confidence, found.bbox) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b'{"detections": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps([{"label": "fox"}] * 1001).encode(),
    ],
)
def test_what_is_no_list_of_detections_is_refused(body: bytes) -> None:
    """It comes from outside."""
    with pytest.raises(BadAnswer):
        parse_answer(body, (100, 100))


@given(_ANY_JSON)
def test_any_json_is_read_or_refused(said: object) -> None:
    """Nothing else may come out, whatever somebody wrote."""
    try:
        found = parse_answer(json.dumps(said).encode(), (100, 100))
    except BadAnswer:
        return
    assert all(isinstance(each.label, str) for each in found)


def test_labels_are_read_as_exports_write_them() -> None:
    """A model that names its classes needs no file of labels."""
    assert labels_of_names("{0: 'moose', 1: 'roe deer'}") == ("moose", "roe deer")
    assert labels_of_names('{"1": "fox", "0": "bear"}') == ("bear", "fox")
    assert labels_of_names("['a', 'b']") == ("a", "b")
    assert parse_labels(b'["a", "b"]') == ("a", "b")


@pytest.mark.parametrize(
    "text",
    ["", "1", "{}", "{0: 1}", "{1: 'a'}", "{'x': 'a'}", "['']", "open('x')", "(" * 200, "{[]: 1}"],
)
def test_what_names_no_classes_is_refused(text: str) -> None:
    """A model's own text is input from outside as well."""
    with pytest.raises(BadLabels):
        labels_of_names(text)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"[]", b'["' + b"x" * 201 + b'"]'])
def test_what_is_no_list_of_labels_is_refused(body: bytes) -> None:
    """It may be any file that somebody named by mistake."""
    with pytest.raises(BadLabels):
        parse_labels(body)
