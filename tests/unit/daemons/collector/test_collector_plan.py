from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from daemons.collector.plan import (
    QUIET_SECONDS,
    UNASKED,
    AskLease,
    AskManifest,
    AskOrigin,
    Judgement,
    Orphan,
    Patience,
    Pull,
    Refuse,
    Unasked,
    Wait,
    fingerprint,
    is_plain_name,
    judge,
    just_before,
    listing_start,
)
from shared.handshake import lease as steps
from shared.handshake.layout import Runout, closest_name, quality_name
from shared.handshake.lease import Lease
from shared.handshake.listing import Result
from shared.handshake.manifest import Manifest
from shared.s3.store import ObjectInfo
from tests.support.collecting import (
    LATER,
    LAYOUT,
    STAMP,
    claimed_lease,
    contents,
    manifest_of,
)

CID = "02104"
RUNOUT = Runout(STAMP, CID)
TABLE, QUALITY = closest_name(CID), quality_name(CID)
FILES = contents(CID)
MANIFEST = manifest_of(RUNOUT, FILES)
CLAIMED = claimed_lease(CID)
COMMITTED = steps.commit(CLAIMED, RUNOUT, "now")
ELSEWHERE = steps.commit(CLAIMED, Runout(LATER, CID), "now")


def info(name: str, size: int) -> ObjectInfo:
    """An object as it is listed."""
    return ObjectInfo(LAYOUT.result(RUNOUT, name), size, f"etag-{name}", datetime.now(UTC))


def result(*names: str, manifest: bool = False) -> Result:
    """A runout with these files, of the sizes that the manifest promises."""
    files = {name: info(name, len(FILES.get(name, b"x"))) for name in names}
    return Result(RUNOUT, info("manifest.json", 9) if manifest else None, files)


BOTH = (QUALITY, TABLE)
Kind = type[Judgement]


@pytest.mark.parametrize(
    ("found", "lease", "manifest", "ours", "quiet", "step"),
    [
        (result(*BOTH, manifest=True), UNASKED, UNASKED, UNASKED, False, AskLease),
        (result(*BOTH, manifest=True), COMMITTED, UNASKED, UNASKED, False, AskManifest),
        (result(*BOTH, manifest=True), COMMITTED, MANIFEST, UNASKED, False, Pull),
        (result(TABLE, manifest=True), COMMITTED, MANIFEST, UNASKED, False, Refuse),
        (result(*BOTH, manifest=True), ELSEWHERE, UNASKED, UNASKED, False, Orphan),
        (result(*BOTH, manifest=True), CLAIMED, UNASKED, UNASKED, True, Wait),
        (result(*BOTH, manifest=True), None, UNASKED, UNASKED, True, Wait),
        (result(), UNASKED, UNASKED, UNASKED, True, Wait),
        (result(QUALITY), UNASKED, UNASKED, UNASKED, True, Wait),
        (result(*BOTH), UNASKED, UNASKED, UNASKED, False, AskOrigin),
        (result(*BOTH), UNASKED, UNASKED, True, True, Wait),
        (result(*BOTH), UNASKED, UNASKED, False, False, Pull),
        (result(TABLE), UNASKED, UNASKED, False, True, Pull),
        (result(TABLE), UNASKED, UNASKED, False, False, Wait),
    ],
)
def test_a_runout_is_judged_by_the_table(
    found: Result,
    lease: Lease | Unasked | None,
    manifest: Manifest | Unasked,
    *,
    ours: bool | Unasked,
    quiet: bool,
    step: Kind,
) -> None:
    """Every row of the table in `judge`: nothing incomplete is ever pulled."""
    judged = judge(found, lease=lease, manifest=manifest, ours=ours, quiet=quiet)

    assert isinstance(judged, step)


def test_another_size_than_promised_is_refused() -> None:
    """Somebody has written over an object of a committed result."""
    found = result(*BOTH, manifest=True)
    found.files[TABLE] = replace(found.files[TABLE], size=1)

    assert isinstance(judge(found, lease=COMMITTED, manifest=MANIFEST), Refuse)


def test_the_table_is_pulled_and_merged_last() -> None:
    """Whoever sees the table may rely on the rest."""
    judged = judge(result("zz.log", TABLE, "a.txt", QUALITY), ours=False)

    assert isinstance(judged, Pull)
    assert [file.name for file in judged.files] == ["zz.log", "a.txt", QUALITY, TABLE]


