"""Which crop stands for a sighting: the same in the report, on its page and in the sheet."""

from datetime import timedelta
from itertools import permutations

from pipelines.wildlife.models.observations import best_crop
from pipelines.wildlife.sheet.rows import pictures_of
from tests.support.wildlife_run import NOON, make_member, make_observation


def test_the_best_crop_is_the_surest_then_the_earliest_whatever_the_order() -> None:
    """Of two boxes in one picture, as sure as each other, every place has to show the same."""
    members = [
        make_member("s3://bucket/out/b.jpg"),
        make_member("s3://bucket/out/a.jpg"),
        make_member("s3://bucket/out/0.jpg", timestamp=NOON + timedelta(seconds=1)),
        make_member(None, confidence=1.0),
        make_member("s3://bucket/out/00.jpg", confidence=0.8),
    ]

    found = {best_crop(order) for order in permutations(members)}
    line = make_observation(1, detection_timeline=members)

    assert found == {members[1]}
    assert list(pictures_of([line])) == [(line.observation_id, "s3://bucket/out/a.jpg")]


def test_a_sighting_without_a_crop_has_no_best_one() -> None:
    """People have none, unless they are asked for."""
    assert best_crop([make_member(None)]) is None
    assert best_crop([]) is None
