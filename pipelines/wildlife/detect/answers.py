"""What lies beside a picture, or what a service answers, read as detections. Pure.

Both speak the same: a JSON list of `{"label", "confidence", "bbox": [x1, y1, x2, y2]}` in pixels.
What MegaDetector writes is read as well: an object with `detections`, each of them
`{"category", "conf", "bbox": [x, y, w, h]}` in shares of the picture, with names in
`detection_categories` or the usual three.
"""

import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pipelines.wildlife.detect.geometry import Box, Size
from pipelines.wildlife.detect.judging import RawDetection

ANSWER_BYTES_MAX = 4 * 1024 * 1024
DETECTIONS_MAX = 1000
LABEL_MAX = 200
_CORNERS = 4
CATEGORIES: Mapping[str, str] = MappingProxyType({"1": "animal", "2": "person", "3": "vehicle"})


class BadAnswer(ValueError):
    """It is no list of detections."""


def parse_answer(body: bytes, size: Size) -> Sequence[RawDetection]:
    """Read detections of a picture of this size; BadAnswer.

    A box or score that is missing or no number comes out as None: the filter has a reason for it.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"it is no JSON: {error}") from error
    names: Mapping[str, object] = CATEGORIES
    if isinstance(said, dict):
        given = said.get("detection_categories")
        names = given if isinstance(given, dict) else CATEGORIES
        said = said.get("detections")
    if not isinstance(said, list):
        raise BadAnswer("it is no list of detections")
    if len(said) > DETECTIONS_MAX:
        raise BadAnswer(f"it has {len(said)} detections; {DETECTIONS_MAX} are allowed")
    return [_detection(number, each, size, names) for number, each in enumerate(said, start=1)]


def _detection(number: int, said: object, size: Size, names: Mapping[str, object]) -> RawDetection:
    if not isinstance(said, dict):
        raise BadAnswer(f"detection {number} is no object")
    if "category" in said:
        box = _box(said.get("bbox"))
        label = names.get(str(said["category"])[:LABEL_MAX], "")
        return RawDetection(_text(label), _number(said.get("conf")), _from_shares(box, size))
    return RawDetection(
        _text(said.get("label")), _number(said.get("confidence")), _box(said.get("bbox"))
    )


def _from_shares(box: Box | None, size: Size) -> Box | None:
    if box is None:
        return None
    x, y, w, h = box
    return x * size[0], y * size[1], (x + w) * size[0], (y + h) * size[1]


def _text(value: object) -> str:
    text = value[:LABEL_MAX] if isinstance(value, str) else ""
    return text.encode(errors="replace").decode()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _box(value: object) -> Box | None:
    if not isinstance(value, list) or len(value) != _CORNERS:
        return None
    x1, y1, x2, y2 = map(_number, value)
    if x1 is None or y1 is None or x2 is None or y2 is None:
        return None
    return x1, y1, x2, y2
