"""The writer's plan and what it renders: the story only proves something if these hold."""

import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from scripts.demo.pictures import HEIGHT, WIDTH, colony_picture
from scripts.demo.records import Produced, parse_produced
from scripts.demo.screenplay import (
    LARGE_KEY,
    SCALES,
    SURGE_PREFIX,
    Act,
    Append,
    Content,
    Link,
    Prepare,
    Publish,
    Scale,
    Write,
    files_in,
    plan_writing,
)

_MULTIPART_BYTES = 17 * 1024 * 1024
_SECOND_NS = 1_000_000_000
_SCALES = pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)


def _contents(scale: Scale) -> list[Content]:
    acts = (step.act for step in plan_writing(scale))
    return [act.content for act in acts if not isinstance(act, Publish | Link)]


@_SCALES
def test_steps_come_in_the_order_of_their_moments(scale: Scale) -> None:
    """The writer only ever waits forwards."""
    moments = [step.at_seconds for step in plan_writing(scale)]

    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] <= scale.seconds


@_SCALES
def test_no_two_contents_are_alike(scale: Scale) -> None:
    """A content that was sent twice must not pass for two contents."""
    contents = _contents(scale)

    assert len(set(contents)) == len(contents)


@_SCALES
def test_a_prepared_file_is_published_later_under_a_name_that_is_not_skipped(scale: Scale) -> None:
    """Renaming into place is shown with names that the daemon passes over before."""
    acts = [step.act for step in plan_writing(scale)]

    assert _prepared(acts)
    for act in acts:
        if isinstance(act, Publish):
            name = act.temporary.rpartition("/")[2]
            assert name.startswith(".") or name.endswith(".part")
            assert act.temporary in _prepared(acts[: acts.index(act)])


def _prepared(acts: Sequence[Act]) -> list[str]:
    return [act.path for act in acts if isinstance(act, Prepare)]


@_SCALES
def test_the_surge_is_large_enough_for_all_that_shall_hang(scale: Scale) -> None:
    """Or the SIGKILL would wait in vain for uploads in flight."""
    writes = [step.act.path for step in plan_writing(scale) if isinstance(step.act, Write)]
    surge = [path for path in writes if f"/{SURGE_PREFIX}" in path]

    assert len(surge) == scale.surge > 3 * scale.unanswered


@_SCALES
def test_the_large_file_goes_in_parts(scale: Scale) -> None:
    """Only then can the kill leave a multipart upload open."""
    large = next(
        step.act.content
        for step in plan_writing(scale)
        if isinstance(step.act, Write) and step.act.path.endswith(LARGE_KEY)
    )

    assert len(large.render()) == scale.large_bytes >= _MULTIPART_BYTES


@_SCALES
def test_slow_files_grow_for_longer_than_it_takes_to_settle(scale: Scale) -> None:
    """Otherwise they would show nothing; one last piece each completes them."""
    moments: dict[str, list[float]] = {}
    last: Counter[str] = Counter()
    for step in plan_writing(scale):
        if isinstance(step.act, Append):
            moments.setdefault(step.act.path, []).append(step.at_seconds)
            last[step.act.path] += step.act.last

    for path, times in moments.items():
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert times[-1] - times[0] > 1.0
        assert max(pauses) < 0.8
        assert last[path] == 1


@_SCALES
def test_files_are_counted_once_each(scale: Scale) -> None:
    """The panel's total is what the writer is going to say."""
    contents = _contents(scale)
    unfinished = sum(
        isinstance(step.act, Append) and not step.act.last for step in plan_writing(scale)
    )

    assert files_in(plan_writing(scale)) == len(contents) - unfinished


def test_a_picture_is_a_png_that_any_reader_takes() -> None:
    """Chunks with right lengths and checksums, and as many pixels as the header says."""
    data = colony_picture(5)

    chunks = _chunks(data)
    rows = zlib.decompress(chunks[b"IDAT"])
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    assert len(rows) == HEIGHT * (WIDTH + 1)
    assert max(rows) < len(chunks[b"PLTE"]) // 3
    assert max(rows) > 0


def _chunks(data: bytes) -> dict[bytes, bytes]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    found, place = {}, 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(kind + body),)
        found[kind] = body
        place += 12 + length
    return found


def test_pictures_differ_and_repeat() -> None:
    """The same seed gives the same bytes, another seed other bytes."""
    assert colony_picture(1) == colony_picture(1)
    assert colony_picture(1) != colony_picture(2)


def test_a_record_survives_its_line() -> None:
    """What the writer says is what the demonstration hears, odd names included."""
    one = Produced("colony-archive/odd names/é\n蟻.txt", 3, "ab", 5, 7, grew=True, final=False)

    assert parse_produced(one.line()) == one
    assert "\n" not in one.line()
    assert (one.bucket, one.key) == ("colony-archive", "odd names/é\n蟻.txt")


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"path": "a"}', "Traceback (most recent"])
def test_a_line_that_is_no_record_is_refused(line: str) -> None:
    """A writer that crashes must not pass for one that wrote something."""
    with pytest.raises(ValueError, match=r"record|Expecting"):
        parse_produced(line)


def test_an_alias_names_the_bucket() -> None:
    """S3 allows no underscore."""
    assert Produced("distributed_colony/a.png", 1, "", 0).bucket == "distributed-colony"


@pytest.mark.parametrize(
    ("mtime_ns", "named_ns", "settled_ns"),
    [
        (5 * _SECOND_NS, 0, 6 * _SECOND_NS),
        (5 * _SECOND_NS, 8 * _SECOND_NS, 8 * _SECOND_NS),
        (5 * _SECOND_NS, 5 * _SECOND_NS + 1, 6 * _SECOND_NS),
    ],
    ids=["written", "renamed when old enough", "renamed at once"],
)
def test_a_file_settles_by_its_mtime_but_never_before_it_has_its_name(
    mtime_ns: int, named_ns: int, settled_ns: int
) -> None:
    """The delays on the board count from here."""
    assert Produced("colony-archive/a", 1, "", mtime_ns, named_ns).settled_ns == settled_ns
