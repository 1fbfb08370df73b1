"""Proves that an image is whole: what a job imports, one run of a model, one crop.

It runs at the end of each build, as the image's own user; a failure ends the build.
`python -m pipelines.wildlife.image.self_check` in a container says the same again.
"""

import os
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from io import BytesIO

from PIL import Image

from pipelines.wildlife.detect.images import cut, fit
from pipelines.wildlife.detect.onnx_model import open_model
from pipelines.wildlife.detect.outputs import read_hits
from pipelines.wildlife.detect.weights import Weights
from pipelines.wildlife.models.pictures import PictureLine
from shared.errors import SuiteError

ENTRY_MODULES = (
    "pipelines.wildlife.detect.__main__",
    "pipelines.wildlife.detect.http_detector",
    "pipelines.wildlife.detect.onnx_detector",
    "pipelines.wildlife.detect.sidecar",
    "shared.aws.secrets",
    "uvloop",
)
"""With what they import late: a package that is missing must end the build, not a run."""
_LIBRARIES = ("aiobotocore", "numpy", "onnxruntime", "pillow")
MODEL = (
    "CAgSADr9AQo6CgZpbWFnZXMSBG1lYW4iClJlZHVjZU1lYW4qDQoEYXhlc0ACQAOgAQcqDwoIa2VlcGRpbXMYAKABAgol"
    "CgNib3gKBG1lYW4SA2NhdCIGQ29uY2F0KgsKBGF4aXMYAaABAgofCgNjYXQKBGF4aXMSB291dHB1dDAiCVVuc3F1ZWV6"
    "ZRIBbSodCAEIBBABQgNib3hKEAAAgEAAAIBAAACAQAAAgEAqFAgBEAdCBGF4aXNKCAIAAAAAAAAAWiAKBmltYWdlcxIW"
    "ChQIARIQCgIIAQoCCAMKAggICgIICGIdCgdvdXRwdXQwEhIKEAgBEgwKAggBCgIIBwoCCAFCBAoAEBE="
)
"""An ONNX model of 266 bytes: one box of 4x4 in the middle of 8x8, whose scores are how red, green
and blue the picture is."""
_LABELS = ("red", "green", "blue")
_SIDE = 8
_THEN = datetime(2000, 1, 1, tzinfo=UTC)
_HALF = (2.0, 2.0, 6.0, 6.0)


class CheckFailed(SuiteError):
    """Something that a job needs is not there or not as it must be."""


def main() -> int:
    """Run every check and print a line for each; 1 if one fails."""
    checks: Mapping[str, Callable[[], str]] = {
        "versions": check_versions,
        "entry points": check_entry_points,
        "model": check_model,
        "crop": check_crop,
        "user": lambda: check_user(os.getuid()),
    }
    failed = 0
    for name, check in checks.items():
        try:
            sys.stdout.write(f"ok      {name}: {check()}\n")
        except (ImportError, SuiteError) as error:
            failed += 1
            sys.stdout.write(f"failed  {name}: {error}\n")
    return 1 if failed else 0


def check_versions() -> str:
    """Tell the versions of what decides about boxes and crops."""
    found = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"{found}, Python {sys.version.split()[0]}"


def check_entry_points() -> str:
    """Import everything that a job begins with."""
    for name in ENTRY_MODULES:
        import_module(name)
    return f"{len(ENTRY_MODULES)} modules"


def check_model(text: str = MODEL) -> str:
    """Run a model on a green picture, the whole way from its file to a box."""
    body, line = _picture()
    model = open_model(
        Weights("self-check", b64decode(text), ""),
        labels=_LABELS,
        image_size=_SIDE,
        corner_and_size=False,
    )
    canvas, box = fit(body, line, model.target)
    output = model.run(canvas)
    hits = read_hits(output, model.layout, model.target, threshold=0.3, overlap=0.5)
    found = [(model.labels[hit.number], box.restore(hit.box)) for hit in hits]
    if found != [("green", _HALF)]:
        raise CheckFailed(f"a green picture gave {found!r}")
    return "a picture went through a model"


def check_crop() -> str:
    """Cut a crop out of a picture."""
    body, line = _picture()
    [crop] = cut(body, line, [(2, 2, 6, 6)])
    with Image.open(BytesIO(crop)) as image:
        if (image.format, image.size) != ("JPEG", (4, 4)):
            raise CheckFailed(f"a crop of 4x4 came out as {image.format} {image.size}")
    return "a crop was cut"


def check_user(number: int) -> str:
    """Look whether we are somebody who can do no harm."""
    if number == 0:
        raise CheckFailed("it runs as root; give it a user of its own")
    return str(number)


def _picture() -> tuple[bytes, PictureLine]:
    stream = BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), (0, 255, 0)).save(stream, "PNG")
    body = stream.getvalue()
    line = PictureLine(
        event_id="evt-0",
        session_id="self-check",
        camera_id="self-check",
        image_uri="file:///self-check.png",
        etag="",
        file_size_bytes=len(body),
        image_width=_SIDE,
        image_height=_SIDE,
        image_format="PNG",
        timestamp_original=_THEN,
        timestamp_corrected=_THEN,
        timestamp_utc=_THEN,
        timestamp_source="object_mtime",
        timezone="UTC",
        offset_seconds_applied=0.0,
    )
    return body, line


if __name__ == "__main__":
    sys.exit(main())
