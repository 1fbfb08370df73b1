"""A job from its manifest to its files: with a real model, with sidecars, resumed, and refused."""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import anyio
import pytest
from pydantic import TypeAdapter

from pipelines.wildlife.detect.command import do_job, exit_status, first_picture, main
from pipelines.wildlife.document.places import locate, parse_place
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.models.detections import (
    DetectionLine,
    DetectionSummary,
    DropLine,
    PredictionLine,
)
from pipelines.wildlife.models.pictures import PictureErrorLine, PictureLine
from pipelines.wildlife.storage.folder import FolderStorage
from shared.cli import run_command
from shared.errors import UsageError
from tests.support.tiny_detector import make_tiny_detector, write_tiny_detector
from tests.support.wildlife_detecting import Forest
from tests.support.wildlife_pictures import Animal, make_picture

_DETECTIONS = TypeAdapter(DetectionLine)
_PREDICTIONS = TypeAdapter(PredictionLine)
_DROPS = TypeAdapter(DropLine)
_ERRORS = TypeAdapter(PictureErrorLine)
_MOOSE = Animal("moose", (20, 30, 60, 70))
_FOX = Animal("fox", (100, 60, 140, 100))
_PERSON = Animal("person", (70, 10, 90, 30))


@pytest.fixture
def forest(tmp_path: Path) -> Forest:
    """Return an empty one in a folder."""
    return Forest(FolderStorage(), parse_place(f"file://{tmp_path}/forest/"))


async def _detect(forest: Forest, **settings: object) -> tuple[DetectionSummary, list[int]]:
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        assert total == len(forest.lines)
        told.append(done)

    return await do_job(forest.settings(**settings), progress), told


@pytest.mark.asyncio
async def test_a_model_finds_the_animals_of_a_forest(forest: Forest, tmp_path: Path) -> None:
    """The main promise: what is in the pictures is in the files, box by box."""
    await forest.add("cam01/a.jpg", [_MOOSE, _PERSON], sidecar=False)
    await forest.add("cam01/b.jpg", sidecar=False)
    await forest.add("cam02/a.jpg", [_FOX], sidecar=False)
    await forest.finish()
    model = tmp_path / "tiny.onnx"
    digest = write_tiny_detector(model)

    summary, told = await _detect(
        forest, detector="yolo", model_uri=str(model), model_sha256=digest
    )

    assert told == [2, 3]
    first, _, last = forest.lines
    detections = await forest.records("manifest.jsonl", _DETECTIONS)
    assert [each.raw_label for each in detections] == ["moose", "person", "fox"]
    assert [each.event_id for each in detections] == [first.event_id, first.event_id, last.event_id]
    assert [each.bbox for each in detections] == [
        pytest.approx(animal.box, abs=0.7) for animal in (_MOOSE, _PERSON, _FOX)
    ]
    assert {each.stage1_model for each in detections} == {f"tiny:{digest[:16]}"}
    predictions = await forest.records("predictions.jsonl", _PREDICTIONS)
    assert [each.label for each in predictions] == ["moose", "human", "fox"]
    assert all(each.auto_ok and each.stage2_model == "none" for each in predictions)
    assert [each.crop_path for each in predictions] == [each.crop_path for each in detections]
    crops = [name for name in await forest.names() if name.startswith("crops/")]
    assert crops == [f"crops/cam01/{first.event_id}_0.jpg", f"crops/cam02/{last.event_id}_0.jpg"]
    assert replace(summary, seconds=0.0) == DetectionSummary(
        detector="yolo",
        stage1_model=f"tiny:{digest[:16]}",
        config_hash=detections[0].config_hash,
        images=3,
        images_failed=0,
        detections=3,
        dropped={},
        humans=1,
        seconds=0.0,
    )
    assert DetectionSummary(**json.loads(await forest.read("summary.json"))) == summary


