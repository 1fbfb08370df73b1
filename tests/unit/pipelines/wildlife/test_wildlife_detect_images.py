"""Pictures as models and people see them: shrunk, cut, and refused where they are made up."""

import io
from functools import cache
from hashlib import sha256
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from pipelines.wildlife.detect.detector import PictureFailed
from pipelines.wildlife.detect.images import cut, fit
from pipelines.wildlife.detect.onnx_model import InferenceFailed, OnnxModel, open_model
from pipelines.wildlife.detect.outputs import read_hits
from pipelines.wildlife.detect.weights import Weights, load_weights
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.storage.bucket import BucketStorage
from shared.errors import UsageError
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from tests.support.tiny_detector import LABELS, make_tiny_detector
from tests.support.wildlife_detecting import SIZE, picture_line
from tests.support.wildlife_pictures import SUFFIX, Animal, Exif, make_picture

_ANIMALS = (
    Animal("moose", (20, 30, 60, 70)),
    Animal("fox", (100, 60, 140, 100)),
    Animal("person", (70, 10, 90, 30)),
)
_FORMS: tuple[Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP"], ...] = (
    "JPEG",
    "PNG",
    "TIFF",
    "BMP",
    "WEBP",
)


@cache
def _open(body: bytes, labels: tuple[str, ...] = ()) -> OnnxModel:
    weights = Weights("tiny", body, "")
    return open_model(weights, labels=labels, image_size=640, corner_and_size=False)


@pytest.mark.parametrize(("form", "half"), [*((form, False) for form in _FORMS), ("PNG", True)])
def test_a_real_model_finds_the_blocks_where_they_are(
    form: Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP"], half: object
) -> None:
    """The whole way of a picture: decoded, shrunk, run, suppressed, back in its own pixels."""
    body = make_picture(animals=_ANIMALS, size=SIZE, form=form)
    model = _open(make_tiny_detector(256, half=bool(half)))
    line = picture_line(f"file:///a{SUFFIX[form]}", body, form=form)

    canvas, box = fit(body, line, model.target)
    hits = read_hits(model.run(canvas), model.layout, model.target, threshold=0.3, overlap=0.5)

    found = {model.labels[hit.number]: box.restore(hit.box) for hit in hits}
    assert len(hits) == len(_ANIMALS)
    assert found == {animal.label: pytest.approx(animal.box, abs=0.7) for animal in _ANIMALS}
    assert [hit.score for hit in hits] == [pytest.approx(1, abs=0.02)] * 3


def test_a_large_picture_is_found_in_its_own_pixels() -> None:
    """A model sees a quarter of each side; the box is one of the picture."""
    size = (1024, 768)
    body = make_picture(animals=[Animal("fox", (400, 200, 640, 400))], size=size, form="PNG")
    line = picture_line("file:///a.png", body, size=size, form="PNG")
    model = _open(make_tiny_detector(256), LABELS)

    canvas, box = fit(body, line, model.target)
    [hit] = read_hits(model.run(canvas), model.layout, model.target, threshold=0.3, overlap=0.5)

    assert box.restore(hit.box) == (400.0, 200.0, 640.0, 400.0)


def test_what_a_model_sees_is_centred_on_grey() -> None:
    """Stretched animals are no animals, and black bars are edges."""
    body = make_picture(size=(200, 100), form="PNG")
    line = picture_line("file:///a.png", body, size=(200, 100), form="PNG")

    canvas, box = fit(body, line, (100, 100))

    pixels = np.asarray(canvas)
    assert (box.left, box.top, box.width, box.height) == (0, 25, 100, 50)
    assert (pixels[:25] == 114).all()
    assert (pixels[75:] == 114).all()
    assert (pixels[25:75] == (24, 28, 24)).all()


def _commented(body: bytes) -> bytes:
    file = io.BytesIO()
    with Image.open(io.BytesIO(body)) as image:
        image.save(file, "JPEG", quality="keep", comment=b"59.5 N", exif=image.getexif())
    return file.getvalue()


