import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from daemons.dispatcher.halts import (
    FolderUnusable,
    StepLacksCredentials,
    StepUnusable,
)
from daemons.dispatcher.quarantine import put_back
from daemons.dispatcher.service import Limits
from shared.fswatch.items import ScanFinished
from shared.handshake.layout import JobFolder
from shared.ledger import LedgerUnreadable
from shared.s3.errors import AccessDenied, Answer, ObjectError, OutcomeUnknown, Unreachable
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.dispatching import (
    BUCKET,
    LAYOUT,
    Project,
    chunk_text,
    day_after,
    ended,
    seed_of,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project and an empty bucket."""
    return Project(tmp_path)


@pytest.mark.asyncio
async def test_a_chunk_becomes_a_job_and_leaves_nothing_behind(project: Project) -> None:
    """Seeds, marker, ledger: to the key and byte of the contract."""
    project.chunk("02104")

    counts = await project.one_pass()

    folder = "aws-seeds-2026-03-01-CID-02104"
    assert project.below() == [
        f"{folder}/cid.txt",
        f"{folder}/optical_seeds/chunk_02104/part-02104.parquet",
    ]
    assert project.body(LAYOUT.marker(project.job_today("02104"))) == b"02104\n"
    assert project.body(LAYOUT.seed(project.job_today("02104"))) == seed_of(chunk_text("02104"))
    assert [m.uri.key.rpartition("/")[2] for m in project.written()] == [
        "part-02104.parquet",
        "cid.txt",
    ]
    assert project.recorded() == ["02104"]
    assert project.staged() == []
    assert (counts.sent, counts.failed) == (1, 0)


@pytest.mark.asyncio
async def test_cids_go_in_their_order(project: Project) -> None:
    """People look at the ledger to see how far it is."""
    for cid in ("00300", "00002", "10000"):
        project.chunk(cid)

    await project.one_pass()

    assert project.recorded() == ["00002", "00300", "10000"]


@pytest.mark.asyncio
async def test_an_answered_or_recorded_cid_is_left_alone(project: Project) -> None:
    """The archive has answered, or a script has sent it."""
    for cid in ("00001", "00002", "00003"):
        project.chunk(cid)
    project.answer("00001")
    project.record("00002")

    await project.one_pass()

    assert project.step.built == ["00003"]
    assert project.recorded() == ["00002", "00003"]


@pytest.mark.asyncio
async def test_nothing_to_do_is_a_good_end_and_asks_s3_for_nothing(project: Project) -> None:
    """A script that runs every minute must not list a bucket of a million objects."""
    project.chunk("00001")
    project.record("00001")

    with capture_logs() as logs:
        counts = await project.one_pass()

    assert counts.failed == 0
    assert project.requests.seen == []
    assert [line["event"] for line in logs if line["event"] == "nothing_to_do"]


@pytest.mark.asyncio
async def test_a_folder_of_done_chunks_costs_no_look_at_any(project: Project) -> None:
    """A hundred thousand chunks that were sent months ago are still there."""
    cids = [f"{number:05d}" for number in range(5000)]
    for cid in cids:
        (project.positions / f"positions_chunk_{cid}.csv").touch()
    project.record(*cids[1000:])
    for cid in cids[:1000]:
        (project.positions / f"positions{cid}_closest.csv").touch()

    with ExitStack() as stack:
        life = project.life(stack)
        await life.service.prepare()
        seen = [item async for item in life.items()]
        states = life.service.states()

    assert [item.files_seen for item in seen if isinstance(item, ScanFinished)] == [0]
    assert (len(states.new), len(states.answered), len(states.sent)) == (0, 1000, 4000)
    assert project.requests.seen == []


@pytest.mark.asyncio
async def test_the_bucket_is_listed_once_for_many_cids(project: Project) -> None:
    """One listing, and two requests a CID."""
    for number in range(10):
        project.chunk(f"{number:05d}")

    await project.one_pass()

    assert project.requests.verbs(BUCKET).count(Verb.LIST) == 1
    assert project.requests.verbs(BUCKET).count(Verb.PUT) == 20
    assert len(project.requests.seen) == 21


@pytest.mark.asyncio
async def test_a_complete_job_of_any_day_is_only_recorded(project: Project) -> None:
    """The ledger was lost, or the life before ended between marker and ledger."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", marker=True)

    counts = await project.one_pass()

    assert project.step.built == []
    assert project.recorded() == ["00001"]
    assert (counts.sent, counts.recorded) == (0, 1)


