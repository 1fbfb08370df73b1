import os
from pathlib import Path

import pytest

from shared.s3.errors import OutcomeUnknown
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.dispatching import LAYOUT, Project, chunk_text, day_after, ended, seed_of


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
