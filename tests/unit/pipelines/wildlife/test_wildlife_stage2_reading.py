from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.stage2.reading import Pairing, Unpaired, read_detections
from pipelines.wildlife.storage import folder, lines
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.storage.lines import BadLine, read_batches
from pipelines.wildlife.storage.protocol import Missing, Storage
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from tests.support.wildlife_seen import Seen, write_seen

_TARGET = parse_place("s3://forest/out/")
_NUMBERS = "s3://forest/numbers.jsonl"
_SEEN = [Seen(at=n, sure=0.4 + n / 10) for n in range(5)]


@dataclass(frozen=True, slots=True)
class _Number:
    n: int


@pytest.fixture
def pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Storage, Place]:
    """A folder that is read in pieces of less than a line, each a batch if it ends one."""
    monkeypatch.setattr(folder, "_PIECE_BYTES", 30)
    monkeypatch.setattr(lines, "_BATCH_BYTES", 1)
    return FolderStorage(), parse_place(f"file://{tmp_path}/out/")


@pytest.fixture
def storage() -> Storage:
    """An empty bucket."""
    return BucketStorage(MemoryStore(MemoryBuckets("forest")))


async def _read(
    storage: Storage,
    detections: Sequence[Seen],
    predictions: Sequence[Seen],
    target: Place = _TARGET,
) -> Pairing:
    await write_seen(storage, target, detections, predictions)
    return await read_detections(storage, target, 0.5)


@pytest.mark.asyncio
async def test_batches_are_the_records_in_their_order(pieces: tuple[Storage, Place]) -> None:
    """Lines come whole, wherever the pieces of the object end, and empty ones do not count."""
    storage, target = pieces
    uri = target.join("numbers.jsonl")
    text = b"".join(b'{"n":%d,"else":[1]}\n' % n for n in range(10)) + b'\n\n{"n":10}'
    await storage.write(uri, text, kind=Kind.MANIFEST)

    batches = [batch async for batch in read_batches(storage, uri, _Number)]

    assert [each.n for batch in batches for each in batch] == list(range(11))
    assert len(batches) > 5


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b'{"n":1}\n\n{"n":2}\n{"n":"x"}\n', "line 3: n: ", id="a value"),
        pytest.param(b'{"n":1}\n{"n":2\n', "line 2: ", id="torn"),
        pytest.param(b'{"n":1},{"n":2}\n', "line 1: ", id="two in a line"),
        pytest.param(b'{"n":1}\n{"n":2},\n{"n":3}', "line 2: ", id="a comma"),
        pytest.param(b'{"n":\n1}\n', "line 1: ", id="one in two lines"),
    ],
)
async def test_a_bad_line_in_a_batch_is_named(storage: Storage, text: bytes, said: str) -> None:
    """Read many at a time, a line still has to be right by itself."""
    await storage.write(_NUMBERS, text, kind=Kind.MANIFEST)

    with pytest.raises(BadLine, match=said):
        [batch async for batch in read_batches(storage, _NUMBERS, _Number)]


