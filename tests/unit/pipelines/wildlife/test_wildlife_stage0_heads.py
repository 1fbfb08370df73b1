"""What is read of a picture, how little of the file it takes, and what hostile files come to."""

import struct
from collections.abc import Callable
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.wildlife.stage0.exif.notes import Notes
from pipelines.wildlife.stage0.exif.position import Position, decimal_degrees
from pipelines.wildlife.stage0.image.head import HEAD_BYTES, Head, read_head
from pipelines.wildlife.stage0.loaded import BadPicture, Loaded, Wanted
from tests.support.soak import repetitions
from tests.support.wildlife_pictures import Exif, Form, make_picture

_NOTED = Exif(
    original="2026:06:01 04:30:00",
    digitized="2026:06:01 04:30:01",
    changed="2026:06:02 00:00:00",
    offset="+02:00",
    subsec="25",
    position=(59.3293235, -18.0685808),
    altitude=-12.5,
)
_FORMS: tuple[Form, ...] = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_RANGES_MAX = 24
_RANGE_BYTES = 128
"""Read at least, as in `reading`, where it is more: these pictures are small."""


def _read(body: bytes, *, head: int = HEAD_BYTES) -> tuple[Head, int]:
    """Drive the parser as `reading` does; return how many ranges it took as well."""
    source = Loaded(len(body))
    wanted = Wanted(0, head)
    for ranges in range(1, _RANGES_MAX):
        piece = body[wanted.offset : wanted.offset + max(wanted.length, _RANGE_BYTES)]
        assert len(piece) >= min(wanted.length, len(body))
        source.add(wanted.offset, piece)
        try:
            return read_head(source), ranges
        except Wanted as more:
            wanted = more
    raise AssertionError("it wants ever more")


def _fault(body: bytes) -> str:
    with pytest.raises(BadPicture) as caught:
        _read(body)
    return caught.value.fault


@pytest.mark.parametrize("form", _FORMS)
def test_every_format_gives_its_size_and_the_notes_of_all_three_directories(form: Form) -> None:
    """Times and position lie behind pointers that must be followed; a BMP has neither."""
    head, ranges = _read(make_picture(exif=_NOTED, form=form, size=(64, 48)))

    assert (head.shape.form, head.shape.width, head.shape.height) == (form, 64, 48)
    assert ranges == 1
    if form == "BMP":
        assert head.notes == Notes()
        return
    assert head.notes == Notes(
        original="2026:06:01 04:30:00",
        digitized="2026:06:01 04:30:01",
        changed="2026:06:02 00:00:00",
        offset="+02:00",
        subsec="25",
        make="Towpath",
        model="Trail 1",
        position=Position(59.3293235, -18.0685808, -12.5),
    )


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("head", [128, 300])
def test_what_lies_behind_the_first_range_is_asked_for(form: Form, head: int) -> None:
    """Cameras with large thumbnails, and formats with notes at the end, cost a range more."""
    body = make_picture(exif=_NOTED, form=form, size=(64, 48), noise=1)

    found, _ = _read(body, head=head)

    assert found == _read(body)[0]


def test_the_frame_behind_a_large_thumbnail_costs_one_small_range() -> None:
    """The thumbnail itself is never read."""
    plain = make_picture(exif=_NOTED, size=(64, 48))
    at = plain.index(b"\xff\xe1") + 2
    (length,) = struct.unpack(">H", plain[at : at + 2])
    grown = struct.pack(">H", length + 60_000)
    body = plain[:at] + grown + plain[at + 2 : at + length] + bytes(60_000)
    body += plain[at + length :] + bytes(500_000)

    head, ranges = _read(body)

    assert (head.shape.width, head.notes.original) == (64, "2026:06:01 04:30:00")
    assert ranges <= 3


def test_an_exif_chunk_behind_the_image_of_a_png_is_found() -> None:
    """Some editors put it there, with any number of chunks before it."""
    body = make_picture(exif=_NOTED, form="PNG", size=(64, 48))
    at = body.index(b"eXIf") - 4
    (length,) = struct.unpack(">I", body[at : at + 4])
    chunk = body[at : at + 12 + length]
    plain = body.replace(chunk, b"")
    # The image data holds the chunk's name once more, which is no chunk.
    decoy = _chunk(b"tEXt", b"eXIf in a text")

    head, _ = _read(plain[:-12] + decoy + chunk + plain[-12:])

    assert head.notes.original == "2026:06:01 04:30:00"