@pytest.mark.asyncio
async def test_a_model_of_three_categories_needs_no_labels(forest: Forest, tmp_path: Path) -> None:
    """MegaDetector says animal, person or vehicle; other names come from a file."""
    await forest.add("cam01/a.jpg", [_MOOSE, Animal("roe_deer", (70, 10, 100, 40)), _FOX])
    await forest.finish()
    body = make_tiny_detector(256, ("one", "two", "three"), named=False)
    model, labels = tmp_path / "md.onnx", tmp_path / "labels.json"
    model.write_bytes(body)
    labels.write_text('["lynx", "wolf", "bear"]')
    given = {"model_uri": str(model), "model_sha256": sha256(body).hexdigest()}

    seen = []
    for more in (
        {"detector": "megadetector"},
        {"detector": "yolo", "model_labels_uri": str(labels)},
    ):
        await _detect(forest, **given, **more)
        found = await forest.records("predictions.jsonl", _PREDICTIONS)
        seen.append([each.label for each in found])

    assert seen == [["unknown", "human", "vehicle"], ["lynx", "wolf", "bear"]]


@pytest.mark.asyncio
async def test_sidecars_are_judged_like_a_models_answer(forest: Forest) -> None:
    """Runs without a model go the same way."""
    low = Animal("badger", (10, 10, 40, 40), confidence=0.1)
    await forest.add("cam01/a.jpg", [low, _MOOSE, _PERSON])
    await forest.add("cam01/b.jpg", sidecar=False)
    await forest.add_bytes("cam01/c.jpg", make_picture(), b'[{"label": "cow", "bbox": [1, 2, 3]}]')
    await forest.finish()

    summary, _ = await _detect(forest, include_humans=True)

    line = forest.lines[0]
    moose, person = await forest.records("manifest.jsonl", _DETECTIONS)
    # Counted in the detector's answer, of which the first was dropped.
    assert moose.crop_path == forest.root.join(f"out/stage1/crops/cam01/{line.event_id}_1.jpg")
    assert person.crop_path == forest.root.join(f"out/stage1/crops/cam01/{line.event_id}_2.jpg")
    assert (moose.bbox, moose.det_score, moose.timestamp) == (_MOOSE.box, 0.9, line.timestamp_utc)
    assert (moose.latitude, moose.longitude, moose.source_path) == (59.5, 17.25, line.image_uri)
    assert moose.stage1_model == "sidecar:unknown"
    drops = await forest.records("dropped.jsonl", _DROPS)
    assert [(drop.index, drop.raw_label, drop.reason) for drop in drops] == [
        (0, "badger", "confidence"),
        (0, "cow", "invalid_bbox"),
    ]
    assert (summary.dropped, summary.humans) == ({"confidence": 1, "invalid_bbox": 1}, 1)


@pytest.mark.asyncio
async def test_pictures_and_sidecars_that_are_none_cost_a_line_each(forest: Forest) -> None:
    """One bad picture must not end the run of fifty thousand."""
    whole = make_picture(animals=[_MOOSE])
    good = b'[{"label": "moose", "confidence": 0.9, "bbox": [20, 30, 60, 70]}]'
    await forest.add_bytes("cam01/cut.jpg", whole[:500], good)
    await forest.add_bytes("cam01/empty.jpg", b"", good)
    await forest.add_bytes("cam01/nonsense.jpg", whole, b"{")
    await forest.add_bytes("cam01/long.jpg", whole, b" " * (4 * 1024 * 1024 + 1))
    grown = await forest.add_bytes("cam01/grown.jpg", whole, good)
    await forest.storage.write(grown.image_uri, whole + b"x", kind=Kind.FRAME)
    gone = await forest.add_bytes("cam01/gone.jpg", whole, good)
    _remove(gone)
    await forest.add("cam01/z.jpg", [_MOOSE])
    await forest.finish()

    summary, told = await _detect(forest, chunk_pictures=50)

    errors = await forest.records("errors.jsonl", _ERRORS)
    assert [error.error for error in errors] == [
        "undecodable",
        "undecodable",
        "bad_sidecar",
        "bad_sidecar",
        "changed",
        "unreadable",
    ]
    assert [error.image_uri for error in errors] == [line.image_uri for line in forest.lines[:6]]
    assert (summary.images, summary.images_failed, summary.detections) == (7, 6, 1)
    assert told == [7]


