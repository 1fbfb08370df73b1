import os
import socket

from tests.acceptance.ground import BUCKET, Ground

EXACT = (
    "two\nlines.png",
    "-rf",
    "--delete",
    "a%2Fb.png",
    "a..b",
    "..x",
    "...",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "n" * 255,
    "\u00fc" * 127,
    "\U0001f980 crab.png",
    "\u202eevil\u202c.png",
    "\u05e9\u05dc\u05d5\u05dd.txt",
    "a+b.png",
    "a b.png",
    "a#b.png",
    "a?b=c.png",
    "a&b.png",
    "a;b,c:d@e.png",
    "trailing dot.",
    "trailing space ",
    " leading space",
    "back\\slash",
    "quote\"s'.png",
    "<xml>&amp;.png",
    "tab\there",
    "bell\x07.png",
    "percent%",
    "%25.png",
    "*glob[1]?.png",
    "sub folder/deep er/a.png",
)
"""Keys that must arrive exactly like this."""


def test_hostile_names_arrive_under_exactly_their_key(ground: Ground) -> None:
    """What `aws s3 ls` shows equals the path; hidden names are the one exception."""
    visible = [name for name in EXACT if not name.startswith(".")]
    for name in visible:
        ground.put(name, name.encode())
    for name in visible[::3]:
        ground.seed(name, name.encode())

    daemon = ground.ready()
    daemon.wait_until(ground.is_empty)

    assert ground.s3.objects(BUCKET) == {name: name.encode() for name in sorted(visible)}
    assert not [event for event in daemon.events() if event.level in {"warning", "error"}]
    ground.check()


def test_names_that_come_by_events_arrive_as_exactly(ground: Ground) -> None:
    """The watcher hands over names on another way than the scan."""
    visible = [name for name in EXACT if not name.startswith(".")]
    daemon = ground.ready(interval=60)

    for name in visible:
        ground.put(name, name.encode())
    daemon.wait_for("file_uploaded", count=len(visible))

    assert ground.s3.objects(BUCKET) == {name: name.encode() for name in sorted(visible)}
    assert {event.fields["key"] for event in daemon.events("file_uploaded")} == set(visible)
    ground.check()


def test_a_name_that_is_not_utf8_is_one_clear_error_and_the_rest_goes_on(ground: Ground) -> None:
    """It can never be a key; the files beside and below it can."""
    folder = ground.root / BUCKET
    bad = os.fsencode(folder) + b"/bad\xff.png"
    with open(bad, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"bad")
    os.utime(bad, (1_700_000_000, 1_700_000_000))
    daemon = ground.ready()
    ground.put("good.png", b"good")
    daemon.wait_for("file_uploaded", key="good.png")
    ground.put("later/fine.png", b"fine")
    daemon.wait_for("file_uploaded", key="later/fine.png")
    daemon.wait_passes(2)

    errors = [event for event in daemon.events() if event.level == "error"]
    assert len(errors) == 1
    assert os.fsencode(str(errors[0].fields["path"])).endswith(b"/bad\xff.png")
    assert "UTF-8" in str(errors[0].fields["reason"])
    assert os.path.exists(bad)  # noqa: PTH110 - a path of bytes
    assert daemon.stop() == 0


def test_a_folder_that_is_not_utf8_is_one_clear_error_whatever_is_in_it(ground: Ground) -> None:
    """Ten thousand files in it are one mistake."""
    bad = os.fsencode(ground.root / BUCKET) + b"/f\xfe"
    os.mkdir(bad)  # noqa: PTH102 - a path of bytes
    for number in range(20):
        with open(bad + b"/%d" % number, "wb") as file:  # noqa: PTH123 - a path of bytes
            file.write(b"bad")
        os.utime(bad + b"/%d" % number, (1_700_000_000, 1_700_000_000))
    ground.put("good.png", b"good")

    daemon = ground.ready()
    daemon.wait_for("file_uploaded", key="good.png")
    daemon.wait_passes(2)

    errors = [event for event in daemon.events() if event.level == "error"]
    assert len(errors) == 1, [str(error) for error in errors]