def test_what_a_manifest_does_not_name_is_left() -> None:
    """Nobody promised anything about it."""
    found = result("extra.txt", *BOTH, manifest=True)

    judged = judge(found, lease=COMMITTED, manifest=MANIFEST)

    assert isinstance(judged, Pull)
    assert judged.left == ("extra.txt",)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        (TABLE, True),
        ("notes on the run.txt", True),
        ("ä.txt", True),
        ("..", False),
        (".hidden", False),
        (".x.0123abcd.towpath-tmp", False),
        ("a/b", False),
        ("a\\b", False),
        ("a\nb", False),
        ("a\0b", False),
        ("a\u202eb", False),
        ("", False),
        ("x" * 201, False),
        ("ä" * 101, False),
    ],
)
def test_only_plain_names_reach_a_folder(name: str, *, plain: bool) -> None:
    """A key is chosen by whoever may write into the bucket."""
    assert is_plain_name(name) is plain


def test_a_fingerprint_changes_with_every_object() -> None:
    """What was decided of a runout holds as long as the runout is the same."""
    prints = {
        fingerprint(result(*BOTH)),
        fingerprint(result(TABLE)),
        fingerprint(result(*BOTH, manifest=True)),
        fingerprint(Result(RUNOUT, None, {TABLE: info(TABLE, 1), QUALITY: info(QUALITY, 1)})),
    }

    assert len(prints) == 4


def test_a_listing_behind_the_name_before_begins_with_the_runout() -> None:
    """So that one runout is looked up with one request."""
    for cid in ("00000", "00001", "00010", "10000", "99999"):
        start = f"{just_before(Runout(STAMP, cid))}0"
        assert start < f"{Runout(STAMP, cid)}/a"
        if cid != "00000":
            assert start > f"{Runout(STAMP, f'{int(cid) - 1:05d}')}/zzz"


def test_the_newest_end_is_listed_again_and_no_more() -> None:
    """A pass with nothing new is cheap, and names that come a little late are found."""
    minutes = [f"2026-03-01-{h:02d}{m:02d}" for h in range(10) for m in range(60)]
    newest = [Runout(stamp, "00001") for stamp in minutes]
    crowded = [Runout(STAMP, f"{number:05d}") for number in range(2000)]

    assert listing_start([]) is None
    assert listing_start(newest[:300]) is None
    assert listing_start(newest) == newest[-301]
    assert listing_start(crowded[:1999]) is None
    assert listing_start(crowded) == crowded[0]


def test_an_unchanged_runout_is_looked_at_less_and_less() -> None:
    """A thousand runouts that will never be complete cost no thousand requests a pass."""
    patience = Patience(30.0)
    looks = []
    for now in range(0, 7200, 30):
        if patience.is_due(RUNOUT, "a", float(now)):
            looks.append(now)
            patience.note(RUNOUT, "why", float(now))

    assert looks[:4] == [0, 30, 90, 210]
    assert 600 <= max(b - a for a, b in pairwise(looks)) <= 630
    assert patience.is_due(RUNOUT, "changed", 7200.0)


def test_a_reason_is_news_once() -> None:
    """One line in the log for one fact."""
    patience = Patience(30.0)
    patience.is_due(RUNOUT, "a", 0.0)

    assert patience.note(RUNOUT, "why", 0.0)
    assert not patience.note(RUNOUT, "why", 1.0)
    assert patience.note(RUNOUT, "another", 2.0)


def test_quiet_begins_anew_with_every_change() -> None:
    """A table that is still being replaced is never whole."""
    patience = Patience(30.0)
    patience.is_due(RUNOUT, "a", 0.0)
    patience.is_due(RUNOUT, "b", QUIET_SECONDS - 1)

    assert not patience.is_quiet(RUNOUT, QUIET_SECONDS)
    assert patience.is_quiet(RUNOUT, 2 * QUIET_SECONDS - 1)


def test_what_is_remembered_is_bounded() -> None:
    """A bucket of a million empty runouts does not fill the memory."""
    patience = Patience(30.0)
    for number in range(20_100):
        patience.is_due(Runout(f"2026-03-01-{number % 10000:04d}", f"{number:05d}"), "a", 0.0)

    assert len(patience.known()) == 20_000