def test_a_lossy_webp_without_notes_has_its_size() -> None:
    """Three kinds of WebP keep it in three ways."""
    for body in (_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 64, 48)),):
        head, _ = _read(body)
        assert (head.shape.width, head.shape.height) == (64, 48)
    head, _ = _read(_webp(b"VP8L", b"\x2f" + struct.pack("<I", 63 | 47 << 14)))
    assert (head.shape.width, head.shape.height) == (64, 48)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "empty"),
        (b"\xff", "not_a_picture"),
        (b"%PDF-1.7 and so on", "not_a_picture"),
        (b"II\x2b\0" + bytes(60), "not_a_picture"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\xff\xd8\xff\xd9", "damaged"),
        (b"\xff\xd8\xff\xe0\0\1" + bytes(60), "damaged"),
        (b"\xff\xd8" + b"\xff" * 600, "damaged"),
        (b"\xff\xd8" + b"\xff\xe0\0\2" * 600, "damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "damaged"),
        (b"RIFF\4\0\0\0WEBPVP9 " + bytes(60), "damaged"),
        (b"RIFF\xff\xff\0\0WEBPVP8 " + bytes(60), "truncated"),
        (b"BM" + bytes(60), "damaged"),
        (b"II*\0\xff\xff\xff\x7f" + bytes(60), "truncated"),
        (b"II*\0\x08\0\0\0\0\0" + bytes(60), "damaged"),
    ],
)
def test_what_is_no_picture_has_one_word_for_it(body: bytes, fault: str) -> None:
    """A card has other files with the suffixes of pictures, and broken ones."""
    assert _fault(body) == fault


@pytest.mark.parametrize("form", _FORMS)
def test_a_picture_that_was_cut_is_truncated_or_no_worse_than_damaged(form: Form) -> None:
    """A camera whose battery dies leaves the first part of a file."""
    body = make_picture(exif=_NOTED, form=form, size=(64, 48), noise=1)

    faults = {_cut_fault(body[:length]) for length in range(1, len(body) * 3 // 4, 37)}

    # The pixels of a TIFF whose directory is whole are nobody's business here.
    assert "truncated" in faults
    assert faults <= {"truncated", "damaged", "not_a_picture"} | ({""} if form == "TIFF" else set())


def _cut_fault(body: bytes) -> str:
    try:
        _read(body)
    except BadPicture as error:
        return error.fault
    return ""


@pytest.mark.parametrize(
    ("form", "needle", "to"),
    [
        ("PNG", b"IHDR" + struct.pack(">II", 64, 48), b"IHDR" + struct.pack(">II", 60_000, 60_000)),
        ("BMP", struct.pack("<ii", 64, 48), struct.pack("<ii", 60_000, -60_000)),
        ("JPEG", struct.pack(">HH", 48, 64), struct.pack(">HH", 65_535, 65_535)),
    ],
)
def test_a_bomb_is_refused_by_what_it_says(form: Form, needle: bytes, to: bytes) -> None:
    """Whoever decoded it would need gigabytes."""
    body = make_picture(form=form, size=(64, 48))
    assert needle in body
    bomb = body.replace(needle, to, 1)
    if form == "PNG":
        bomb = bomb[:29] + struct.pack(">I", crc32(bomb[12:29])) + bomb[33:]
    if form == "BMP":
        bomb = bomb[:30] + b"\1" + bomb[31:]

    assert _fault(bomb) == "too_large"


def test_no_pixels_are_no_picture() -> None:
    """A width of nothing would end a division later."""
    body = make_picture(size=(64, 48))

    assert _fault(body.replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 48, 0), 1)) == (
        "damaged"
    )


def _tiff(*directories: bytes) -> bytes:
    return b"II*\0\x08\0\0\0" + b"".join(directories)


