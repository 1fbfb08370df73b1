"""What detections are called, and what makes a chunk the same one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.wildlife.detect.chunks import chunk_digest
from pipelines.wildlife.detect.judging import RawDetection, Rules
from pipelines.wildlife.detect.records import Recorder, detection_id
from pipelines.wildlife.detect.species import Limits
from pipelines.wildlife.detect.stage import Stage, model_id
from pipelines.wildlife.document.places import parse_place
from tests.support.wildlife_detecting import picture_line

_STAGE = Stage(detector="yolo", model="m:0123456789abcdef", rules=Rules(), labels=("moose",))
_LINE = picture_line("s3://bucket/in/cam01/a.jpg")
_TARGET = parse_place("s3://bucket/out/stage1/")
_MOOSE = RawDetection("Elk", 0.9, (20.0, 30.0, 60.0, 70.0))
_WEAK = RawDetection("Elk", 0.35, (20.0, 30.0, 60.0, 70.0))


def test_a_detection_is_called_by_its_picture_and_place() -> None:
    """Whoever reviewed it finds it again after another run."""
    assert detection_id("evt-0123456789abcdef", 3) == "det-4f25fa8067f5d8a3"


def test_thresholds_do_not_rename_detections() -> None:
    """What was dropped before keeps its number."""
    loose = Rules(by_kind={"moose": Limits(conf_threshold=0.2)})
    answer = [_WEAK, _MOOSE]

    strict = Recorder(_STAGE, _TARGET).record(_LINE, answer)
    both = Recorder(replace(_STAGE, rules=loose), _TARGET).record(_LINE, answer)

    [kept] = strict.kept
    assert [found.detection.detection_id for found in both.kept][1] == kept.detection.detection_id
    assert kept.detection.crop_path == (
        f"s3://bucket/out/stage1/crops/cam01/{_LINE.event_id}_1.jpg"
    )
    assert (kept.detection.raw_label, kept.prediction.label) == ("Elk", "moose")
    [drop] = strict.drops
    assert (drop.index, drop.reason, drop.det_score) == (0, "confidence", 0.35)


def test_half_sure_is_not_sure_enough_to_go_unseen() -> None:
    """`auto_ok` begins at 0.5."""
    answer = [replace(_MOOSE, confidence=score) for score in (0.5, 0.49)]

    found = Recorder(_STAGE, _TARGET).record(_LINE, answer).kept

    assert [each.prediction.auto_ok for each in found] == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        replace(_STAGE, detector="megadetector"),
        replace(_STAGE, model=model_id("m", "f" * 64)),
        replace(_STAGE, source="https://service/"),
        replace(_STAGE, rules=Rules(general=Limits(conf_threshold=0.31))),
        replace(_STAGE, rules=Rules(by_kind={})),
        replace(_STAGE, rules=Rules(edge_policy="drop")),
        replace(_STAGE, labels=("fox",)),
        replace(_STAGE, image_size=1280),
        replace(_STAGE, overlap=0.6),
        replace(_STAGE, label_map="swedish-coco"),
        replace(_STAGE, include_humans=True),
    ],
)
def test_each_part_of_the_configuration_is_in_its_hash(other: Stage) -> None:
    """Two results with the same hash were made by the same rules."""
    assert other.config_hash != _STAGE.config_hash
    assert replace(other).config_hash == other.config_hash


def test_a_model_without_weights_is_called_unknown() -> None:
    """A service does not say what it runs."""
    assert (model_id("http", ""), model_id("m", "0" * 64)) == ("http:unknown", f"m:{'0' * 16}")


def _digest(
    *lines: object, revision: str = "", config: str = "c", target: str = "s3://bucket/out/"
) -> str:
    chosen = [_LINE, *lines]
    return chunk_digest(chosen, [revision] * len(chosen), config, target)  # type: ignore[arg-type]  # lines


def test_a_chunk_is_the_same_for_the_same_pictures_and_rules() -> None:
    """Who asks does not matter; everything that is written down does."""
    same = chunk_digest([replace(_LINE, session_id="other")], [""], "c", "s3://bucket/out/")
    moved = replace(_LINE, timestamp_utc=_LINE.timestamp_utc + timedelta(seconds=1))

    assert same == _digest()
    others = {
        _digest(_LINE),
        _digest(revision="x"),
        _digest(config="d"),
        _digest(target="s3://bucket/elsewhere/"),
        chunk_digest([moved], [""], "c", "s3://bucket/out/"),
        same,
    }
    assert len(others) == 6
