from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.uploader.plan import (
    Action,
    Ask,
    Compare,
    DeleteLocal,
    FileFault,
    FolderFault,
    ListingPlan,
    Remote,
    Target,
    Upload,
    comparable_kind,
    map_path,
    plan_file,
    plan_lookup,
    with_checksum,
)
from shared.fswatch.stability import FileIdentity, LocalFile
from shared.s3.store import ABSENT, Checksums, Evidence, Matches, ObjectInfo
from shared.s3.uri import S3Uri

SIZE = 7
FILE = LocalFile("colony-shots/a.png", FileIdentity(1, 2, SIZE, 3))
URI = S3Uri("colony-shots", "a.png")
KINDS = [field.name for field in fields(Checksums)]
LEVELS = [Evidence.SIZE, Evidence.ETAG_MD5, Evidence.READ_BACK, Evidence.ANSWERED]
NOTHING = Checksums()
EQUAL = Checksums(crc64nvme="ours", md5="ours")
CRC_DIFFERS = Checksums(crc64nvme="theirs", md5="ours")


def held(size: int = SIZE, checksums: Checksums = NOTHING) -> ObjectInfo:
    """Describe an object under the key."""
    return ObjectInfo(URI, size, "etag", datetime(2024, 11, 3, tzinfo=UTC), checksums)


def plan(
    remote: ObjectInfo | Remote,
    local: Checksums = NOTHING,
    *,
    ask_first: bool = False,
    listed: bool = False,
    weakest: Evidence = Evidence.ETAG_MD5,
) -> Action:
    """Plan for a file of seven bytes."""
    return plan_file(FILE, remote, local, ask_first=ask_first, listed=listed, weakest=weakest)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("colony-shots/a.png", Target(S3Uri("colony-shots", "a.png"))),
        ("colony-shots/x/a.png", Target(S3Uri("colony-shots", "x/a.png"))),
        ("distributed_colony/a", Target(S3Uri("distributed-colony", "a"))),
        ("colony-shots/a+b %2F#?\n.png", Target(S3Uri("colony-shots", "a+b %2F#?\n.png"))),
        ("colony-shots/-rf", Target(S3Uri("colony-shots", "-rf"))),
        ("colony-shots/..a/...", Target(S3Uri("colony-shots", "..a/..."))),
        ("colony-shots/e\u0301", Target(S3Uri("colony-shots", "e\u0301"))),
        ("colony-shots/\u00e9", Target(S3Uri("colony-shots", "\u00e9"))),
        ("colony-shots/" + "k" * 1024, Target(S3Uri("colony-shots", "k" * 1024))),
    ],
)
def test_folder_is_the_bucket_and_the_rest_is_the_key(path: str, expected: Target) -> None:
    """What `aws s3 ls` shows must equal the path, whatever is in the name."""
    assert map_path(path, {"distributed_colony": "distributed-colony"}) == expected


@pytest.mark.parametrize(
    ("path", "folder", "words"),
    [
        ("a.png", "", "no bucket"),
        ("my_results/a.png", "my_results", "--alias my_results=BUCKET"),
        ("AB/a.png", "AB", "2 characters"),
        ("10.0.0.1/a.png", "10.0.0.1", "IP address"),
        ("bad\udcff/a.png", "bad\udcff", "xff"),
    ],
)
def test_folder_that_cannot_be_a_bucket_is_the_folders_fault(
    path: str, folder: str, words: str
) -> None:
    """One clear error a folder, which names the way out."""
    fault = map_path(path, {})

    assert isinstance(fault, FolderFault)
    assert fault.folder == folder
    assert words in fault.reason


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("colony-shots/bad\udcff.png", "not valid UTF-8"),
        ("colony-shots/" + "k" * 1025, "1025 bytes"),
        ("colony-shots/" + "\u00e9" * 513, "1026 bytes"),
        ("colony-shots/", "empty"),
    ],
)
def test_name_that_cannot_be_a_key_is_the_files_fault(path: str, words: str) -> None:
    """One such file delays no other."""
    fault = map_path(path, {})

    assert isinstance(fault, FileFault)
    assert words in fault.reason


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
)
def test_key_is_the_exact_rest_of_the_path(folder: str, key: str) -> None:
    """A key is never rewritten."""
    found = map_path(f"{folder}/{key}", {folder: "colony-shots"})

    assert found == Target(S3Uri("colony-shots", key)) or len(key.encode()) > 1024


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (plan(Remote.UNASKED, ask_first=True), Ask),
        (plan(Remote.UNASKED), ABSENT),
        (plan(Remote.ABSENT), ABSENT),
        (plan(Remote.ABSENT, ask_first=True), ABSENT),
        (plan(held(SIZE + 1)), Matches("etag")),
        (plan(held(SIZE + 1), listed=True), Matches("etag")),
        (plan(held(SIZE + 1), weakest=Evidence.SIZE), Matches("etag")),
        (plan(held(), weakest=Evidence.SIZE), Evidence.SIZE),
        (plan(held(checksums=CRC_DIFFERS), EQUAL, weakest=Evidence.SIZE), Evidence.SIZE),
        (plan(held(checksums=EQUAL)), "crc64nvme"),
        (plan(held(checksums=Checksums(md5="ours")), listed=True), "md5"),
        (plan(held(checksums=EQUAL), EQUAL), Evidence.READ_BACK),
        (plan(held(checksums=Checksums(md5="ours")), EQUAL), Evidence.ETAG_MD5),
        (plan(held(checksums=Checksums(md5="ours")), EQUAL, listed=True), Evidence.ETAG_MD5),
        (plan(held(checksums=Checksums(md5="theirs")), EQUAL, listed=True), Ask),
        (plan(held(), listed=True), Ask),
        (plan(held(checksums=CRC_DIFFERS), EQUAL), Matches("etag")),
        (plan(held(checksums=Checksums(md5="theirs")), EQUAL), Matches("etag")),
        (plan(held()), Matches("etag")),
    ],
)
def test_decision_table(action: Action, expected: object) -> None:
    """Every row of the table that the docstring shows."""
    match action:
        case Ask():
            assert expected is Ask
        case Compare(kind):
            assert expected == kind
        case Upload(when):
            assert expected == when
        case DeleteLocal(evidence):
            assert expected is evidence