@pytest.mark.asyncio
async def test_a_job_without_marker_is_completed_in_its_own_folder(project: Project) -> None:
    """Scripts were interrupted years ago; a second folder would be computed twice."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", seed=b"half", marker=False)

    with capture_logs() as logs:
        await project.one_pass()

    folder = JobFolder("2024-05-06", "00001")
    assert project.body(LAYOUT.seed(folder)) == seed_of(chunk_text("00001"))
    assert project.body(LAYOUT.marker(folder)) == b"00001\n"
    assert len(project.below()) == 2
    replaced = [line for line in logs if line["event"] == "seed_replaced"]
    assert replaced[0]["replaced_size_bytes"] == 4


@pytest.mark.asyncio
async def test_equal_seeds_are_not_sent_again(project: Project) -> None:
    """At most one mutation for each key and content."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", seed=seed_of(chunk_text("00001")), marker=False)

    await project.one_pass()

    assert len(project.written()) == 2
    assert project.body(LAYOUT.marker(JobFolder("2024-05-06", "00001"))) == b"00001\n"


@pytest.mark.asyncio
async def test_of_two_folders_of_one_cid_the_complete_one_counts(project: Project) -> None:
    """Two folders are what interrupted scripts leave."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", marker=False)
    project.put_job("00001", "2024-05-07", marker=True)

    await project.one_pass()

    assert project.recorded() == ["00001"]
    assert project.step.built == []


@pytest.mark.asyncio
async def test_a_job_completed_meanwhile_is_recorded_and_its_seeds_left_alone(
    project: Project,
) -> None:
    """Whoever saw the marker may be reading the seeds already."""
    project.chunk("00001")
    project.step.meanwhile = lambda cid: project.put_job(
        cid, f"{project.now:%Y-%m-%d}", seed=b"theirs", marker=True
    )

    counts = await project.one_pass()

    assert project.body(LAYOUT.seed(project.job_today("00001"))) == b"theirs"
    assert project.recorded() == ["00001"]
    assert counts.recorded == 1


@pytest.mark.asyncio
async def test_an_answer_that_comes_while_seeds_are_built_stops_the_job(project: Project) -> None:
    """Answered before it was sent is never sent."""
    project.chunk("00001")
    project.step.meanwhile = project.answer

    counts = await project.one_pass()

    assert project.below() == []
    assert project.recorded() == []
    assert project.staged() == []
    assert counts.answered == 1


@pytest.mark.asyncio
async def test_an_answer_that_comes_while_seeds_are_sent_keeps_the_marker_back(
    project: Project,
) -> None:
    """A job without marker is taken by nobody."""
    project.chunk("00001")

    def answering(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.PUT and uri.key.endswith(".parquet"):
            project.answer("00001")

    project.requests.lost = answering

    await project.one_pass()

    assert [key for key in project.below() if key.endswith("cid.txt")] == []
    assert project.recorded() == []


@pytest.mark.asyncio
async def test_a_chunk_that_changes_under_the_step_is_neither_sent_nor_blamed(
    project: Project,
) -> None:
    """Somebody writes it anew; the watch tells when it has settled."""
    project.chunk("00001")

    def rewrite(cid: str) -> None:
        project.chunk(cid, b"something else", at=1_700_000_500)

    project.step.meanwhile = rewrite
    project.step.ends = {"00001": ended(2, "line 1: half a row")}

    counts = await project.one_pass()

    assert (counts.changed, counts.failed, counts.sent) == (1, 0, 0)
    assert project.below() == []


@pytest.mark.asyncio
async def test_a_chunk_that_vanishes_is_no_failure(project: Project) -> None:
    """People move files."""
    path = project.chunk("00001")
    project.step.meanwhile = lambda _cid: path.unlink()

    counts = await project.one_pass()

    assert (counts.changed, counts.failed) == (1, 0)


@pytest.mark.asyncio
async def test_bad_input_is_quarantined_and_the_rest_goes_on(project: Project) -> None:
    """One bad chunk delays nothing else, and its CID is not tried again before it changes."""
    project.chunk("00001")
    project.chunk("00002")
    project.step.ends = {"00001": ended(2, "positions_chunk_00001.csv line 7: 'x' is no number")}

    with capture_logs() as logs:
        counts = await project.one_pass()
    again = await project.one_pass()

    assert project.recorded() == ["00002"]
    assert (counts.sent, counts.failed, again.failed) == (1, 1, 1)
    assert project.step.built == ["00001", "00002"]
    told = [line for line in logs if line["event"] == "cid_quarantined"]
    assert "line 7" in told[0]["reason"]
    assert project.staged() == []


@pytest.mark.asyncio
async def test_another_chunk_leaves_quarantine_by_itself(project: Project) -> None:
    """Whoever mended the file need not know of the quarantine."""
    project.chunk("00001")
    project.step.ends = {"00001": ended(2, "bad")}
    await project.one_pass()

    project.chunk("00001", chunk_text("00001", "mended"), at=1_700_000_777)
    project.step.ends = {}
    counts = await project.one_pass()

    assert (counts.sent, counts.failed) == (1, 0)
    assert list((project.state / "quarantine").iterdir()) == []


@pytest.mark.asyncio
async def test_what_never_reached_the_bucket_was_not_begun(project: Project) -> None:
    """A mended chunk is new: people look for a folder in the bucket when it says otherwise."""
    project.chunk("00001")
    project.step.ends = {"00001": ended(2, "bad")}
    with ExitStack() as stack, anyio.fail_after(60), capture_logs() as logs:
        life = project.life(stack)
        await life.once()
        project.chunk("00001", chunk_text("00001", "mended"), at=1_700_000_777)
        project.step.ends = {}
        await life.once()

    assert [line["why"] for line in logs if line["event"] == "cid_sent"] == ["new"]


@pytest.mark.asyncio
async def test_another_command_is_another_matter(project: Project) -> None:
    """A wrong option in the configuration must not need a hundred thousand retries by hand."""
    project.chunk("00001")
    project.step.ends = {"00001": ended(2, "usage: ...")}
    await project.one_pass()

    project.command = ("built better", "{cid}", "{chunk}", "{seed}")
    project.step.ends = {}
    counts = await project.one_pass()

    assert counts.sent == 1


@pytest.mark.asyncio
async def test_a_person_lets_a_cid_out(project: Project) -> None:
    """`--retry` works on the state folder, whether a daemon runs or not."""
    project.chunk("00001")
    project.step.ends = {"00001": ended(2, "bad")}
    await project.one_pass()

    assert put_back(project.state, ["00001", "00002"]) == ["00001"]
    project.step.ends = {}
    counts = await project.one_pass()

    assert counts.sent == 1


@pytest.mark.asyncio
async def test_an_accident_is_tried_again_and_then_quarantined(project: Project) -> None:
    """A step that was killed once may do better; one that always is needs a person."""
    project.chunk("00001")
    project.step.ends = {"00001": ended(None, timed_out=True)}

    ends = [(await project.one_pass()).failed for _ in range(4)]

    assert ends == [1, 1, 1, 1]
    assert project.step.built == ["00001"] * 3


@pytest.mark.asyncio
async def test_a_step_that_leaves_nothing_is_blamed(project: Project) -> None:
    """Exit 0 and no file: the original would have sent an empty folder."""
    project.chunk("00001")
    project.step.ends = {"00001": ended(0)}

    counts = await project.one_pass()

    assert counts.failed == 1
    assert project.below() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("end", "error"),
    [
        (ended(3, "no credentials"), StepLacksCredentials),
        (ended(None, fault="cannot be started: 'seeds' not found on PATH"), StepUnusable),
    ],
)
async def test_what_would_stop_every_cid_blames_none(
    project: Project, end: object, error: type[Exception]
) -> None:
    """A missing program must not bring everything into quarantine."""
    project.chunk("00001")
    project.step.ends = {"00001": end}  # type: ignore[dict-item]  # parametrized

    with pytest.raises(error):
        await project.one_pass()

    assert not (project.state / "quarantine").exists()
    assert project.staged() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [AccessDenied, Unreachable])
@pytest.mark.parametrize("verb", [Verb.LIST, Verb.PUT])
async def test_s3_in_trouble_blames_no_cid_and_nothing_is_recorded(
    project: Project, kind: type[ObjectError], verb: Verb
) -> None:
    """The next pass goes on where this one ended."""
    project.chunk("00001")
    project.requests.fault = lambda asked, uri: (
        kind(uri, Answer(code="Injected")) if asked is verb else None
    )

    with pytest.raises(kind):
        await project.one_pass()
    assert project.requests.verbs(BUCKET).count(verb) == 1
    assert project.recorded() == []
    assert project.staged() == []
    project.requests.fault = lambda _verb, _uri: None
    counts = await project.one_pass()

    assert (counts.sent, counts.failed) == (1, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["part-00001.parquet", "cid.txt"])
async def test_a_lost_answer_makes_no_second_folder_on_the_next_day(
    project: Project, name: str
) -> None:
    """The request was carried out, and nobody said so."""
    project.chunk("00001")
    project.requests.lost = lambda _verb, uri: (
        OutcomeUnknown(uri) if uri.key.endswith(name) else None
    )
    with pytest.raises(OutcomeUnknown):
        await project.one_pass()

    project.requests.lost = lambda _verb, _uri: None
    day_after(project)
    await project.one_pass()

    assert project.recorded() == ["00001"]
    assert len(project.below()) == 2
    assert len(project.written()) == 2


@pytest.mark.asyncio
async def test_a_request_that_is_carried_out_after_the_next_listing_makes_no_second_folder(
    project: Project,
) -> None:
    """A life that was killed at midnight had its first request on the way."""
    project.chunk("00001")
    yesterday = project.job_today("00001")
    (project.state / "job-in-hand").write_text(f"{yesterday}\n")
    day_after(project)

    await project.one_pass()

    assert project.body(LAYOUT.marker(yesterday)) == b"00001\n"
    assert len(project.below()) == 2
    assert not (project.state / "job-in-hand").exists()


@pytest.mark.asyncio
async def test_a_marker_with_other_words_is_a_persons_business(project: Project) -> None:
    """It is there, so the job counts as complete, and yet it is not ours."""
    project.chunk("00001")
    project.chunk("00002")
    marker = LAYOUT.marker(project.job_today("00001"))

    def intrude(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.PUT and uri == LAYOUT.seed(project.job_today("00001")):
            project.buckets.put(marker, b"99999\n")

    project.requests.lost = intrude

    counts = await project.one_pass()

    assert counts.failed == 1
    assert project.recorded() == ["00002"]
    assert project.body(marker) == b"99999\n"


@pytest.mark.asyncio
async def test_what_a_killed_life_left_in_staging_is_removed(project: Project) -> None:
    """Staging is empty after each dispatch, whatever happened; the rest is not ours."""
    project.chunk("00001")
    project.record("00001")
    left = project.staging / "chunk_00001"
    left.mkdir()
    (left / "part-00001.parquet").write_bytes(b"half")
    (project.staging / "chunk_00002").mkdir()
    (project.state / "job-in-hand").write_text("aws-seeds-2026-02-28-CID-00001\n")

    await project.one_pass()

    assert project.staged() == ["chunk_00002"]


@pytest.mark.asyncio
async def test_links_in_staging_lead_nowhere(project: Project, tmp_path: Path) -> None:
    """A step may leave anything there; nothing outside the CID's folder is read or removed."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "part-00001.parquet").write_bytes(b"not yours")
    (project.staging / "chunk_00001").symlink_to(precious)
    project.chunk("00001")
    project.chunk("00002")

    def link(cid: str) -> None:
        if cid == "00002":
            seed = project.staging / "chunk_00002" / "part-00002.parquet"
            seed.symlink_to(precious / "part-00001.parquet")

    project.step.meanwhile = link
    project.step.ends = {"00002": ended(0)}

    counts = await project.one_pass()

    assert (counts.sent, counts.failed) == (1, 1)
    assert (precious / "part-00001.parquet").read_bytes() == b"not yours"
    assert project.body(LAYOUT.seed(project.job_today("00001"))) == seed_of(chunk_text("00001"))
    assert project.staged() == []


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_used_says_so_and_blames_no_cid(project: Project) -> None:
    """A file where the staging folder should be, for instance."""
    project.chunk("00001")
    shutil.rmtree(project.staging)
    project.staging.write_bytes(b"")

    with pytest.raises(FolderUnusable, match="optical_seeds"):
        await project.one_pass()

    assert not (project.state / "quarantine").exists()