def _remove(line: PictureLine) -> None:
    Path(line.image_uri.removeprefix("file://")).unlink()


async def _results(forest: Forest) -> Sequence[bytes]:
    names = ("manifest.jsonl", "predictions.jsonl", "dropped.jsonl", "errors.jsonl")
    return [await forest.read(name) for name in names]


@pytest.mark.asyncio
async def test_finished_chunks_are_not_done_again(forest: Forest) -> None:
    """A machine that is taken back costs one chunk and not the night."""
    for number in range(5):
        await forest.add(f"cam01/{number}.jpg", [_MOOSE])
    await forest.finish()
    before, _ = await _detect(forest)
    results = await _results(forest)
    chunks = [name for name in await forest.names() if name.startswith("chunks/")]
    assert len(chunks) == 3
    for line in forest.lines[:4]:
        # Looked at again, these would fail.
        _remove(line)
    damaged = forest.root.join(f"out/stage1/{await _chunk_of(forest, chunks, 4)}")
    await forest.storage.write(damaged, b"{", kind=Kind.CACHE)

    after, told = await _detect(forest)

    assert told == [2, 4, 5]
    assert await _results(forest) == results
    assert replace(after, seconds=0.0) == replace(before, seconds=0.0)


async def _chunk_of(forest: Forest, chunks: Sequence[str], number: int) -> str:
    wanted = forest.lines[number].event_id.encode()
    [found] = [name for name in chunks if wanted in await forest.read(name)]
    return found


@pytest.mark.asyncio
async def test_what_was_done_otherwise_is_done_again(forest: Forest) -> None:
    """An older answer to another question must never come out."""
    await forest.add("cam01/a.jpg", [_MOOSE])
    await forest.finish()
    before, _ = await _detect(forest)

    strict, _ = await _detect(forest, conf_threshold=0.95, species_uri=await _no_kinds(forest))

    assert (before.detections, strict.detections) == (1, 0)
    assert strict.config_hash != before.config_hash
    beside = f"{forest.lines[0].image_uri}.detections.json"
    await forest.storage.write(beside, b"[]", kind=Kind.FRAME)
    corrected, _ = await _detect(forest)
    assert corrected.detections == 0


async def _no_kinds(forest: Forest) -> str:
    uri = forest.root.join("species.json")
    await forest.storage.write(uri, b"{}", kind=Kind.RESULT)
    return uri


@pytest.mark.asyncio
async def test_lines_held_at_once_change_nothing(forest: Forest) -> None:
    """The bound is one of memory; every picture is done."""
    for number in range(5):
        await forest.add(f"cam01/{number}.jpg", [_MOOSE])
    await forest.finish()
    await _detect(forest)
    results = await _results(forest)

    summary, told = await _detect(forest, max_images_per_job=1)

    assert (summary.images, told) == (5, [2, 4, 5])
    assert await _results(forest) == results


