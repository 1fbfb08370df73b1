"""Where the chapter plays: a project folder, a catalogue, S3, and Lambda and Batch that really run.

The bucket is the tests' strict S3; functions and jobs are processes of this machine, started from
this checkout as from an image.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp.web import BaseRequest, StreamResponse

from pipelines.glacier.job_record import JobRecord, parse_record
from pipelines.glacier.layout import RUNS, Sentinel2Layout
from scripts.demo.glacier_land import (
    BY_NAME,
    FIRST_DAY,
    LAST_DAY,
    PASSES,
    Glacier,
    glaciers_of,
    scenes_of,
)
from scripts.demo.stage import ScaleName
from tests.support.gate import Gate
from tests.support.glacier_regions import Row, write_project
from tests.support.glacier_scenes import Scene
from tests.support.glacier_stac import Fault, StacServer, status, xml_page
from tests.support.local_aws import REGION, LocalAws, open_local_aws
from tests.support.local_aws_sandbox import GLACIER_IMAGE
from tests.support.moto_server import running_moto
from tests.support.strict_s3.server import StrictS3

BUCKET = "greenland-glacier-data"
BASE_PATH = "1_download_merge_and_clip"
PREFIX = f"{BASE_PATH}/sentinel2/"
FUNCTION = "glacier-processing"
QUEUE, DEFINITION = "glacier-processing-queue", "satellite-processing"
STRUCK = BY_NAME["090_petermann"]
"""The region whose Batch job loses its instance."""
BUSY, BROKEN = BY_NAME["001_alison"], BY_NAME["134_Arsuk"]
"""A tile of the one is answered with 503 once, one of the other with a page that says 200."""

_IMAGE = "glacier:demo"
_CONFIG = """\
[DATES]
date1 = {first}
date2 = {last}
[PATHS]
base_dir = {results}
local_base_dir = {results}
[FLAGS]
download_flag = 1
post_processing_flag = 1
clear_downloads = 0
[SETTINGS]
satellite = sentinel2
cores = 1
log_name = satellite_glacier.log
"""
_AWS_CONFIG = """\
[AWS_ACCOUNT]
aws_region = {region}
[STORAGE]
s3_bucket = {bucket}
s3_base_path = {base_path}
[COMPUTE]
batch_job_queue = {queue}
batch_job_definition = {definition}
[LAMBDA]
function_name = {function}
memory_size = 10240
timeout = 900
"""


@dataclass(frozen=True, slots=True)
class GlacierWorld:
    """All that the chapter's commands meet."""

    folder: Path
    glaciers: Sequence[Glacier]
    s3: StrictS3
    stac: StacServer
    aws: LocalAws
    scenes: Mapping[str, Sequence[Sequence[Scene]]]
    """What each pass saw of each region."""
    held: Gate
    """Holds the second pass of the region whose instance goes away."""

    @property
    def project(self) -> Path:
        """The project folder."""
        return self.folder / "project"

    @property
    def results(self) -> Path:
        """Where results are pulled to."""
        return self.folder / "results" / BASE_PATH / "sentinel2"

    def environ(self) -> Mapping[str, str]:
        """Return the variables with which a person's command finds all of it."""
        nowhere = str(self.folder / "no-aws-settings")
        return {
            **self.aws.environment(),
            **_of_bucket(self.s3),
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        }

    def command(self, verb: str, *words: str) -> Sequence[str]:
        """Return the command line of `towpath glacier VERB`."""
        glacier = [sys.executable, "-m", "pipelines.glacier", verb, *words]
        return [*glacier, "--project", str(self.project)]

    def stored(self) -> Sequence[str]:
        """Return what is in the bucket below the satellite's folder, without that folder."""
        return [key.removeprefix(PREFIX) for key in self.s3.keys(BUCKET) if key.startswith(PREFIX)]

    def records(self) -> Mapping[str, JobRecord]:
        """Return what the jobs have recorded, by region."""
        found = {}
        for key, body in self.s3.objects(BUCKET).items():
            if key.startswith(f"{PREFIX}{RUNS}/") and key.endswith(".json"):
                record = parse_record(body)
                found[record.job_name.split("-", 3)[-1]] = record
        return found