def test_a_crop_is_a_jpeg_without_what_the_camera_wrote() -> None:
    """A crop that is handed on must not tell where the camera hangs."""
    exif = Exif(original="2026:06:01 04:30:00", position=(59.5, 17.25))
    body = _commented(make_picture(exif=exif, animals=_ANIMALS, size=SIZE))

    [moose, dot] = cut(
        body, picture_line("file:///a.jpg", body), [(20, 30, 60, 70), (10, 10, 11, 11)]
    )

    with Image.open(io.BytesIO(moose)) as image:
        assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (40, 40), {})
        assert "comment" not in image.info
        assert image.getpixel((20, 20)) == pytest.approx((254, 0, 0), abs=4)
        tables = image.quantization  # type: ignore[attr-defined]  # of JPEGs alone
    with Image.open(io.BytesIO(dot)) as image:
        assert image.size == (1, 1)
    ninety = io.BytesIO()
    Image.new("RGB", (8, 8)).save(ninety, "JPEG", quality=90)
    with Image.open(ninety) as image:
        assert tables == image.quantization  # type: ignore[attr-defined]  # as above
    assert cut(body, picture_line("file:///a.jpg", body), [(20, 30, 60, 70)]) == [moose]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_other_colours_become_colours(mode: str) -> None:
    """Infrared pictures are grey, and some scanners write sixteen bits of it."""
    image = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode[0] if ";" in mode else mode)
    if mode == "I;16":
        image = Image.new(mode, (8, 8), 65535)
    file = io.BytesIO()
    image.save(file, "PNG")
    line = picture_line("file:///a.png", file.getvalue(), size=(8, 8), form="PNG")

    [crop] = cut(file.getvalue(), line, [(0, 0, 8, 8)])

    with Image.open(io.BytesIO(crop)) as found:
        assert (found.mode, found.getpixel((4, 4))) == ("RGB", (255, 255, 255))


_WHOLE = make_picture(animals=_ANIMALS, size=SIZE)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "undecodable"),
        (b"GIF89a", "undecodable"),
        (_WHOLE[: len(_WHOLE) // 2], "undecodable"),
        (_WHOLE[:40], "undecodable"),
        (make_picture(size=SIZE, form="PNG"), "undecodable"),
        (make_picture(size=(120, 160)), "changed"),
    ],
)
def test_a_picture_that_is_none_fails_alone(body: bytes, error: str) -> None:
    """A card pulled out too early has such pictures; the others are fine."""
    line = picture_line("file:///a.jpg", body)

    with pytest.raises(PictureFailed) as caught:
        cut(body, line, [(0, 0, 1, 1)])

    assert caught.value.error == error


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """A few hundred bytes can say that they are gigabytes."""
    body = make_picture(form="PNG", size=(8, 8))
    width = (100_000).to_bytes(4, "big")
    bomb = body[:16] + width + width + body[24:]

    for size in ((100_000, 100_000), (0, 5)):
        with pytest.raises(PictureFailed) as caught:
            fit(bomb, picture_line("file:///a.png", bomb, size=size, form="PNG"), (64, 64))
        assert caught.value.error == "too_large"
    with pytest.raises(PictureFailed) as caught:
        fit(bomb, picture_line("file:///a.png", bomb, size=(8, 8), form="PNG"), (64, 64))
    assert caught.value.error == "undecodable"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be used"),
        (b"not a model", "cannot be used"),
        (make_tiny_detector(64, named=False), "model_labels_uri"),
    ],
)
def test_what_is_no_model_is_refused(body: bytes, words: str) -> None:
    """It is a mistake of the configuration, and no picture is to blame."""
    with pytest.raises(UsageError, match=words):
        _open(body)


def test_too_few_labels_are_refused() -> None:
    """With the labels of another model each box would be called something else."""
    with pytest.raises(UsageError, match="as many labels as the model has classes"):
        _open(make_tiny_detector(64), ("moose",))


def test_a_failing_model_is_not_a_failing_picture() -> None:
    """Else a broken model would find nothing, anywhere, and say that all is well."""
    model = _open(make_tiny_detector(64))

    with pytest.raises(InferenceFailed):
        model.run(Image.new("RGB", (8, 8)))


@pytest.mark.asyncio
async def test_a_model_is_used_only_with_the_hash_that_somebody_vouched_for() -> None:
    """Weights are code; whoever can replace them decides what is seen."""
    storage = BucketStorage(MemoryStore(MemoryBuckets("bucket")))
    uri, body = "s3://bucket/models/tiny.onnx", b"weights"
    right = sha256(body).hexdigest()
    await storage.write(uri, body, kind=Kind.RESULT)
    with pytest.raises(UsageError, match=f"no SHA-256 to check against; if {right}"):
        await load_weights(storage, uri, "")

    loaded = await load_weights(storage, uri, right)

    assert (loaded.name, loaded.body, loaded.sha256) == ("tiny", body, right)
    with pytest.raises(UsageError, match="do not use it"):
        await load_weights(storage, uri, "0" * 64)
    note = f"{right.upper()}  tiny.onnx\n".encode()
    await storage.write(f"{uri}.sha256", note, kind=Kind.RESULT)
    assert (await load_weights(storage, uri, "")).sha256 == right
    await storage.write(f"{uri}.sha256", b"nonsense", kind=Kind.RESULT)
    with pytest.raises(UsageError, match="does not begin with a SHA-256"):
        await load_weights(storage, uri, "")
    with pytest.raises(UsageError, match="is not there"):
        await load_weights(storage, f"{uri}x", "")
