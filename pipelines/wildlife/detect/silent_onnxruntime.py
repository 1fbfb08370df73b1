"""onnxruntime without its telemetry; whoever needs the library takes it from here.

Its wheels tell their makers of each process and each model, and keep an identifier of the machine
in the home folder, unless a variable says otherwise before the library is loaded. Pictures and
models are their owners' business, and a job has no way out to anybody but AWS.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # type: ignore[import-untyped]  # ships no types
from onnxruntime.capi import (  # type: ignore[import-untyped]  # the same
    onnxruntime_pybind11_state as errors,
)

__all__ = ["errors", "onnxruntime"]
