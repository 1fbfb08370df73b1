import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.handshake.failure import TAIL_CHARACTERS_MAX, FailureReport, parse_failure
from shared.handshake.fields import (
    COUNT_END,
    LINE_CHARACTERS_MAX,
    RECORD_BYTES_MAX,
    one_line,
    tail_lines,
)
from shared.handshake.layout import CID as CID_PATTERN
from shared.handshake.layout import JobFolder, Runout
from shared.handshake.lease import Lease, LeaseState, Owner, parse_lease
from shared.handshake.manifest import FILES_MAX, Manifest, ResultFile, parse_manifest
from shared.handshake.summary import Summary, pack_cids, parse_summary, unpack_cids
from tests.support.leasing import CID, lease, manifest, owner, report

HOSTILE_TEXT = "line\nfeed \x1b[2J\x00 \ud800 \N{RIGHT-TO-LEFT OVERRIDE}"
SUMMARY = Summary(
    "dispatcher", "prod", "2026-03-01T12:00:00Z", {"sent": frozenset({"00001"})}, {"00001": "odd"}
)

lines = st.text(max_size=60).map(one_line)
blocks = st.text(max_size=200).map(lambda text: tail_lines(text, TAIL_CHARACTERS_MAX))
counts = st.integers(0, COUNT_END - 1)
cids = st.from_regex(CID_PATTERN, fullmatch=True)
cid_sets = st.frozensets(st.integers(0, 99_999).map("{:05d}".format), max_size=20)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200)
days = st.dates().map(lambda day: f"{day:%Y-%m-%d}".rjust(10, "0"))
owners = st.builds(Owner, names, names, lines)


@st.composite
def leases(draw: st.DrawFn) -> Lease:
    """Any lease that the code may write."""
    cid, state = draw(cids), draw(st.sampled_from(LeaseState))
    committed = state is LeaseState.COMMITTED
    return Lease(
        cid=cid,
        state=state,
        generation=draw(counts),
        beat=draw(counts),
        owner=draw(owners),
        job=JobFolder(draw(days), cid),
        attempts=draw(counts),
        since=draw(lines),
        runout=Runout(f"{draw(days)}-1207", cid) if committed else None,
        reason=draw(lines),
    )


@st.composite
def reports(draw: st.DrawFn) -> FailureReport:
    """Any report that the code may write."""
    cid = draw(cids)
    return FailureReport(
        cid=cid,
        job=JobFolder(draw(days), cid),
        step=draw(lines),
        reason=draw(lines),
        exit_status=draw(st.none() | st.integers(-256, 256)),
        attempts=draw(counts),
        host=draw(lines),
        failed_at=draw(lines),
        log_tail=draw(blocks),
    )


@given(leases())
def test_lease_is_read_as_it_was_written(written: Lease) -> None:
    """A lease that its own writer cannot read stops a CID for ever."""
    assert parse_lease(written.to_bytes(), written.cid) == written


@given(reports())
def test_report_is_read_as_it_was_written(written: FailureReport) -> None:
    """A person mends a job by what the report says."""
    assert parse_failure(written.to_bytes(), written.cid) == written


@given(st.lists(st.from_regex(r"[a-z0-9_][a-z0-9._-]{0,30}", fullmatch=True), unique=True), counts)
def test_manifest_is_read_as_it_was_written(more: list[str], generation: int) -> None:
    """The collector takes exactly the files that the manifest names."""
    plain = manifest(generation=generation)
    others = tuple(ResultFile(name, 1, "AAAAAAAAAAA=") for name in more)
    written = replace(plain, files=plain.files + others)

    assert parse_manifest(written.to_bytes(), CID) == written


@given(
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), cid_sets, max_size=4),
    st.dictionaries(cids, lines.map(lambda text: one_line(text, 500)), max_size=4),
    st.floats(0, 1e9),
)
def test_summary_is_read_as_it_was_written(
    states: Mapping[str, frozenset[str]], notes: Mapping[str, str], per_hour: float
) -> None:
    """Status on a laptop knows of PROD's ledgers what the summary says."""
    written = Summary("dispatcher", "prod", "2026-03-01T12:00:00Z", states, notes, per_hour)

    assert parse_summary(written.to_bytes(), "dispatcher") == written