@pytest.mark.asyncio
async def test_a_manifest_that_is_none_is_bad_input(forest: Forest) -> None:
    """Batch must not try that again."""
    with pytest.raises(UsageError, match=r"has no manifest.*run Stage0Exif first"):
        await _detect(forest)
    await forest.finish()
    with pytest.raises(UsageError, match="has no picture"):
        await _detect(forest)
    uri = f"{forest.input_uri}manifest.jsonl"
    await forest.storage.write(uri, b'{"event_id": 1}\n', kind=Kind.MANIFEST)
    with pytest.raises(UsageError, match="line 1"):
        await _detect(forest)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"detector": "yolo"}, "needs a model"),
        ({"detector": "megadetector", "model_uri": "/nowhere.onnx"}, "is not there"),
        ({"species_uri": "/nowhere.json"}, "species_uri .* is not there"),
        ({"species_uri": "gs://bucket/x"}, "neither s3"),
        ({"detector": "http"}, "wants https"),
        ({"detector": "http", "model_uri": "ftp://x/"}, "wants https"),
        ({"detector": "http", "model_uri": "https://u:p@x/"}, "wants https"),
        ({"detector": "http", "model_uri": "http://x:y/"}, "model_uri"),
        ({"detector": "http", "model_uri": "http://far/", "detector_key": "k"}, "https:// only"),
        ({"output_uri": "nowhere"}, "OUTPUT_URI"),
    ],
)
@pytest.mark.asyncio
async def test_settings_that_cannot_be_followed_are_named(
    forest: Forest, settings: dict[str, object], words: str
) -> None:
    """It is said before the first picture is looked at."""
    await forest.add("cam01/a.jpg")
    await forest.finish()

    with pytest.raises(UsageError, match=words):
        await _detect(forest, **settings)


def _exit(monkeypatch: pytest.MonkeyPatch, **variables: str) -> int:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return exit_status(run_command("wildlife detect", main, []))


def test_the_environment_of_the_contract_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every mistake is named at once, by the contract's own names, and the status is 2."""
    monkeypatch.setenv("TOWPATH_WILDLIFE_CONF_THRESHOLD", "0.5")

    status = _exit(
        monkeypatch,
        CONF_THRESHOLD="2",
        DETECTOR="dog",
        BATCH_SIZE="0",
        IMAGE_SIZE="x",
        MAX_IMAGES_PER_JOB="0",
    )

    said = capsys.readouterr().err
    assert status == 2
    names = ("INPUT_URI", "OUTPUT_URI", "CONF_THRESHOLD", "DETECTOR", "BATCH_SIZE", "IMAGE_SIZE")
    assert [name for name in (*names, "MAX_IMAGES_PER_JOB") if name not in said] == []
    assert "TOWPATH_WILDLIFE_CONF_THRESHOLD" not in said


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (2, 2), (1, 1), (3, 1), (6, 1), (130, 1)])
def test_what_is_not_the_inputs_fault_may_be_tried_again(status: int, expected: int) -> None:
    """Batch gives up on 2 and repeats anything else."""
    assert exit_status(status) == expected


@pytest.mark.asyncio
async def test_pictures_may_lie_elsewhere_than_their_manifest(
    forest: Forest, tmp_path: Path
) -> None:
    """A run from a bucket into a folder opens S3 as well."""
    await forest.add("cam01/a.jpg", [_MOOSE])
    await forest.finish()
    manifest = forest.root.join("out/stage0/manifest.jsonl")
    (line,) = forest.lines

    assert await first_picture(manifest) == [line.image_uri]
    for said in (b"", b"{}\n", b"nonsense"):
        (tmp_path / "other.jsonl").write_bytes(said)
        assert await first_picture(f"file://{tmp_path}/other.jsonl") == []
    assert await first_picture(f"file://{tmp_path}/none.jsonl") == []


@pytest.mark.asyncio
async def test_a_name_without_room_beside_it_and_a_sidecar_that_is_none(
    forest: Forest,
) -> None:
    """Neither may end the job of all other pictures."""
    await forest.add(f"cam01/{'x' * 240}.jpg", sidecar=False)
    await forest.add("cam01/a.jpg", sidecar=False)
    await forest.finish()
    picture = locate(forest.lines[-1].image_uri).name
    await anyio.Path(f"{picture}.detections.json").mkdir()

    summary, _ = await _detect(forest)

    assert (summary.images, summary.images_failed) == (2, 1)
    (error,) = await forest.records("errors.jsonl", _ERRORS)
    assert error.error == "bad_sidecar"
