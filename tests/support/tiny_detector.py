"""A model in YOLOv8's form that finds blocks of bright colour, made by hand and not by training.

It proves the way of a picture through a real model (shrinking, onnxruntime, NMS, boxes, crops), and
nothing about accuracy. For each class it sees one block: that of all pixels of the class's colour.
Beside each box it reports the same a pixel further and less sure, which NMS has to remove.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("moose", "roe_deer", "fox", "person")
"""Red, green, blue, white."""
_CHANNELS = 3
_BRIGHT, _DARK = 0.6, 0.4
_COPY_SCORE = 0.9


def make_tiny_detector(
    size: int = 256, labels: Sequence[str] = LABELS, *, named: bool = True, half: bool = False
) -> bytes:
    """Return the model; a score is how bright the brightest pixel of a block's colour is.

    With `named` it carries the names of its classes as exports do; with `half` it takes halves.
    """
    inputs = "images"
    nodes = []
    if half:
        nodes.append(helper.make_node("Cast", ["images"], ["wide"], to=TensorProto.FLOAT))
        inputs = "wide"
    nodes.append(helper.make_node("Split", [inputs], ["c0", "c1", "c2"], axis=1))
    for number in range(len(labels)):
        nodes.extend(_class_nodes(number))
    anchors = [f"{kind}{number}" for number in range(len(labels)) for kind in ("row", "copy")]
    nodes.append(helper.make_node("Concat", anchors, ["output0"], axis=2))
    given = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    shape = [1, 4 + len(labels), 2 * len(labels)]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", given, [1, _CHANNELS, size, size])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, shape)],
        list(_constants(size, len(labels))),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    if named:
        helper.set_model_props(model, {"names": repr(dict(enumerate(labels)))})
    onnx.checker.check_model(model)
    body: bytes = model.SerializeToString()
    return body


def write_tiny_detector(path: Path, size: int = 256) -> str:
    """Write the model, and return its SHA-256."""
    body = make_tiny_detector(size)
    path.write_bytes(body)
    return sha256(body).hexdigest()


def _constants(size: int, classes: int) -> Iterator[onnx.TensorProto]:
    steps = np.arange(size, dtype=np.float32)
    yield _floats("bright", _BRIGHT)
    yield _floats("dark", _DARK)
    yield _floats("one", 1)
    yield _floats("two", 2)
    yield _floats("size", size)
    yield _floats("copy_score", _COPY_SCORE)
    yield numpy_helper.from_array(steps.reshape(1, 1, 1, size), "x_steps")
    yield numpy_helper.from_array(steps.reshape(1, 1, size, 1), "y_steps")
    for number in range(classes):
        column = np.zeros((1, classes, 1, 1), dtype=np.float32)
        column[0, number] = 1
        yield numpy_helper.from_array(column, f"only{number}")
    yield numpy_helper.from_array(np.array([1, -1, 1], dtype=np.int64), "as_anchor")


def _floats(name: str, value: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.full((1, 1, 1, 1), value, dtype=np.float32), name)


def _class_nodes(number: int) -> Iterator[onnx.NodeProto]:
    """Yield what turns channels into the two anchors of a class."""
    n = str(number)
    own = {number} if number < _CHANNELS else set(range(_CHANNELS))
    tests = []
    for channel in range(_CHANNELS):
        tests.append(f"t{n}_{channel}")
        kind, limit = ("Greater", "bright") if channel in own else ("Less", "dark")
        yield helper.make_node(kind, [f"c{channel}", limit], [tests[-1]])
    yield helper.make_node("And", tests[:2], [f"both{n}"])
    yield helper.make_node("And", [f"both{n}", tests[2]], [f"all{n}"])
    yield helper.make_node("Cast", [f"all{n}"], [f"mask{n}"], to=TensorProto.FLOAT)
    yield helper.make_node("Mul", [f"mask{n}", f"c{min(own)}"], [f"lit{n}"])
    yield helper.make_node("ReduceMax", [f"lit{n}"], [f"score{n}"], axes=[2, 3])
    for axis, name in ((2, "x"), (3, "y")):
        yield from _extent(n, name, axis)
    yield from _anchor(n, "row", score=f"score{n}", shift="")
    yield helper.make_node("Mul", [f"score{n}", "copy_score"], [f"less{n}"])
    yield from _anchor(n, "copy", score=f"less{n}", shift="one")


def _extent(n: str, name: str, axis: int) -> Iterator[onnx.NodeProto]:
    """Yield what finds the first and the last row or column of a mask, and centre and width."""
    own = f"{name}{n}"
    yield helper.make_node("ReduceMax", [f"mask{n}"], [f"line_{own}"], axes=[axis])
    yield helper.make_node("Sub", ["one", f"line_{own}"], [f"off_{own}"])
    yield helper.make_node("Mul", [f"off_{own}", "size"], [f"far_{own}"])
    yield helper.make_node("Add", [f"{name}_steps", f"far_{own}"], [f"lows_{own}"])
    yield helper.make_node("ReduceMin", [f"lows_{own}"], [f"low_{own}"], axes=[2, 3])
    yield helper.make_node("Add", [f"{name}_steps", "one"], [f"ends_{own}"])
    yield helper.make_node("Mul", [f"ends_{own}", f"line_{own}"], [f"highs_{own}"])
    yield helper.make_node("ReduceMax", [f"highs_{own}"], [f"high_{own}"], axes=[2, 3])
    yield helper.make_node("Add", [f"low_{own}", f"high_{own}"], [f"sum_{own}"])
    yield helper.make_node("Div", [f"sum_{own}", "two"], [f"middle_{own}"])
    yield helper.make_node("Sub", [f"high_{own}", f"low_{own}"], [f"width_{own}"])


def _anchor(n: str, kind: str, *, score: str, shift: str) -> Iterator[onnx.NodeProto]:
    """Yield what puts centre, size and scores into one column of the output."""
    middle = f"middle_x{n}"
    if shift:
        yield helper.make_node("Add", [middle, shift], [f"moved{n}"])
        middle = f"moved{n}"
    yield helper.make_node("Mul", [f"only{n}", score], [f"scores_{kind}{n}"])
    parts = [middle, f"middle_y{n}", f"width_x{n}", f"width_y{n}", f"scores_{kind}{n}"]
    yield helper.make_node("Concat", parts, [f"column_{kind}{n}"], axis=1)
    yield helper.make_node("Reshape", [f"column_{kind}{n}", "as_anchor"], [f"{kind}{n}"])
