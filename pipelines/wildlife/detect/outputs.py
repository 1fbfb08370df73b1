"""What models of the YOLO family put out, read as boxes; numpy alone, no I/O.

| shape                 | made by                  | an anchor is                            |
|-----------------------|--------------------------|-----------------------------------------|
| 1 x (4 + classes) x N | YOLOv8 and later         | centre, size, a score for each class    |
| 1 x N x (5 + classes) | YOLOv5, MegaDetector v5  | the same, a score for anything before   |
| 1 x N x 6             | exports with NMS in them | two corners, score, class               |
| 1 x N x 6             | MegaDetector's own form  | corner, size, score, class              |

Boxes are in pixels of the model's input; those of MegaDetector's own form in shares of it, if none
is above 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines.wildlife.detect.geometry import Box, Size

Floats: TypeAlias = NDArray[np.float32]

DETECTIONS_MAX = 300
"""Of one picture; more are a model gone mad."""
_CANDIDATES_MAX = 3000
"""What is compared with each other, the best first."""
_BOX, _FINISHED, _DIMENSIONS = 4, 6, 3


class Layout(Enum):
    """What the numbers of an output mean."""

    CLASSES_FIRST = "classes_first"
    OBJECTNESS = "objectness"
    CORNERS = "corners"
    CORNER_AND_SIZE = "corner_and_size"


class UnknownLayout(ValueError):
    """An output has a shape that no layout has with so many classes."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A box of the model's input, and what is in it."""

    box: Box
    score: float
    number: int
    """Of the class."""


def find_layout(shape: Sequence[int], classes: int, *, corner_and_size: bool) -> Layout:
    """Return the layout of an output of this shape.

    Six columns are a finished list, except where one class makes them a YOLOv5.
    """
    if len(shape) == _DIMENSIONS and shape[0] == 1:
        if shape[1] == _BOX + classes:
            return Layout.CLASSES_FIRST
        if shape[2] == _BOX + 1 + classes:
            return Layout.OBJECTNESS
        if shape[2] == _FINISHED:
            return Layout.CORNER_AND_SIZE if corner_and_size else Layout.CORNERS
    raise UnknownLayout(
        f"its output is {list(shape)!r}, which no YOLO with {classes} classes has; "
        "name as many labels as the model has classes"
    )


def read_hits(
    output: Floats, layout: Layout, target: Size, *, threshold: float, overlap: float
) -> list[Hit]:
    """Return what an output of one picture says, the surest first; boxes of one class apart.

    What is no number is left out.
    """
    rows = output[0].T if layout is Layout.CLASSES_FIRST else output[0]
    boxes, scores, numbers = _READERS[layout](np.asarray(rows, dtype=np.float32), target)
    usable = np.isfinite(boxes).all(axis=1) & (scores >= threshold) & (scores <= 1)
    boxes, scores, numbers = boxes[usable], scores[usable], numbers[usable]
    best = np.argsort(-scores, kind="stable")[:_CANDIDATES_MAX]
    boxes, scores, numbers = boxes[best], scores[best], numbers[best]
    chosen = suppress(boxes, numbers, overlap)
    return [Hit(_box(boxes[each]), float(scores[each]), int(numbers[each])) for each in chosen]


def suppress(boxes: Floats, numbers: "NDArray[np.int64]", overlap: float) -> list[int]:
    """Return which boxes stay, given the surest first: none overlaps a surer one of its class.

    Enough is enough: what comes after the first hundreds is left out.
    """
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    waiting = np.arange(len(boxes))
    chosen: list[int] = []
    while waiting.size and len(chosen) < DETECTIONS_MAX:
        first, rest = waiting[0], waiting[1:]
        chosen.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        union = areas[first] + areas[rest] - shared
        same = numbers[first] == numbers[rest]
        waiting = rest[~(same & (shared > overlap * union))]
    return chosen


_Read: TypeAlias = tuple[Floats, Floats, "NDArray[np.int64]"]
"""Corners, scores, classes."""


def _classes_first(rows: Floats, _target: Size) -> _Read:
    scores = rows[:, _BOX:]
    numbers = scores.argmax(axis=1)
    return _from_centres(rows[:, :_BOX]), scores.max(axis=1), numbers


def _objectness(rows: Floats, _target: Size) -> _Read:
    scores = rows[:, _BOX : _BOX + 1] * rows[:, _BOX + 1 :]
    numbers = scores.argmax(axis=1)
    return _from_centres(rows[:, :_BOX]), scores.max(axis=1), numbers


def _corners(rows: Floats, _target: Size) -> _Read:
    return rows[:, :_BOX], rows[:, _BOX], _whole(rows[:, _BOX + 1])


def _corner_and_size(rows: Floats, target: Size) -> _Read:
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:_BOX]], axis=1)
    if rows.size and np.nanmax(rows[:, :_BOX]) <= 1:
        boxes *= np.array([*target, *target], dtype=np.float32)
    return boxes, rows[:, _BOX], _whole(rows[:, _BOX + 1])


_READERS = {
    Layout.CLASSES_FIRST: _classes_first,
    Layout.OBJECTNESS: _objectness,
    Layout.CORNERS: _corners,
    Layout.CORNER_AND_SIZE: _corner_and_size,
}


def _from_centres(boxes: Floats) -> Floats:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _whole(numbers: Floats) -> "NDArray[np.int64]":
    return np.nan_to_num(numbers, nan=-1, posinf=-1, neginf=-1).round().astype(np.int64)


def _box(row: Floats) -> Box:
    x1, y1, x2, y2 = row.tolist()
    return x1, y1, x2, y2