def texts_in(value: object) -> Iterator[str]:
    """Yield every text of a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts_in(inner)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (lease(reason=HOSTILE_TEXT * 200, since=HOSTILE_TEXT).to_bytes(), parse_lease),
        (lease(owner=replace(owner("a"), host=HOSTILE_TEXT)).to_bytes(), parse_lease),
        (
            report(
                step=HOSTILE_TEXT,
                reason=HOSTILE_TEXT * 200,
                host=HOSTILE_TEXT,
                failed_at=HOSTILE_TEXT,
                log_tail=HOSTILE_TEXT * 2000,
            ).to_bytes(),
            parse_failure,
        ),
        (
            manifest(owner=HOSTILE_TEXT, producer=HOSTILE_TEXT, created_at="\x1b").to_bytes(),
            parse_manifest,
        ),
    ],
    ids=["lease", "owner", "report", "manifest"],
)
def test_any_words_can_be_written_and_shown(
    written: bytes, read: Callable[[bytes, str], Lease | FailureReport | Manifest]
) -> None:
    """The reason of a failure comes from a foreign program, and goes to a person's terminal."""
    found = read(written, CID)

    shown = "".join(texts_in(json.loads(found.to_bytes())))
    assert shown.replace("\n", "").isprintable()
    assert read(found.to_bytes(), CID) == found


def test_words_have_a_bound() -> None:
    """A lease is read at every look; a log of a gigabyte must not get into it."""
    found = parse_lease(lease(reason="x" * 10_000).to_bytes(), CID)
    told = parse_failure(report(log_tail="x" * 100_000 + "end").to_bytes(), CID)

    assert len(found.reason) == LINE_CHARACTERS_MAX
    assert len(told.log_tail) == TAIL_CHARACTERS_MAX
    assert told.log_tail.endswith("end")


@given(st.text())
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """What was read and is written again must be what it was."""
    assert one_line(one_line(text)) == one_line(text)
    assert tail_lines(tail_lines(text, 50), 50) == tail_lines(text, 50)


PARSERS: Mapping[str, Callable[[bytes], object]] = {
    "lease": lambda body: parse_lease(body, CID),
    "report": lambda body: parse_failure(body, CID),
    "manifest": lambda body: parse_manifest(body, CID),
    "summary": lambda body: parse_summary(body, "dispatcher"),
}
WRITTEN: Mapping[str, bytes] = {
    "lease": lease(LeaseState.COMMITTED).to_bytes(),
    "report": report().to_bytes(),
    "manifest": manifest().to_bytes(),
    "summary": SUMMARY.to_bytes(),
}
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", PARSERS)
@given(body=st.binary(max_size=300))
@example(body=b"[" * 100_000)
@example(body=b"9" * 5000)
@example(body=b'{"schema": 1}')
@example(body=b" " * (RECORD_BYTES_MAX + 1))
def test_any_bytes_are_read_or_refused(kind: str, body: bytes) -> None:
    """Anybody with write access can put anything there; a traceback would end the daemon."""
    with pytest.raises(ValueError, match=r"."):
        PARSERS[kind](body)


@pytest.mark.parametrize("kind", PARSERS)
@given(data=st.data())
def test_record_with_a_changed_field_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """The nearer to a good record, the deeper the reader looks into it."""
    record: dict[str, Any] = json.loads(WRITTEN[kind])
    name = data.draw(st.sampled_from(sorted(record)))
    record[name] = data.draw(jsons | st.sampled_from([10**400, float("nan"), -1, True, "\ud800"]))

    refusal = ""
    try:
        PARSERS[kind](json.dumps(record).encode())
    except ValueError as error:
        refusal = str(error)

    assert len(refusal) < 600
    assert "\n" not in refusal