def _directory(*entries: tuple[int, int, int, int], count: int | None = None) -> bytes:
    said = len(entries) if count is None else count
    return struct.pack("<H", said) + b"".join(struct.pack("<HHII", *each) for each in entries)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(_tiff(_directory((0x8769, 4, 1, 8), (0x8825, 4, 1, 8))), id="loop"),
        pytest.param(_tiff(_directory((0x8769, 4, 1, 0xFFFFFFFF))), id="pointer to nowhere"),
        pytest.param(_tiff(_directory((0x010F, 2, 0xFFFFFFFF, 8))), id="four billion letters"),
        pytest.param(_tiff(_directory((0x010F, 99, 1, 8))), id="unknown kind"),
        pytest.param(_tiff(_directory((0x8769, 5, 1, 8))), id="pointer that is a fraction"),
        pytest.param(_tiff(_directory(count=65_535)), id="65,535 entries that are not there"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_damaged_notes_cost_themselves_alone(block: bytes) -> None:
    """A picture is a picture without them; loops and absurd counts end at once."""
    head, ranges = _read(make_picture(exif=b"Exif\0\0" + block + bytes(4), size=(64, 48)))

    assert head.shape.width == 64
    assert head.notes.original is None
    assert ranges == 1


def test_what_surrounds_damage_is_kept() -> None:
    """One field that points outside does not take the others along."""
    model, first = (0x0110, 2, 4, int.from_bytes(b"T1\0\0", "little")), (0x010F, 2, 99, 0xFFFF)

    head, _ = _read(make_picture(exif=b"Exif\0\0" + _tiff(_directory(first, model)) + bytes(4)))

    assert (head.notes.make, head.notes.model, head.notes.damaged) == (None, "T1", True)


@pytest.mark.parametrize(
    ("parts", "ref", "axis", "expected"),
    [
        ([59.0, 19.0, 45.5646], "N", "NS", 59.3293235),
        ([18.0, 4.0, 6.8909], "W", "EW", -18.0685808),
        ([0.0, 0.0, 0.0], "N", "NS", 0.0),
        ([0.0, 0.0, 0.0], "S", "NS", 0.0),
        ([59.5, 0.0, 0.0], "s", "NS", -59.5),
        ([90.0, 0.0, 0.0], "N", "NS", 90.0),
        ([90.0, 0.0, 0.1], "N", "NS", None),
        ([180.0, 0.0, 0.1], "E", "EW", None),
        ([10.0, 61.0, 0.0], "N", "NS", None),
        ([-10.0, 1.0, 0.0], "N", "NS", None),
        ([10.0, 1.0, 0.0], None, "NS", None),
        ([10.0, 1.0, 0.0], "E", "NS", None),
        ([float("nan"), 1.0, 0.0], "N", "NS", None),
        ([1.0, float("nan"), 0.0], "N", "NS", None),
        (None, "N", "NS", None),
    ],
)
def test_degrees_minutes_seconds_become_degrees(
    parts: list[float] | None, ref: str | None, axis: str, expected: float | None
) -> None:
    """A zero is a latitude like any other, and half a position is none."""
    found = decimal_degrees(parts, ref, axis)

    assert found == expected
    assert repr(found) != "-0.0"


@pytest.mark.parametrize("divided_by_zero", [(0, 0), (59, 0)])
def test_a_fraction_divided_by_zero_is_no_position(divided_by_zero: tuple[int, int]) -> None:
    """That is how NaN and infinity are written in EXIF."""
    body = make_picture(exif=_NOTED).replace(
        struct.pack(">II", 59, 1), struct.pack(">II", *divided_by_zero)
    )
    body = body.replace(struct.pack("<II", 59, 1), struct.pack("<II", *divided_by_zero))

    notes = _read(body)[0].notes

    assert (notes.position, notes.bad_position) == (None, True)
    assert notes.original == "2026:06:01 04:30:00"


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def _webp(name: bytes, data: bytes) -> bytes:
    data += bytes(len(data) % 2)
    chunk = name + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


_SAMPLES = [make_picture(exif=_NOTED, form=form, size=(32, 16)) for form in _FORMS]
_Change = Callable[[bytes], bytes]


@settings(max_examples=repetitions(60, 20_000), deadline=None)
@given(
    body=st.sampled_from(_SAMPLES),
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 1200),
    head=st.sampled_from([128, 300, HEAD_BYTES]),
)
def test_any_bytes_are_a_picture_or_a_bad_one(
    body: bytes, changes: list[tuple[int, int]], cut: int, head: int
) -> None:
    """Nothing else is raised, whatever is in a file, and no more ranges are wanted than some."""
    changed = bytearray(body)
    for at, value in changes:
        if at < len(changed):
            changed[at] = value
    try:
        found, _ = _read(bytes(changed[: len(changed) - cut]), head=head)
    except BadPicture:
        return
    assert found.shape.width > 0
