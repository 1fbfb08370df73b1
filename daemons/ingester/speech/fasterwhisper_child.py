"""The child that loads faster-whisper: a request in a file, segments as JSON lines in another.

It stands alone, so that it can be run by its path: nothing of the suite is imported, and the
library only when it is asked to work. The result gets its lines as they come and is only read when
this ends with status 0.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def main(request: str) -> None:
    """Recognise what the request names."""
    asked: dict[str, Any] = json.loads(Path(request).read_text(encoding="utf-8"))
    # Said here as well, where it can be seen that nothing is ever fetched.
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Nor told: onnxruntime, which the library listens for silence with, reports to its makers.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # By name: the suite's own checks run where the library is not installed.
    model = importlib.import_module("faster_whisper").WhisperModel(
        asked["model"],
        device="auto",
        compute_type=asked["compute_type"],
        cpu_threads=asked["threads"],
        local_files_only=True,
    )
    segments, _ = model.transcribe(
        asked["audio"], language=asked["language"], initial_prompt=asked["prompt"] or None
    )
    with Path(asked["result"]).open("w", encoding="utf-8") as stream:
        for segment in segments:
            line = json.dumps([segment.start, segment.end, segment.text])
            stream.write(f"{line}\n")


if __name__ == "__main__":
    main(sys.argv[1])