@pytest.mark.parametrize(
    ("kind", "changes", "complaint"),
    [
        ("lease", {"schema": 2}, "schema 2; this version reads 1"),
        ("lease", {"schema": True}, "schema True"),
        ("lease", {"schema": {"deep": [1]}}, "schema a dict"),
        ("lease", {"cid": "00001"}, "is of CID '00001'"),
        ("lease", {"cid": 2104}, "'cid' is 2104; it must be a text"),
        ("lease", {"state": "done"}, "unknown state 'done'"),
        ("lease", {"state": "claimed"}, "exactly when it is committed"),
        ("lease", {"beat": -1}, "'beat' is -1"),
        ("lease", {"beat": True}, "'beat' is True"),
        ("lease", {"beat": COUNT_END}, "whole number"),
        ("lease", {"owner": "me"}, "no owner"),
        ("lease", {"owner": {"process": "", "instance": "i", "host": "h"}}, "'process' is ''"),
        ("lease", {"job": "aws-seeds-yesterday"}, "aws-seeds-YYYY"),
        ("lease", {"runout": "aws-closest-"}, "aws-closest-YYYY"),
        ("report", {"cid": "00001"}, "is of CID '00001'"),
        ("report", {"exit_status": True}, "whole number or null"),
        ("report", {"exit_status": 10**30}, "whole number or null"),
        ("manifest", {"cid": "00001"}, "is of CID 00001"),
        ("manifest", {"files": []}, "1 to 100 files"),
        ("manifest", {"files": [{}] * (FILES_MAX + 1)}, "1 to 100 files"),
        ("manifest", {"files": ["a"]}, "not an object"),
        ("manifest", {"files": [{"name": "a", "size": 6 * 1024**4}]}, "larger than S3 takes"),
        ("manifest", {"files": [{"name": "../a", "size": 1}]}, "'name' is '../a'"),
        ("manifest", {"files": [{"name": "a", "size": 1, "crc64nvme": ""}]}, "'crc64nvme'"),
        (
            "manifest",
            {"files": [{"name": "a", "size": 1, "crc64nvme": "AAAAAAAAAAA="}]},
            "does not name positions02104_closest.csv, positions02104_closest.qc.txt",
        ),
        (
            "manifest",
            {"files": [{"name": "a", "size": 1, "crc64nvme": "AAAAAAAAAAA="}] * 2},
            "names a file twice",
        ),
        ("summary", {"service": "collector"}, "is of 'collector'"),
        ("summary", {"cids": []}, "must be objects"),
        ("summary", {"notes": None}, "must be objects"),
        ("summary", {"cids": {f"state{n}": "" for n in range(41)}}, "of few states"),
        ("summary", {"cids": {"No State": ""}}, "no name of a state"),
        ("summary", {"per_hour": "fast"}, "must be a number"),
        ("summary", {"per_hour": True}, "must be a number"),
        ("summary", {"per_hour": float("nan")}, "from 0 to a billion"),
        ("summary", {"per_hour": 10**400}, "from 0 to a billion"),
    ],
)
def test_wrong_record_is_refused_with_its_reason(
    kind: str, changes: Mapping[str, object], complaint: str
) -> None:
    """One line says what is wrong; whoever reads it has no debugger at hand."""
    record = {**json.loads(WRITTEN[kind]), **changes}

    with pytest.raises(ValueError, match=complaint.replace("(", r"\(")):
        PARSERS[kind](json.dumps(record).encode())


def test_record_that_is_no_object_is_refused() -> None:
    """JSON alone is not a record."""
    with pytest.raises(ValueError, match="JSON list; it must be an object"):
        parse_lease(b"[]", CID)


@pytest.mark.parametrize(
    ("of_them", "text"),
    [
        ([], ""),
        (["00000"], "00000"),
        (["00007", "00005", "00006", "00006"], "00005-00007"),
        (["99999", "00000", "00002"], "00000,00002,99999"),
    ],
)
def test_cids_are_packed_as_ranges(of_them: list[str], text: str) -> None:
    """A hundred thousand CIDs in a row are a few bytes."""
    assert pack_cids(of_them) == text
    assert unpack_cids(text) == frozenset(of_them)


@pytest.mark.parametrize("text", ["1", "00001,", "00005-00001", "00001,00001", "00001-00009,00003"])
def test_ranges_that_do_not_ascend_are_refused(text: str) -> None:
    """Ranges over and over again would keep a reader busy for hours."""
    with pytest.raises(ValueError, match="range"):
        unpack_cids(text)


def test_summary_of_every_other_cid_can_be_read() -> None:
    """The worst case of packing is no reason to have no status."""
    scattered = frozenset(f"{number:05d}" for number in range(0, 100_000, 2))
    notes = dict.fromkeys(sorted(scattered)[:1000], "x" * 500)
    written = Summary("dispatcher", "prod", "now", {"sent": scattered, "new": scattered}, notes)

    assert parse_summary(written.to_bytes(), "dispatcher") == written


@pytest.mark.parametrize(("said", "kept"), [(float("nan"), 0.0), (-1.0, 0.0), (1e300, 1e9)])
def test_impossible_rate_is_not_written(said: float, kept: float) -> None:
    """A rate is a division, and a division may be by nothing."""
    written = replace(SUMMARY, per_hour=said)

    assert parse_summary(written.to_bytes(), "dispatcher").per_hour == kept


def test_notes_beyond_a_thousand_are_left_out() -> None:
    """The first thousand say what is wrong; the rest would only make the object large."""
    notes = {f"{number:05d}": "odd" for number in range(1500)}

    found = parse_summary(replace(SUMMARY, notes=notes).to_bytes(), "dispatcher")

    assert list(found.notes) == [f"{number:05d}" for number in range(1000)]