@pytest.mark.asyncio
async def test_a_missing_folder_of_positions_is_said_as_such(project: Project) -> None:
    """Most likely it was started in the wrong folder."""
    shutil.rmtree(project.positions)

    with pytest.raises(FolderUnusable, match="positions"):
        await project.one_pass()


@pytest.mark.asyncio
async def test_an_unreadable_ledger_ends_it(project: Project) -> None:
    """Re-sending everything is the worst that could happen."""
    project.chunk("00001")
    project.ledger_file.write_text("this is\nno ledger\nat all\n")

    with pytest.raises(LedgerUnreadable):
        await project.one_pass()

    assert project.requests.seen == []


@pytest.mark.asyncio
async def test_a_torn_ledger_costs_a_look_and_no_second_job(project: Project) -> None:
    """A crash may tear the last line; the bucket knows better."""
    project.chunk("00001")
    project.chunk("00002")
    await project.one_pass()
    text = project.ledger_file.read_bytes()
    os.truncate(project.ledger_file, len(text) - 3)

    day_after(project)
    counts = await project.one_pass()

    assert (counts.sent, counts.recorded) == (0, 1)
    assert len(project.below()) == 4
    assert sorted({line for line in project.recorded() if len(line) == 5}) == ["00001", "00002"]


@pytest.mark.asyncio
async def test_a_pass_ends_after_its_interval_and_the_next_goes_on(project: Project) -> None:
    """A smaller CID that comes later must not wait for a backlog of days."""
    project.limits = Limits(1e-9)
    for cid in ("00001", "00002", "00003"):
        project.chunk(cid)

    counts = await project.one_pass()

    assert project.recorded() == ["00001", "00002", "00003"]
    assert (counts.sent, counts.waiting) == (3, 0)


@pytest.mark.asyncio
async def test_objects_that_are_no_jobs_are_ignored(project: Project) -> None:
    """The bucket is shared; a foreign folder is nobody's job."""
    project.chunk("00001")
    for key in (
        "from-prod/aws-seeds-2024-05-06-CID-1/cid.txt",
        "from-prod/aws-seeds-20240506-CID-00001/cid.txt",
        "from-prod/notes.txt",
        "from-prod-old/aws-seeds-2024-05-06-CID-00001/cid.txt",
    ):
        project.put(key, b"x")

    counts = await project.one_pass()

    assert counts.sent == 1