@contextmanager
def open_glacier_world(folder: Path, scale: ScaleName) -> Iterator[GlacierWorld]:
    """Make the land and all servers for the length of a block; takes seconds."""
    # moto's server would tell of each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    glaciers = glaciers_of(scale)
    _write_project(folder, glaciers)
    with ExitStack() as stack:
        s3 = stack.enter_context(StrictS3([BUCKET], aws_region=REGION))
        stac = stack.enter_context(StacServer())
        moto = stack.enter_context(running_moto())
        aws = stack.enter_context(
            open_local_aws(
                moto,
                folder / "aws",
                images={_IMAGE: GLACIER_IMAGE},
                environ=_of_bucket(s3),
            )
        )
        scenes = {glacier.name: scenes_of(glacier) for glacier in glaciers}
        for scene in (scene for seen in scenes.values() for each in seen for scene in each):
            stac.publish(scene)
        world = GlacierWorld(folder, glaciers, s3, stac, aws, scenes, Gate())
        stack.callback(world.held.open)
        _deploy(world)
        _spoil(world)
        yield world


def expected_keys(glacier: Glacier, scenes: Sequence[Sequence[Scene]]) -> set[str]:
    """Return what the contract has a run leave of a region, below the satellite's folder."""
    layout = Sentinel2Layout(glacier.name)
    kept = [seen[0].acquisition for seen, each in zip(scenes, PASSES, strict=True) if each.is_kept]
    raw = [layout.raw_tile(scene.sensed[:4], scene.file_name) for seen in scenes for scene in seen]
    places = [
        *raw,
        *map(layout.scene, kept),
        *map(layout.lineage, kept),
        layout.template,
        layout.combined_csv,
    ]
    return set(map(str, places))


def _of_bucket(s3: StrictS3) -> Mapping[str, str]:
    """Return the variables for S3 alone; the keys are good everywhere else, too."""
    keys = {
        name: value for name, value in s3.environment().items() if not name.endswith("ENDPOINT_URL")
    }
    return {**keys, "AWS_ENDPOINT_URL_S3": s3.url}


def _write_project(folder: Path, glaciers: Sequence[Glacier]) -> None:
    config = _CONFIG.format(first=FIRST_DAY, last=LAST_DAY, results=folder / "results")
    aws_config = _AWS_CONFIG.format(
        region=REGION,
        bucket=BUCKET,
        base_path=BASE_PATH,
        queue=QUEUE,
        definition=DEFINITION,
        function=FUNCTION,
    )
    rows = [_row(glacier) for glacier in glaciers]
    write_project(folder / "project", config, aws_config, rows)


def _row(glacier: Glacier) -> Row:
    bounds = glacier.bounds
    return Row(
        glacier.name,
        tiles=",".join(glacier.tiles),
        bounds=(bounds.minx, bounds.miny, bounds.maxx, bounds.maxy),
        area=glacier.kilometres**2,
    )


def _deploy(world: GlacierWorld) -> None:
    """Create what `towpath glacier deploy` and the stack create."""
    variables = {
        # The code is the image's; the regions are the project's, as it lies in the bucket.
        "GLACIER_PROJECT_MODE": "s3",
        "GLACIER_STEP": "builtin",
        "GLACIER_STAC_URL": world.stac.url,
    }
    world.aws.add_function(FUNCTION, _IMAGE, timeout=900, variables=variables)
    world.aws.add_job_queue(QUEUE)
    world.aws.add_job_definition(f"{DEFINITION}-sentinel2", _IMAGE, variables=variables)


def _spoil(world: GlacierWorld) -> None:
    """Give the catalogue its bad moments."""
    first, second = 0, 1
    faults = {
        world.scenes[BUSY.name][first][0].asset_path: status(503),
        world.scenes[BROKEN.name][second][0].asset_path: xml_page(),
        world.scenes[STRUCK.name][second][0].asset_path: _held(world.held),
    }
    world.stac.faults.update({path: [fault] for path, fault in faults.items()})


def _held(gate: Gate) -> Fault:
    async def fault(request: BaseRequest, whole: bytes) -> StreamResponse:
        await gate.enter()
        return await status(503)(request, whole)

    return fault
