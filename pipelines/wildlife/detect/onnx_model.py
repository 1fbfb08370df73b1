"""A model run by onnxruntime. Everything here runs in threads; nothing is ever fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pipelines.wildlife.detect.geometry import Size
from pipelines.wildlife.detect.model_labels import BadLabels, labels_of_names
from pipelines.wildlife.detect.outputs import Floats, Layout, UnknownLayout, find_layout
from pipelines.wildlife.detect.silent_onnxruntime import errors, onnxruntime
from pipelines.wildlife.detect.weights import Weights
from shared.errors import PermanentError, UsageError

_SIDE_MAX = 4096
_DIMENSIONS, _CHANNELS = 4, 3
_FATAL = 4
"""onnxruntime's own lines go to stderr in no form of ours; what fails is raised as well."""
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_BROKEN: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    # They have no root of their own below Exception.
    *(
        each
        for each in vars(errors).values()
        if isinstance(each, type(Exception)) and issubclass(each, Exception)
    ),
)


class InferenceFailed(PermanentError):
    """The model failed on an input that fits it."""


_UNUSABLE: tuple[type[Exception], ...] = (BadLabels, InferenceFailed, UnknownLayout, *_BROKEN)


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model that is open, and has proved that it runs."""

    session: onnxruntime.InferenceSession
    target: Size
    """What pictures are shrunk into."""
    labels: Sequence[str]
    layout: Layout

    def run(self, canvas: Image.Image) -> Floats:
        """Return the output for one picture; InferenceFailed."""
        return _run(self.session, np.asarray(canvas, dtype=np.float32))


def open_model(
    weights: Weights, *, labels: Sequence[str], image_size: int, corner_and_size: bool
) -> OnnxModel:
    """Open a model and try it on an empty picture; UsageError if it is none of the YOLO family.

    Without `labels`, the model's own names of its classes count.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    try:
        session = onnxruntime.InferenceSession(
            weights.body, options, providers=["CPUExecutionProvider"]
        )
        target = _target(session, image_size)
        names = labels or labels_of_names(_names(session))
        blank = np.zeros((target[1], target[0], _CHANNELS), dtype=np.float32)
        shape = _run(session, blank).shape
        layout = find_layout(shape, len(names), corner_and_size=corner_and_size)
    except _UNUSABLE as error:
        raise UsageError(f"model {weights.name!r} cannot be used: {str(error)[:500]}") from error
    return OnnxModel(session, target, names, layout)


def _run(session: Any, pixels: Floats) -> Floats:  # noqa: ANN401 - the library has no types
    """Run a model on one picture, whose rows are its first dimension."""
    given = session.get_inputs()[0]
    planes = pixels.transpose(2, 0, 1)[np.newaxis] / 255
    try:
        [output] = session.run(
            [session.get_outputs()[0].name], {given.name: planes.astype(_TYPES[given.type])}
        )
    except _BROKEN as error:
        raise InferenceFailed(f"the model failed: {str(error)[:500]}") from error
    return np.asarray(output, dtype=np.float32)


def _target(session: Any, image_size: int) -> Size:  # noqa: ANN401 - as above
    inputs = session.get_inputs()
    shape, kind = inputs[0].shape, inputs[0].type
    if len(inputs) != 1 or kind not in _TYPES or not _is_picture(shape):
        raise UnknownLayout(f"its input is {shape!r} of {kind}; one of 1x3xHxW floats is wanted")
    height, width = (each if isinstance(each, int) else image_size for each in shape[2:])
    if not 0 < min(height, width) <= max(height, width) <= _SIDE_MAX:
        raise UnknownLayout(f"its input is {width}x{height}; at most {_SIDE_MAX} a side")
    return width, height


def _is_picture(shape: Sequence[object]) -> bool:
    """Tell whether one picture fits; a dimension that is open is text or None."""
    if len(shape) != _DIMENSIONS:
        return False
    batch, channels = shape[:2]
    return (batch == 1 or not isinstance(batch, int)) and channels == _CHANNELS


def _names(session: Any) -> str:  # noqa: ANN401 - as above
    return str(session.get_modelmeta().custom_metadata_map.get("names", ""))
