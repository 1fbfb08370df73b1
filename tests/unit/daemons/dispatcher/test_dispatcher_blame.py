import shutil
from contextlib import ExitStack

import anyio
import pytest
from structlog.testing import capture_logs

from daemons.dispatcher.halts import FolderUnusable, StepLacksCredentials, StepUnusable
from daemons.dispatcher.quarantine import put_back
from shared.ledger import LedgerUnreadable
from shared.s3.errors import AccessDenied, Answer, ObjectError, Unreachable
from shared.s3.memory_buckets import Verb
from tests.support.dispatching import BUCKET, Project, chunk_text, ended


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
