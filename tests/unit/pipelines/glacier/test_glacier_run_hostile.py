"""Runs in a world that means harm: odd events, records and tables, and everything twice at once."""

import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

import anyio
import pytest

from pipelines.glacier.job_record import RunEntry, SceneEntry, UploadedFile
from pipelines.glacier.project import config_keys
from pipelines.glacier.regions import Bounds, Region
from pipelines.glacier.run.combined_csv import merge_combined
from pipelines.glacier.run.delivery import Delivery
from pipelines.glacier.run.limits import Limits
from pipelines.glacier.run.processing import Processing
from pipelines.glacier.run.progress import Progress, StepEnd
from pipelines.glacier.run.records import Records
from pipelines.glacier.run.request import Place, parse_event
from pipelines.glacier.run.response import (
    BODY_BYTES_MAX,
    Answer,
    bounded_event,
    repeated_answer,
)
from pipelines.glacier.run.resume import Resume
from pipelines.glacier.run.settings import RunSettings
from pipelines.glacier.run.workspace import make_workspace
from pipelines.glacier.step.sentinel2.options import CORES
from shared.s3.errors import AccessDenied
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_run import (
    BUCKET,
    JOB,
    REGION,
    SCENES,
    Bucket,
    Ground,
    Watched,
    event,
    request_of,
)

PLACE = Place(BUCKET, "base", "sentinel2", JOB)
AREA = Region(REGION, 9.0, ("22VFP",), Bounds(0, 0, 3000, 3000))
COMBINED = f"{REGION}/metadata/combined_csv/{REGION}.csv"
RECORD = f"_runs/{JOB}.json"
requested = partial(request_of, s3_base_path="base")


@pytest.fixture
def bucket() -> Bucket:
    """Return an empty bucket."""
    return Bucket()


def test_all_parts_take_as_many_cores() -> None:
    """What a submitter accepted, a handler refused."""
    allowed = config_keys.CORES.kind.allowed

    assert CORES.kind.allowed == allowed == "a whole number from 1 to 256"
    assert parse_event(event(cores=256)).problems == ()
    assert allowed in parse_event(event(cores=257)).problems[0]


@pytest.mark.parametrize(
    "change",
    [
        {"s3_base_path": "a/" * 600 + "a"},
        {"s3_base_path": "../results"},
        {"s3_bucket": "my..bucket"},
        {"job_name": "a/b"},
        {"job_name": "a" * 500},
        {"regions": "../134_Arsuk", "region": None},
        {"regions": {"134_Arsuk": [1]}, "region": None},
    ],
    ids=str,
)
def test_names_that_lead_elsewhere_are_refused(change: dict[str, object]) -> None:
    """They become keys and folders; a key that is too long fails after the work is done."""
    parsed = parse_event(event(**change))

    assert parsed.request is None
    assert len(parsed.problems) == 1


def test_no_answer_is_too_long_to_be_passed_on() -> None:
    """Texts count as much as lists; Step Functions fails a run for its answer's length."""
    wide = "\U0001f9ca" * 4000
    texts = dict.fromkeys(("error", "processing_stdout", "processing_stderr", "message"), wide)
    told = Answer(
        "failed", {**texts, "status": "failed", "event": bounded_event({"a": "\\" * 9000})}
    )
    odd = RunEntry("1", "success", "", response={"a": {"b": [wide] * 99}, "status": "success"})
    repeated = repeated_answer(odd)
    assert repeated is not None

    for answer in (told, repeated):
        body = str(answer.to_response()["body"])
        assert len(json.dumps(body)) <= BODY_BYTES_MAX
        assert json.loads(body)["status"] == answer.status


def test_an_event_with_no_number_comes_back_as_json() -> None:
    """Python reads NaN; whoever reads the answer does not."""
    assert bounded_event({"a": [float("nan"), float("inf")]}) == {"a": ["NaN", "Infinity"]}


def test_a_table_in_the_bucket_that_is_none_does_not_stay() -> None:
    """A page of HTML was merged into each table ever after."""
    page = "<html>,1\n\ufffd\ufffd\n{},x\n"

    assert merge_combined(page, f"0,1\n{SCENES[0]},a\n") == f"0,1\n{SCENES[0]},a\n"


@pytest.mark.asyncio
async def test_bytes_in_the_place_of_a_table_stop_no_delivery(
    bucket: Bucket, tmp_path: Path
) -> None:
    """Each run of the region would have failed until somebody removed it."""
    await bucket.put(COMBINED, b"\xff\xfe\0")
    target = tmp_path / COMBINED
    target.parent.mkdir(parents=True)
    target.write_text(f"0,1\n{SCENES[0]},a\n")
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    await delivery.send_all()

    assert delivery.failures == {}
    assert bucket.content(COMBINED) == target.read_bytes()


