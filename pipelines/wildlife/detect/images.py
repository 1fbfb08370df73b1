"""Pictures as they are decoded: bounded in pixels and formats. Everything here runs in threads."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

from PIL import Image

from pipelines.wildlife.detect.detector import PictureFailed
from pipelines.wildlife.detect.geometry import Letterbox, Pixels, Size, letterbox
from pipelines.wildlife.detect.stage import CROP_QUALITY
from pipelines.wildlife.models.pictures import PictureLine

PIXELS_MAX = 80_000_000
"""More than any trail camera has; decoded it takes 240 MB."""
_PAD = (114, 114, 114)
"""The grey that YOLO is trained with."""
_BROKEN = (
    *(EOFError, IndexError, KeyError, MemoryError, OSError, OverflowError, SyntaxError, TypeError),
    *(ValueError, struct.error, zlib.error),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)
"""What decoders raise of pictures that are made up."""


def check_size(line: PictureLine) -> Size:
    """Return the size of a picture; PictureFailed where it is too large to be decoded."""
    size = line.image_width, line.image_height
    if min(size) < 1 or size[0] * size[1] > PIXELS_MAX:
        raise PictureFailed(
            "too_large", f"{size[0]}x{size[1]} pixels; at most {PIXELS_MAX} are decoded"
        )
    return size


def fit(body: bytes, line: PictureLine, target: Size) -> tuple[Image.Image, Letterbox]:
    """Shrink a picture into what a model looks at; PictureFailed."""
    box = letterbox(check_size(line), target)
    with _opened(body, line) as image:
        # A JPEG can be decoded at an eighth of its size for a fraction of the time.
        image.draft("RGB", (box.width, box.height))
        shrunk = _in_colour(image).resize(
            (box.width, box.height), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
    canvas = Image.new("RGB", target, _PAD)
    canvas.paste(shrunk, (box.left, box.top))
    return canvas, box


def cut(body: bytes, line: PictureLine, boxes: Sequence[Pixels]) -> list[bytes]:
    """Return each box of a picture as a JPEG, without what the camera wrote beside the pixels."""
    check_size(line)
    with _opened(body, line) as image:
        whole = _in_colour(image)
        return [_encode(whole.crop(box)) for box in boxes]


def _encode(image: Image.Image) -> bytes:
    image.info.clear()
    stream = BytesIO()
    image.save(stream, "JPEG", quality=CROP_QUALITY)
    return stream.getvalue()


def _in_colour(image: Image.Image) -> Image.Image:
    """Decode; transparency goes, and 16 bits of grey become 8."""
    if image.mode.startswith("I"):
        return image.convert("I").point([value / 256 for value in range(65536)], "L").convert("RGB")
    # Converting what is right already would hold it twice.
    return image if image.mode == "RGB" else image.convert("RGB")


@contextmanager
def _opened(body: bytes, line: PictureLine) -> Iterator[Image.Image]:
    try:
        with Image.open(BytesIO(body), formats=[line.image_format]) as image:
            if image.size != (line.image_width, line.image_height):
                raise PictureFailed("changed", f"it is {image.size} now; run Stage0Exif again")
            yield image
    except _BROKEN as error:
        raise PictureFailed("undecodable", f"{type(error).__name__}: {error}"[:500]) from error
