"""Which detections are kept, which are doubtful, and what is cut out of pictures."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wildlife.detect.geometry import Size, clamp, crop_box, letterbox
from pipelines.wildlife.detect.judging import (
    Doubt,
    Dropped,
    Kept,
    RawDetection,
    Reason,
    Rules,
    judge,
)
from pipelines.wildlife.detect.species import BUILT_IN, BadLimits, Limits, parse_limits
from pipelines.wildlife.labels import find_corrections, label_of
from pipelines.wildlife.models.detections import Box

_SIZE = (1000, 1000)
_MIDDLE = (300.0, 300.0, 500.0, 500.0)
_NUMBERS = st.floats(-1e9, 1e9)
_BOXES = st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS)
_SIZES = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))


def _judged(
    label: str,
    score: float | None,
    box: Box | None,
    *,
    rules: Rules | None = None,
    size: Size = _SIZE,
) -> Kept | Dropped:
    return judge(RawDetection(label, score, box), label_of(label), size, rules or Rules())


@pytest.mark.parametrize(
    ("label", "score", "box", "reason"),
    [
        ("deer", None, _MIDDLE, "invalid_bbox"),
        ("deer", 0.9, None, "invalid_bbox"),
        ("deer", math.nan, _MIDDLE, "invalid_bbox"),
        ("deer", 1.5, _MIDDLE, "invalid_bbox"),
        ("deer", 0.9, (math.nan, 0.0, 10.0, 10.0), "invalid_bbox"),
        ("deer", 0.9, (0.0, 0.0, math.inf, 10.0), "invalid_bbox"),
        ("deer", 0.29, _MIDDLE, "confidence"),
        # The score comes before the shape: a box turned inside out is not looked at.
        ("deer", 0.29, (500.0, 500.0, 300.0, 300.0), "confidence"),
        ("deer", 0.9, (500.0, 300.0, 500.0, 500.0), "invalid_bbox"),
        ("deer", 0.9, (500.0, 500.0, 300.0, 300.0), "invalid_bbox"),
        ("deer", 0.9, (1200.0, 300.0, 1400.0, 500.0), "invalid_bbox"),
        ("deer", 0.9, (300.0, 300.0, 350.0, 359.0), "area"),
        ("deer", 0.9, (20.0, 20.0, 980.0, 980.0), "area"),
        ("deer", 0.9, (300.0, 300.0, 400.0, 801.0), "aspect_ratio"),
        ("deer", 0.9, (300.0, 300.0, 801.0, 400.0), "aspect_ratio"),
        ("moose", 0.39, _MIDDLE, "confidence"),
        ("elk", 0.39, _MIDDLE, "confidence"),
        ("moose", 0.9, (300.0, 300.0, 399.0, 399.0), "area"),
        ("wild_boar", 0.34, _MIDDLE, "confidence"),
        ("roe_deer", 0.9, (100.0, 100.0, 740.0, 740.0), "area"),
        ("fox", 0.24, _MIDDLE, "confidence"),
        ("badger", 0.19, _MIDDLE, "confidence"),
        ("badger", 0.9, (100.0, 100.0, 560.0, 560.0), "area"),
    ],
)
def test_the_first_test_that_fails_is_the_reason(
    label: str, score: float | None, box: Box | None, reason: str
) -> None:
    """Reports count drops by reason, and people tune thresholds by them."""
    assert _judged(label, score, box) == Dropped(Reason(reason))


@pytest.mark.parametrize(
    ("label", "score", "box", "doubts"),
    [
        ("deer", 0.35, _MIDDLE, ()),
        ("deer", 0.3, _MIDDLE, ("low_confidence",)),
        ("deer", 0.349, _MIDDLE, ("low_confidence",)),
        ("deer", 0.9, (12.0, 300.0, 200.0, 500.0), ()),
        ("deer", 0.9, (11.9, 300.0, 200.0, 500.0), ("edge_proximity",)),
        ("deer", 0.9, (800.0, 800.0, 988.5, 988.0), ("edge_proximity",)),
        ("deer", 0.9, (300.0, 300.0, 360.0, 350.0), ("small_area",)),
        ("deer", 0.9, (300.0, 300.0, 400.0, 400.0), ()),
        ("deer", 0.9, (300.0, 300.0, 400.0, 800.0), ()),
        ("moose", 0.9, (300.0, 300.0, 422.0, 422.0), ("small_area",)),
        ("moose", 0.9, (19.0, 300.0, 300.0, 500.0), ("edge_proximity",)),
        ("badger", 0.2, (300.0, 300.0, 332.0, 332.0), ("low_confidence", "small_area")),
        ("badger", 0.9, (5.0, 300.0, 200.0, 500.0), ()),
    ],
)
def test_what_is_close_to_a_limit_is_kept_and_doubtful(
    label: str, score: float, box: Box, doubts: tuple[str, ...]
) -> None:
    """Half an animal at the border is one that a person should see, not one to lose."""
    assert _judged(label, score, box) == Kept(box, score, tuple(map(Doubt, doubts)))


def test_a_box_at_the_border_is_dropped_where_somebody_wants_that() -> None:
    """The policy of old configurations can be asked for."""
    box = (0.0, 300.0, 200.0, 500.0)

    assert _judged("deer", 0.9, box, rules=Rules(edge_policy="drop")) == Dropped(
        Reason.EDGE_PROXIMITY
    )


def test_a_corrected_label_is_doubtful() -> None:
    """The map for models that never saw a moose hides real bears."""
    label = label_of("cow", find_corrections("swedish-coco"))

    verdict = judge(RawDetection("cow", 0.9, _MIDDLE), label, _SIZE, Rules())

    assert verdict == Kept(_MIDDLE, 0.9, (Doubt.LABEL_CORRECTED,))


@given(box=_BOXES, size=_SIZES, score=st.floats(0, 1))
def test_what_is_kept_lies_within_the_picture(box: Box, size: Size, score: float) -> None:
    """The table of detections promises it, and crops rely on it."""
    verdict = _judged("deer", score, box, size=size)

    if isinstance(verdict, Kept):
        x1, y1, x2, y2 = verdict.box
        assert 0 <= x1 < x2 <= size[0]
        assert 0 <= y1 < y2 <= size[1]
        left, top, right, bottom = crop_box(verdict.box, size, 0.15)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((100.0, 100.0, 200.0, 300.0), (85, 70, 215, 330)),
        ((110.0, 110.0, 190.0, 190.0), (98, 98, 202, 202)),
        ((115.0, 115.0, 125.0, 125.0), (114, 114, 127, 127)),
        ((0.0, 0.0, 100.0, 100.0), (0, 0, 115, 115)),
        ((900.0, 900.0, 1000.0, 1000.0), (885, 885, 1000, 1000)),
        ((500.2, 500.2, 500.3, 500.3), (500, 500, 501, 501)),
        ((999.9, 0.0, 1000.0, 0.1), (999, 0, 1000, 1)),
    ],
)
def test_a_crop_is_padded_clamped_and_whole(box: Box, expected: tuple[int, int, int, int]) -> None:
    """Fifteen hundredths of the box on each side, in whole pixels, at least one."""
    assert crop_box(box, _SIZE, 0.15) == expected


@given(size=_SIZES, target=st.tuples(st.integers(32, 1280), st.integers(32, 1280)))
def test_a_letterbox_holds_the_whole_picture_and_gives_boxes_back(size: Size, target: Size) -> None:
    """A box that comes back in another place is an animal in another place."""
    fitted = letterbox(size, target)

    assert 1 <= fitted.width <= target[0]
    assert 1 <= fitted.height <= target[1]
    assert 0 <= fitted.left <= target[0] - fitted.width
    assert 0 <= fitted.top <= target[1] - fitted.height
    shrunk = (
        fitted.left,
        fitted.top,
        fitted.left + size[0] * fitted.scale,
        fitted.top + size[1] * fitted.scale,
    )
    assert fitted.restore(shrunk) == pytest.approx((0, 0, *size), abs=1e-6 * max(size))


@given(box=_BOXES, size=_SIZES)
def test_clamping_twice_changes_nothing_more(box: Box, size: Size) -> None:
    """What was clamped lies within."""
    assert clamp(clamp(box, size), size) == clamp(box, size)


def test_limits_of_kinds_come_from_a_file_under_any_of_their_names() -> None:
    """The file of the original calls moose elk."""
    body = b'{"elk": {"conf_threshold": 0.5, "edge_margin": 30}, "bear": {}}'

    found = parse_limits(body, Limits(conf_threshold=0.45))

    assert found == {
        "moose": Limits(0.5, 0.003, 0.8, 30.0),
        "bear": Limits(conf_threshold=0.45),
    }


def test_every_mistake_in_a_file_of_limits_is_named() -> None:
    """One at a time would take as many runs as there are mistakes."""
    body = b"""{"dragon": {}, "fox": 1, "boar": {"threshold": 0.3, "min_area": "x"},
        "bear": {"max_area": 2, "conf_threshold": true, "edge_margin": -1}}"""

    with pytest.raises(BadLimits) as caught:
        parse_limits(body, Limits())

    lines = str(caught.value).splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "'dragon' is no kind that is known",
        "'fox' is no object of limits",
        "'boar': 'threshold' is no limit",
        "'boar': min_area is 'x'",
        "'bear': max_area is 2",
        "'bear': conf_threshold is True",
        "'bear': edge_margin is -1",
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"fox": {"min_area": 1}}'])
def test_what_is_no_file_of_limits_is_refused(body: bytes) -> None:
    """It may be any file that somebody named by mistake."""
    with pytest.raises(BadLimits):
        parse_limits(body, Limits())


def test_the_least_threshold_is_what_a_model_has_to_report_from() -> None:
    """A model that leaves out what a badger needs makes the badger's own limit meaningless."""
    assert Rules().least_threshold == BUILT_IN["badger"].conf_threshold