@pytest.mark.asyncio
async def test_a_request_that_is_delivered_twice_at_once_ends_as_the_better_one(
    bucket: Bucket,
) -> None:
    """The one that was slower, or killed, used to write over what the other had finished."""
    one, other = Records(bucket.store, PLACE), Records(bucket.store, PLACE)
    done = RunEntry(
        "1",
        "success",
        "",
        scenes=(SceneEntry("a", "written"),),
        files=(UploadedFile("a.tif", 1),),
        response={"status": "success"},
    )
    await one.load()
    await other.load()

    await one.save(RunEntry("1", "running", ""))
    await one.save(done)
    await other.save(RunEntry("1", "running", "", scenes=(SceneEntry("a", "pending"),)))
    await other.save(RunEntry("1", "partial", "", scenes=(SceneEntry("a", "present"),)))

    assert (await Records(bucket.store, PLACE).load()).entries == (done,)


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [b"[" * 500, b"\xff", b"{}" * 60, b'{"submissions": {}}'])
async def test_a_record_that_is_none_is_replaced(
    bucket: Bucket, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage, or a gigantic one, would keep a job from ever running again."""
    monkeypatch.setattr("pipelines.glacier.run.records._READ_BYTES_MAX", 100)
    await bucket.put(RECORD, content)
    records = Records(bucket.store, PLACE)

    assert (await records.load()).entries == ()
    await records.save(RunEntry("1", "success", ""))

    assert json.loads(bucket.content(RECORD))["status"] == "success"


class Listings(Watched):
    """Counts listings."""

    count = 0

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Count."""
        self.count += verb is Verb.LIST
        await super().before(verb, uri)


@pytest.mark.asyncio
async def test_a_window_of_all_time_is_no_listing_for_each_year(
    bucket: Bucket, tmp_path: Path
) -> None:
    """Ten thousand requests a region, of which one or two can find anything."""
    request = requested(date1="0001-01-01", date2="9999-12-31", download_flag=0)
    tile = f"{REGION}/download/2024/{SCENES[0]}_T22VFP_20240801T201519_B08.tif"
    await bucket.put(tile, b"raw")
    bucket.faults = listings = Listings(bucket.writes)
    workspace = make_workspace(tmp_path, "sentinel2")

    await Resume(bucket.store, request, workspace).bring([AREA], Progress())

    assert (workspace.output / tile).read_bytes() == b"raw"
    assert listings.count < 6
    workspace.remove()


def test_a_folder_that_another_run_took_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock it looks like one."""
    make = tempfile.mkdtemp
    made: list[str] = []

    def robbed(*, prefix: str, dir: Path) -> str:  # noqa: A002 - as the library has it
        made.append(make(prefix=prefix, dir=dir))
        if len(made) == 1:
            shutil.rmtree(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", robbed)

    workspace = make_workspace(tmp_path, "landsat")

    assert workspace.output.is_dir()
    workspace.remove()


@pytest.mark.asyncio
async def test_a_log_that_cannot_be_written_keeps_nothing_from_the_bucket(
    bucket: Bucket, tmp_path: Path
) -> None:
    """On a full disk the step fails, and what it has finished is stored all the same."""
    workspace = make_workspace(tmp_path, "sentinel2")
    (workspace.output / "_runs" / f"{JOB}.log").mkdir(parents=True)
    run = Processing(RunSettings(), bucket.store, request_of(), Limits(9.0))

    run._keep_words(workspace, StepEnd(stopped=False, ok=False, stderr="no space"))

    workspace.remove()


class SlowRecords(Watched):
    """Takes a while for each record."""

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Wait."""
        if verb is Verb.PUT and uri.key.endswith(".json"):
            await anyio.sleep(0.02)


@pytest.mark.asyncio
async def test_a_slow_bucket_gets_the_last_record_while_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was done and stored, and then ten seconds were too few to say so."""
    monkeypatch.setattr("pipelines.glacier.run.core._RECORD_SECONDS", 0.001)
    ground = Ground(tmp_path, faults=SlowRecords([]), changes={"project_digest": "old"})
    ground.plan([])

    ran = await ground.run(event(project_digest="new"))

    assert ran.status == "failed"
    assert ground.record().status == "failed"


class NoReading(Watched):
    """Refuses to show a template."""

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Refuse."""
        if verb is Verb.GET and "/template/" in uri.key:
            raise AccessDenied(uri)


@pytest.mark.asyncio
async def test_a_record_names_what_ended_a_run_and_not_the_group_it_came_in(
    tmp_path: Path,
) -> None:
    """`unhandled errors in a TaskGroup` is all that a waiting submitter was told."""
    ground = Ground(tmp_path, faults=NoReading([]))
    ground.plan([])

    with pytest.raises(ExceptionGroup):
        await ground.run(event())

    assert ground.record().entries[-1].error.startswith("AccessDenied: ")