@pytest.mark.asyncio
async def test_a_line_without_end_is_refused(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, whatever an object holds."""
    monkeypatch.setattr(lines, "_LINE_BYTES_MAX", 100)
    await storage.write(_NUMBERS, b" " * 101, kind=Kind.MANIFEST)

    with pytest.raises(BadLine, match="more than 100 bytes"):
        [batch async for batch in read_batches(storage, _NUMBERS, _Number)]


@pytest.mark.asyncio
@pytest.mark.parametrize("step", [1, -1], ids=["in order", "in reverse"])
async def test_both_files_are_joined_in_any_order(storage: Storage, step: int) -> None:
    """Detections that are not likely are counted, and kept nowhere."""
    pairing = await _read(storage, _SEEN, _SEEN[::step])

    assert (pairing.read, pairing.low_confidence) == (5, 1)
    assert sorted(pairing.detections.confidences) == [0.5, 0.6000000000000001, 0.7, 0.8]
    assert sorted(pairing.detections.ids) == sorted(int(each.digits, 16) for each in _SEEN[1:])


@pytest.mark.asyncio
async def test_many_batches_are_joined(pieces: tuple[Storage, Place]) -> None:
    """What waits for its other half finds it, whichever file is ahead."""
    storage, target = pieces

    pairing = await _read(storage, _SEEN, _SEEN[3:] + _SEEN[:3], target)

    assert len(pairing.detections) == 4
    assert pairing.predicted == pairing.read == 5


@pytest.mark.asyncio
async def test_labels_come_as_the_vocabulary_has_them(storage: Storage) -> None:
    """A classifier of one's own may say elk; one species is one group."""
    seen = [Seen(species="elk"), Seen(at=1, species="moose"), Seen(at=2, species="dragon")]

    pairing = await _read(storage, seen, seen)

    assert set(pairing.detections.groups) == {("cam01", "moose"), ("cam01", "other")}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("detections", "predictions", "said"),
    [
        pytest.param(_SEEN, _SEEN[1:], "predictions.jsonl' lacks 1 of", id="no prediction"),
        pytest.param(_SEEN[2:], _SEEN, "manifest.jsonl' lacks 2 of", id="no detection"),
        pytest.param(_SEEN + _SEEN[:1], _SEEN, "is there twice", id="twice in one batch"),
        pytest.param(_SEEN, _SEEN + _SEEN[:1], "lacks 1 of", id="a prediction too many"),
        pytest.param([*_SEEN, _SEEN[4]], [*_SEEN, _SEEN[4]], "is there twice", id="twice in both"),
    ],
)
async def test_files_that_do_not_belong_together_end_the_step(
    storage: Storage, detections: Sequence[Seen], predictions: Sequence[Seen], said: str
) -> None:
    """Half a result must not pass for a whole one."""
    with pytest.raises(Unpaired, match=said):
        await _read(storage, detections, predictions)


@pytest.mark.asyncio
async def test_twice_is_found_across_batches(pieces: tuple[Storage, Place]) -> None:
    """A pair that comes again long after it was joined would count double."""
    storage, target = pieces
    again = [*_SEEN, _SEEN[1]]

    with pytest.raises(Unpaired, match=f"det-{_SEEN[1].digits}' is there twice"):
        await _read(storage, again, again, target)


@pytest.mark.asyncio
async def test_half_a_position_is_none(storage: Storage) -> None:
    """Nor may a zero be taken for nothing."""
    seen = [Seen(where=(0.0, 0.0)), Seen(at=1, where=None)]
    await write_seen(storage, _TARGET, seen, seen)
    uri = _TARGET.join(layout.DETECTIONS)
    text = (await storage.read(uri)).replace(b'"latitude":null', b'"latitude":59.0')
    await storage.write(uri, text, kind=Kind.MANIFEST)

    found = (await read_detections(storage, _TARGET, 0.5)).detections

    assert (found.latitudes[0], found.longitudes[0]) == (0.0, 0.0)
    assert str([found.latitudes[1], found.longitudes[1]]) == "[nan, nan]"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("detection_id", '"det-1"'),
        ("event_id", '"evt-0123456789ABCDEF"'),
        ("camera_id", '"../cam01"'),
        ("timestamp", '"2026-05-01T12:00:00"'),
        ("timestamp", '"0001-01-01T00:00:00+14:00"'),
        ("latitude", "NaN"),
        ("longitude", "1e999"),
    ],
)
async def test_a_manifest_from_outside_is_not_trusted(
    storage: Storage, field: str, value: str
) -> None:
    """What could not be written down again is refused where it comes in."""
    await write_seen(storage, _TARGET, _SEEN[:1], _SEEN[:1])
    uri = _TARGET.join(layout.DETECTIONS)
    before, _, behind = (await storage.read(uri)).partition(f'"{field}":'.encode())
    rest = behind[behind.index(b",") :]
    line = before + f'"{field}":{value}'.encode() + rest
    await storage.write(uri, line, kind=Kind.MANIFEST)

    with pytest.raises(BadLine, match=f"line 1: (0.)?{field}"):
        await read_detections(storage, _TARGET, 0.5)


