"""What is to be seen when the story is over: in the bucket, in the servers, in every raster."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipelines.glacier.job_record import JobRecord
from pipelines.glacier.layout import Sentinel2Layout
from scripts.demo.ended import Ended
from scripts.demo.glacier_land import PASSES, Glacier
from scripts.demo.glacier_truth import Comparison, Truth
from scripts.demo.glacier_world import BUCKET, PREFIX, STRUCK, GlacierWorld, expected_keys
from tests.support.glacier_scenes import Scene, read_raster
from tests.support.strict_s3.history import MutationKind

_SHIFTED_MAX = 0.01
"""The contract's tolerance: one pixel in a hundred may be its neighbour."""
_WRONG_MAX = 0.01
"""Where two zones meet, by the edge of what was seen."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What was seen of the commands."""

    planned: Ended
    plan_touched: Sequence[str]
    """Who was asked for something while a plan was made."""
    glaciers: Sequence[Glacier]
    services: Mapping[str, str]
    """By region, as planned."""
    synced: Ended
    first: Ended
    after_first: Mapping[str, JobRecord]
    attempts: Sequence[int]
    """The exit statuses of the attempts of the job whose instance went away."""
    had_begun: bool
    """Whether it had a scene in the bucket by then."""
    second: Ended
    pulled: Ended
    checked: Ended


@dataclass(frozen=True, slots=True)
class Found:
    """What was found afterwards."""

    scenes: int
    exact: int
    """Pixels that are the truth's."""
    shifted: int
    across_zones: int
    """Pixels of regions in two zones, each among its neighbours."""
    faults: Sequence[str]
    """Rasters that are not what they must be."""
    missing: Sequence[str]
    strange: Sequence[str]
    """Keys that the contract does not name."""
    repeated: Sequence[str]
    """Scenes that were stored more than once."""
    pages: Sequence[str]
    """Objects that hold a page in the place of a raster."""
    records: Mapping[str, JobRecord]
    functions: int
    """Events that Lambda has handled."""
    bytes_fetched: int


def find(world: GlacierWorld) -> Found:
    """Look into everything."""
    compared = list(_compared(world))
    expected = {
        key
        for glacier in world.glaciers
        for key in expected_keys(glacier, world.scenes[glacier.name])
    }
    results = {key for key in world.stored() if not key.startswith("_runs/")}
    one_zone = [each for glacier, _, each in compared if len(glacier.zones) == 1]
    return Found(
        scenes=len(compared),
        exact=sum(each.pixels - each.shifted - each.wrong for each in one_zone),
        shifted=sum(each.shifted for each in one_zone),
        across_zones=sum(each.pixels - each.wrong for _, _, each in compared)
        - sum(each.pixels - each.wrong for each in one_zone),
        faults=[
            f"{glacier.name} {acquisition}: {each.shifted} shifted, {each.wrong} wrong"
            for glacier, acquisition, each in compared
            if not _is_right(glacier, each)
        ],
        missing=sorted(expected - results),
        strange=sorted(results - expected),
        repeated=sorted(_repeated(world)),
        pages=[
            key
            for key, body in world.s3.objects(BUCKET).items()
            if key.endswith(".tif") and body[:2] not in (b"II", b"MM")
        ],
        records=world.records(),
        functions=len(world.aws.invoked),
        bytes_fetched=world.stac.sent_bytes,
    )


def scene_key(glacier: Glacier, seen: Sequence[Scene]) -> str:
    """Return where a pass's scene lies, below the satellite's folder."""
    return str(Sentinel2Layout(glacier.name).scene(seen[0].acquisition))


def _compared(world: GlacierWorld) -> Iterator[tuple[Glacier, str, Comparison]]:
    # What takes long is pyproj's, which lets other threads run.
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda glacier: _compare_all(world, glacier), world.glaciers):
            yield from found


def _compare_all(
    world: GlacierWorld, glacier: Glacier
) -> Sequence[tuple[Glacier, str, Comparison]]:
    truth = Truth(glacier.grid)
    return [
        (glacier, each.sensed, _compare(truth, world.results / scene_key(glacier, seen), seen))
        for each, seen in zip(PASSES, world.scenes[glacier.name], strict=True)
        if each.is_kept
    ]


def _compare(truth: Truth, path: Path, seen: Sequence[Scene]) -> Comparison:
    if not path.exists():
        return Comparison(1, wrong=1)
    pixels, _ = read_raster(path)
    return truth.compare(pixels, seen)


def _is_right(glacier: Glacier, each: Comparison) -> bool:
    allowed = 0 if len(glacier.zones) == 1 else _WRONG_MAX * each.pixels
    return each.wrong <= allowed and each.shifted <= _SHIFTED_MAX * each.pixels


def _repeated(world: GlacierWorld) -> Iterator[str]:
    seen = set()
    for write in world.s3.mutations(BUCKET):
        if (
            write.kind is MutationKind.PUT
            and write.key.startswith(PREFIX)
            and "/clipped/" in write.key
        ):
            if write.key in seen:
                yield write.key
            seen.add(write.key)


def struck_job(world: GlacierWorld) -> Sequence[int]:
    """Return the exit statuses of the attempts of the job that lost its instance."""
    ids = [world.aws.jobs.ids[name] for name in (job_of(STRUCK),) if name in world.aws.jobs.ids]
    described = world.aws.client("batch").describe_jobs(jobs=ids)["jobs"]
    return [attempt["container"]["exitCode"] for job in described for attempt in job["attempts"]]


def job_of(glacier: Glacier) -> str:
    """Return the name of a region's job."""
    return f"aws-sentinel2-20240801-{glacier.name}"
