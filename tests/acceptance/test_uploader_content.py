from tests.acceptance.ground import BUCKET, Ground, Writer, names_of
from tests.support.gate import Gate
from tests.support.strict_s3.faults import Do, Fault, Stage, Wait
from tests.support.strict_s3.protocol import Call


def test_other_content_of_the_same_size_is_replaced_and_the_event_names_it(ground: Ground) -> None:
    """The old script dropped the local file here, which was the only copy of the new content."""
    ground.seed("a.png", b"old content")
    etag = ground.s3.mutations(BUCKET)[-1].etag.strip('"')
    ground.put("a.png", b"new content")
    matched: list[str] = []
    ground.s3.faults.add(
        Fault(Do(lambda call: matched.append(_if_match(call)), Stage.ARRIVAL), operation="Put*")
    )

    daemon = ground.ready()
    uploaded = daemon.wait_for("file_uploaded", key="a.png")

    assert matched == [etag]
    assert uploaded.fields["replaced_etag"] == etag
    assert uploaded.fields["replaced_size_bytes"] == len(b"old content")
    assert ground.s3.objects(BUCKET) == {"a.png": b"new content"}
    assert ground.is_empty()
    ground.check()


def test_the_same_content_is_not_sent_again_and_the_file_leaves(ground: Ground) -> None:
    """After a crash, or on a second machine with the same data, nothing is paid for twice."""
    ground.seed("a.png", b"content")
    ground.seed("large.bin", bytes(6_000_000))
    ground.put("a.png", b"content")
    ground.put("large.bin", bytes(6_000_000))

    daemon = ground.ready("--multipart-from", "5")
    daemon.wait_for("file_already_there", key="a.png", level="info")
    daemon.wait_for("file_already_there", key="large.bin")

    assert ground.is_empty()
    assert ground.s3.count("Put*") + ground.s3.count("*Multipart*") == 0
    ground.check()


def test_an_object_that_changes_between_the_question_and_the_upload_survives(
    ground: Ground,
) -> None:
    """A replacement carries the ETag that was seen: another writer's content is looked at first."""
    ground.seed("a.png", b"old content")
    ground.put("a.png", b"new content")

    def another_writer(call: Call) -> None:
        ground.s3.seed(BUCKET, {"a.png": b"from elsewhere"})

    meddling = ground.s3.faults.add(
        Fault(Do(another_writer, Stage.ARRIVAL), operation="PutObject", nth=1)
    )
    daemon = ground.ready()
    uploaded = daemon.wait_for("file_uploaded", key="a.png")

    assert ground.s3.faults.struck(meddling) == 1
    assert uploaded.fields["replaced_size_bytes"] == len(b"from elsewhere")
    assert ground.s3.objects(BUCKET) == {"a.png": b"new content"}


def test_many_files_of_one_folder_are_looked_up_by_listing(ground: Ground) -> None:
    """Five hundred files that are there already cost a page, not five hundred questions."""
    for name in names_of(500):
        ground.seed(name, name.encode())
        ground.put(name, name.encode())

    daemon = ground.ready()
    daemon.wait_until(ground.is_empty)

    assert ground.s3.count("ListObjectsV2") <= 2
    assert ground.s3.count("HeadObject") == 0
    assert ground.s3.count("Put*") == 0
    ground.check()


def test_a_new_small_file_costs_one_request(ground: Ground) -> None:
    """No HEAD before and none after: the precondition and the checksum in the answer do both."""
    daemon = ground.ready(interval=60)
    ground.put("first.png", b"asks for the bucket's region")
    daemon.wait_for("file_uploaded")
    before = len(ground.s3.requests())

    for name in names_of(30):
        ground.put(name, name.encode())
    daemon.wait_for("file_uploaded", count=31)

    operations = [request.operation for request in ground.s3.requests()[before:]]
    assert operations == ["PutObject"] * 30
    ground.check()


def test_a_small_file_that_is_there_already_is_compared_after_the_refusal(ground: Ground) -> None:
    """While running, a create that is refused with 412 is what starts a comparison."""
    daemon = ground.ready(interval=60)
    ground.seed("same.png", b"same")
    ground.seed("other.png", b"old!")

    ground.put("same.png", b"same")
    ground.put("other.png", b"new!")

    daemon.wait_for("file_already_there", key="same.png")
    daemon.wait_for("file_uploaded", key="other.png", replaced_size_bytes=4)
    assert ground.s3.count("PutObject", key="same.png", status=200) == 0
    assert ground.s3.count("PutObject", key="other.png", status=412) == 1
    assert ground.s3.objects(BUCKET) == {"other.png": b"new!", "same.png": b"same"}
    ground.check()


def test_a_file_that_is_rewritten_while_it_is_sent_is_sent_again_and_never_deleted_before(
    ground: Ground,
) -> None:
    """The newest content is in S3 or on disk at every moment; here both contents get there."""
    held = Gate()
    ground.s3.faults.add(Fault(Wait(held, Stage.BEFORE_COMMIT), operation="PutObject", nth=1))
    place = ground.put("a.png", b"first content")

    daemon = ground.start(interval=60)
    held.reached_blocking()
    ground.put("a.png", b"second content!")
    held.open()

    daemon.wait_until(lambda: not place.exists())
    assert ground.s3.objects(BUCKET) == {"a.png": b"second content!"}
    ground.check()


def test_a_file_whose_writer_holds_it_open_stays_until_it_is_closed(ground: Ground) -> None:
    """Appends through an open handle after the upload would otherwise be lost with the file."""
    place = ground.put("log.txt", b"line one\n")
    with place.open("ab") as writer:
        daemon = ground.ready()
        daemon.wait_for("file_held_open", key="log.txt", level="warning")
        daemon.wait_passes(2)
        assert place.exists()
        writer.write(b"line two\n")
    ground.note("log.txt", b"line one\nline two\n")

    daemon.wait_until(lambda: not place.exists())
    assert ground.s3.objects(BUCKET) == {"log.txt": b"line one\nline two\n"}
    assert len(daemon.events("file_held_open")) == 1
    ground.check()


def test_a_growing_file_is_warned_about_once_and_sent_when_it_is_whole(ground: Ground) -> None:
    """Nothing half-written is ever visible, and a slow writer does not fill the log."""
    daemon = ground.ready("-s", "3")
    place = ground.root / BUCKET / "slow.log"
    with Writer(place):
        daemon.wait_for("file_still_changing", level="warning", path=f"{BUCKET}/slow.log")
        daemon.wait_passes(2)
        assert ground.s3.keys(BUCKET) == []
    whole = place.read_bytes()
    ground.note("slow.log", whole)

    daemon.wait_until(ground.is_empty)
    assert ground.s3.objects(BUCKET) == {"slow.log": whole}
    assert len(ground.s3.mutations(BUCKET)) == 1
    assert len(daemon.events("file_still_changing")) == 1
    ground.check()


def _if_match(call: Call) -> str:
    return str(call.headers.get("If-Match", "none")).strip('"')