def test_a_key_that_is_too_long_is_one_clear_error(ground: Ground) -> None:
    """S3 takes 1,024 bytes; five folders of 250 are legal on disk."""
    long = "/".join(["d" * 250] * 4 + ["f" * 40])
    ground.put(long, b"too long")
    ground.produced.clear()
    ground.put("fine.png", b"fine")

    daemon = ground.ready()
    daemon.wait_for("file_uploaded", key="fine.png")
    daemon.wait_passes(2)

    errors = [event for event in daemon.events() if event.level == "error"]
    assert [error.name for error in errors] == ["file_parked"]
    assert "1024" in str(errors[0].fields["reason"])
    assert len(ground.left()) == 1


def test_nothing_but_regular_files_is_ever_opened(ground: Ground) -> None:
    """A link may lead out of the root, and opening a pipe would wait for ever."""
    outside = ground.folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    folder = ground.root / BUCKET
    (folder / "link-to-file").symlink_to(outside / "secret.txt")
    (folder / "link-to-folder").symlink_to(outside)
    (folder / "dangling").symlink_to(outside / "nothing")
    (ground.root / "linked-bucket").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(folder / "plug"))
        ground.put("good.png", b"good")

        daemon = ground.ready()
        daemon.wait_for("file_uploaded", key="good.png")
        os.mkfifo(folder / "later-pipe")
        (folder / "later-link").symlink_to(outside)
        daemon.wait_for("file_skipped", count=8)
        daemon.wait_passes(2)

    skipped = daemon.events("file_skipped", level="warning")
    assert len(skipped) == len({event.fields["path"] for event in skipped}) == 8
    assert ground.s3.objects(BUCKET) == {"good.png": b"good"}
    assert len(ground.left()) == 8
    assert (outside / "secret.txt").read_bytes() == b"secret"
    assert daemon.stop() == 0


def test_hidden_and_temporary_names_are_left_alone(ground: Ground) -> None:
    """Editors and downloaders finish by renaming; what they write before is not ours."""
    names = (".hidden", ".git/config", "a.tmp", "b.part", "c.partial", ".d.swp", "e.swp", "f~")
    for name in names:
        ground.put(name, b"not finished")
    ground.produced.clear()
    ground.put("done.png", b"done")

    daemon = ground.ready()
    daemon.wait_for("file_uploaded", key="done.png")
    daemon.wait_passes(1)

    assert ground.s3.keys(BUCKET) == ["done.png"]
    assert len(ground.left()) == len(names)
    ground.put("a.png", b"finished", age=0)
    (ground.root / BUCKET / "b.part").rename(ground.root / BUCKET / "b.bin")
    daemon.wait_for("file_uploaded", key="b.bin")


def test_a_folder_that_cannot_be_a_bucket_is_one_error_and_an_alias_mends_it(
    ground: Ground,
) -> None:
    """One clear error for the folder, not for its files, which stay where they are."""
    for number in range(10):
        ground.put(f"{number}.png", b"x", bucket="Bad_Bucket")
        ground.put(f"{number}.png", b"x", bucket="distributed_colony")
    ground.produced.clear()
    ground.s3.create_bucket("distributed-colony")
    (ground.root / "stray.txt").write_bytes(b"x")
    os.utime(ground.root / "stray.txt", (1_700_000_000, 1_700_000_000))

    daemon = ground.ready()
    daemon.wait_passes(2)

    errors = [event for event in daemon.events() if event.level == "error"]
    assert [(e.name, e.fields["folder"]) for e in errors] == [("folder_unusable", "Bad_Bucket")]
    assert "--alias Bad_Bucket=" in str(errors[0].fields["reason"])
    assert len(daemon.events("files_without_bucket", level="warning")) == 1
    assert len(ground.s3.keys("distributed-colony")) == 10
    assert daemon.stop() == 0

    again = ground.ready("--alias", f"Bad_Bucket={BUCKET}")
    again.wait_for("file_uploaded", count=10)
    assert len(ground.s3.keys(BUCKET)) == 10