checksums = st.builds(Checksums, **{kind: st.sampled_from(["", "a", "b"]) for kind in KINDS})
remotes = st.one_of(
    st.sampled_from(Remote), st.builds(held, st.sampled_from([SIZE, SIZE + 1]), checksums)
)


@given(remotes, checksums, st.booleans(), st.booleans(), st.sampled_from(LEVELS))
def test_local_file_goes_only_for_equal_content(
    remote: ObjectInfo | Remote,
    local: Checksums,
    ask_first: bool,  # noqa: FBT001 - drawn by position
    listed: bool,  # noqa: FBT001 - drawn by position
    weakest: Evidence,
) -> None:
    """The one decision that cannot be taken back."""
    action = plan(remote, local, ask_first=ask_first, listed=listed, weakest=weakest)

    if isinstance(action, DeleteLocal):
        assert isinstance(remote, ObjectInfo)
        assert remote.size == SIZE
        if weakest is not Evidence.SIZE:
            kind = comparable_kind(remote.checksums)
            assert kind
            assert getattr(local, kind) == getattr(remote.checksums, kind)
    if isinstance(action, Upload) and isinstance(remote, ObjectInfo):
        assert action.when == Matches(remote.etag), "nothing is replaced that was not looked at"
        assert action.replaces is remote


@given(remotes, st.booleans(), st.booleans(), st.sampled_from(LEVELS), checksums)
def test_plan_ends_after_a_few_rounds(
    remote: ObjectInfo | Remote,
    ask_first: bool,  # noqa: FBT001 - drawn by position
    listed: bool,  # noqa: FBT001 - drawn by position
    weakest: Evidence,
    truth: Checksums,
) -> None:
    """Whatever is held, no two steps send each other round in circles."""
    local = Checksums()
    asked = replace(held(), checksums=truth)
    for _ in range(4):
        action = plan(remote, local, ask_first=ask_first, listed=listed, weakest=weakest)
        if isinstance(action, Ask):
            remote, listed = asked, False
        elif isinstance(action, Compare):
            local = with_checksum(local, action.kind, "a")
        else:
            return
    raise AssertionError("no decision")


@pytest.mark.parametrize("kind", KINDS)
def test_every_checksum_that_s3_has_can_be_compared(kind: str) -> None:
    """Another tool may have stored any of them."""
    both = with_checksum(Checksums(), kind, "same")
    remote = held(checksums=both)

    assert plan(remote) == Compare(kind)
    assert isinstance(plan(remote, both), DeleteLocal)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (1, ListingPlan(use=False)),
        (15, ListingPlan(use=False)),
        (16, ListingPlan(use=True, pages_max=2)),
        (1000, ListingPlan(use=True, pages_max=125)),
    ],
)
def test_listing_replaces_many_heads(files: int, expected: ListingPlan) -> None:
    """Neither forty files nor a prefix of a million objects may cost more than they must."""
    assert plan_lookup(files) == expected