@pytest.mark.asyncio
async def test_a_file_that_is_not_there_is_named(storage: Storage) -> None:
    """The detection has not ended, or wrote elsewhere."""
    with pytest.raises(Missing, match=r"manifest\.jsonl"):
        await read_detections(storage, _TARGET, 0.5)


@pytest.mark.asyncio
async def test_lines_of_the_detection_are_read_quickly(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The careful way would say the same, in several times the time."""
    seen = [*_SEEN, Seen(at=0.25, where=None, crop=None), Seen(picture="a_frame_3", camera="c-3_X")]
    monkeypatch.delattr(lines.BlockForm, "parse")

    assert (await _read(storage, seen, seen)).read == len(seen)


async def _rewritten(storage: Storage, name: str, before: bytes, after: bytes) -> None:
    """Write a file anew, with something else wherever something is."""
    uri = _TARGET.join(name)
    text = await storage.read(uri)
    assert before in text
    await storage.write(uri, text.replace(before, after), kind=Kind.MANIFEST)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"12:00:00Z", b"14:00:00+02:00", id="another zone"),
        pytest.param(b"12:00:00Z", b"12:00:00.000000000Z", id="nanoseconds"),
        pytest.param(b"T12:00", b" 12:00", id="a blank in the time"),
        pytest.param(b'"doubtful":false', b'"doubtful":0', id="a number for no"),
        pytest.param(b'"latitude":59.0', b'"latitude":"59"', id="a number as text"),
        pytest.param(b'"latitude":59.0', b'"latitude":59', id="a whole number"),
        pytest.param(b"}\n", b"}\r\n", id="ends of lines"),
        pytest.param(b"}\n", b"}\n\n", id="empty lines"),
        pytest.param(b'"bbox":[1.0', b'"bbox":[NaN', id="no number where nobody looks"),
    ],
)
async def test_lines_in_another_form_say_the_same(
    storage: Storage, before: bytes, after: bytes
) -> None:
    """What is read in a quick way is only what reads the same in the careful one."""
    expected = (await _read(storage, _SEEN, _SEEN)).detections
    await _rewritten(storage, layout.DETECTIONS, before, after)

    found = (await read_detections(storage, _TARGET, 0.5)).detections

    assert list(found.ids) == list(expected.ids)
    assert list(found.moments) == list(expected.moments)
    assert list(found.latitudes) == list(expected.latitudes)
    assert found.doubtful == expected.doubtful


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        pytest.param(layout.PREDICTIONS, b'e":0.8', b'e":1.5', "line 5: confidence: ", id="share"),
        pytest.param(layout.PREDICTIONS, b'e":0.8', b'e":null', "line 5: confidence: ", id="none"),
        pytest.param(layout.DETECTIONS, b":03Z", b":60Z", "line 4: timestamp: ", id="time"),
        pytest.param(layout.DETECTIONS, b":03Z", b":03", "line 4: timestamp: ", id="no zone"),
        pytest.param(
            layout.DETECTIONS, b'"raw_label":"m', b'"raw_label":"\xff', "line 1: ", id="text"
        ),
        pytest.param(layout.DETECTIONS, b"}\n{", b"}{", "line 1: ", id="all in a line"),
        pytest.param(layout.DETECTIONS, b'"doubtful":', b'"doubtful":\n', "line 1: ", id="torn"),
    ],
)
async def test_the_first_bad_line_is_named(
    storage: Storage, name: str, before: bytes, after: bytes, said: str
) -> None:
    """One among a million is found only by its number."""
    await write_seen(storage, _TARGET, _SEEN, _SEEN)
    await _rewritten(storage, name, before, after)

    with pytest.raises(BadLine, match=said):
        await read_detections(storage, _TARGET, 0.5)
