"""What the image of the detection proves of itself, and what may be in it."""

import ast
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipelines.wildlife.image import self_check
from pipelines.wildlife.image.self_check import CheckFailed
from shared.errors import SuiteError

_ROOT = Path(__file__).resolve().parents[4]
_IMAGE = _ROOT / "pipelines/wildlife/image"
_SILENCING = frozenset({"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"})
"""What keeps onnxruntime from reporting; where tests run, some may be set already."""


def test_the_environment_of_the_image_detects_and_crops() -> None:
    """What the build proves of the image is true here as well."""
    assert "onnxruntime" in self_check.check_versions()
    assert self_check.check_entry_points().endswith("modules")
    self_check.check_model()
    self_check.check_crop()
    assert self_check.check_user(10001) == "10001"


def test_what_is_wrong_with_an_image_is_found() -> None:
    """A check that cannot fail proves nothing."""
    with pytest.raises(SuiteError, match="cannot be used"):
        self_check.check_model("AAAA")
    with pytest.raises(CheckFailed, match="root"):
        self_check.check_user(0)


def test_the_model_of_the_check_is_what_it_says() -> None:
    """Nobody has to trust bytes that nobody can read."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Concat", ["box", "mean"], ["cat"], axis=1),
            helper.make_node("Unsqueeze", ["cat", "axis"], ["output0"]),
        ],
        "m",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 7, 1])],
        [
            numpy_helper.from_array(np.full((1, 4), 4, dtype=np.float32), "box"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version, model.producer_name = 8, ""

    assert b64decode(self_check.MODEL) == model.SerializeToString()


def _is_let_through(name: str) -> bool:
    """Say whether a file gets into the context: the last rule that fits it decides."""
    let_through = True
    for line in (_IMAGE / "Dockerfile.dockerignore").read_text().splitlines():
        rule = line.removeprefix("!")
        if line and not line.startswith("#") and _fits(name, rule):
            let_through = line.startswith("!")
    return let_through


def _fits(name: str, rule: str) -> bool:
    """Say whether a rule of docker is about a file, or a folder that it is in."""
    parts = (re.escape(part).replace(r"\*", "[^/]*") for part in rule.split("**"))
    pattern = ".*".join(parts).replace(".*/", "(.*/)?")
    return re.fullmatch(f"{pattern}(/.*)?", name) is not None


def _file_of(module: str) -> Path | None:
    """Return the file of one of our own modules."""
    path = _ROOT.joinpath(*module.split("."))
    found = (each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file())
    return next(found, None)


def _imported_by(path: Path) -> Iterator[str]:
    """Yield what a module imports, also late, and the packages around it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_everything_that_a_job_imports_is_let_through() -> None:
    """A file that is missing in the context ends each job at its start."""
    waiting = {*self_check.ENTRY_MODULES, "pipelines.wildlife.image.self_check"}
    seen: dict[str, Path] = {}
    while waiting:
        module = waiting.pop()
        path = _file_of(module)
        if path is None or module in seen:
            continue
        seen[module] = path
        waiting |= {*_imported_by(path), module.rpartition(".")[0]}

    names = [str(path.relative_to(_ROOT)) for path in seen.values()]
    assert len(names) > 60
    assert [name for name in names if not _is_let_through(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        "configs/wildlife.toml",
        "pipelines/glacier/layout.py",
        "pipelines/wildlife/.env",
        "pipelines/wildlife/weather/client.py",
        "pipelines/wildlife/state_machine.asl.json",
        "pipelines/wildlife/detect/__pycache__/job.pyc",
        "shared/aws/my_credentials.csv",
        "requirements/dev.txt",
    ],
)
def test_nothing_else_gets_into_an_image(name: str) -> None:
    """Whoever may pull it reads it."""
    assert not _is_let_through(name)


def test_every_folder_that_comes_along_is_there() -> None:
    """A folder that was renamed would be missing unseen, until a job begins."""
    lines = (_IMAGE / "Dockerfile.dockerignore").read_text().splitlines()
    named = [line[1:].removesuffix("/**") for line in lines if line.endswith("/**")]

    assert named
    assert [name for name in named if not (_ROOT / name).is_dir()] == []


def test_a_model_that_runs_leaves_no_trace_and_tells_nobody(tmp_path: Path) -> None:
    """The library would keep an identifier in the home folder, and report to its makers."""
    code = (
        "import base64, sys; from pipelines.wildlife.detect.silent_onnxruntime import onnxruntime; "
        "onnxruntime.InferenceSession(base64.b64decode(sys.argv[1]))"
    )
    environ = {name: text for name, text in os.environ.items() if name not in _SILENCING}

    subprocess.run(
        [sys.executable, "-c", code, self_check.MODEL],
        env={**environ, "HOME": str(tmp_path)},
        cwd=_ROOT,
        check=True,
        timeout=60,
    )

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_packages_of_the_image_are_pinned_and_hashed() -> None:
    """What no hash covers is whatever an index gives that day."""
    lines = (_ROOT / "requirements/detector.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith((" ", "#"))]

    assert packages
    assert all("==" in line and line.endswith("\\") for line in packages)
