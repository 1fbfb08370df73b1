"""The real handler in a real process of Lambda's runtime client, over an S3 on loopback.

    python -m tests.support.glacier_handler

shows a delivery that its deadline stops, the one that goes on from there, and the job's record. The
step is the built-in one, on four small scenes of a catalogue on loopback, of which the third does
not come before the deadline.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp.web import BaseRequest, StreamResponse

from pipelines.glacier.job_record import JobRecord, parse_record
from tests.support.gate import Gate
from tests.support.glacier_regions import REGION_FILE, Row, write_regions
from tests.support.glacier_run import BASE, BUCKET, JOB, REGION, event
from tests.support.local_aws_lambda import FunctionSettings, LambdaEnvironment, Outcome
from tests.support.local_aws_sandbox import GLACIER_IMAGE
from tests.support.serving import plain
from tests.support.strict_s3.server import StrictS3

_FUNCTION = "glacier-processing"
_DEADLINE_SECONDS = 14.0
_RESERVE_SECONDS = 5
_LONG_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Function:
    """A warm function and the bucket that it works on."""

    s3: StrictS3
    environment: LambdaEnvironment

    def invoke(self, sent: Mapping[str, Any], *, seconds: float = _LONG_SECONDS) -> Outcome:
        """Have an event handled within a time limit."""
        return self.environment.invoke(json.dumps(sent).encode(), seconds=seconds)

    def answer(self, sent: Mapping[str, Any], *, seconds: float = _LONG_SECONDS) -> "Answered":
        """Have an event handled; fails where the handler raises."""
        outcome = self.invoke(sent, seconds=seconds)
        assert not outcome.failed, outcome.payload.decode()
        response = outcome.document()
        return Answered(response["statusCode"], json.loads(response["body"]))

    def keys(self) -> list[str]:
        """Return what is in the bucket, without what all keys begin with."""
        return [key.removeprefix(f"{BASE}/") for key in self.s3.keys(BUCKET)]

    def record(self) -> JobRecord:
        """Return the job's record."""
        return parse_record(self.s3.objects(BUCKET)[f"{BASE}/sentinel2/_runs/{JOB}.json"])


@dataclass(frozen=True, slots=True)
class Answered:
    """What the function answered."""

    status_code: int
    body: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def open_function(folder: Path, variables: Mapping[str, str]) -> Iterator[Function]:
    """Have a function for the length of a block; `variables` are those it is configured with."""
    settings = FunctionSettings(name=_FUNCTION, variables=variables)
    with (
        StrictS3([BUCKET]) as s3,
        LambdaEnvironment(
            GLACIER_IMAGE, settings, s3.environment(), folder=folder / "lambda"
        ) as environment,
    ):
        yield Function(s3, environment)


def main(argv: Sequence[str]) -> int:
    """Show both answers and the record; 1 if they are not what they must be."""
    del argv
    with tempfile.TemporaryDirectory(prefix="glacier-handler-") as folder:
        partial, rest, record = continued(Path(folder))
    for title, shown in (("first delivery", partial), ("continuation", rest)):
        response = {"statusCode": shown.status_code, "body": shown.body}
        sys.stdout.write(f"--- {title}\n{json.dumps(response, indent=1)}\n")
    sys.stdout.write(f"--- record\n{record.to_bytes().decode()}")
    entry = record.entries[-1]
    done = (partial.body["status"], rest.body["status"]) == ("partial", "success")
    return 0 if done and all(scene.status == "written" for scene in entry.scenes) else 1


def continued(folder: Path) -> tuple[Answered, Answered, JobRecord]:
    """Have the built-in step stopped by a deadline, and go on; returns answers and record."""
    # Only here, since rasters take a moment to import.
    from tests.support.glacier_scenes import Place, Scene, pattern  # noqa: PLC0415
    from tests.support.glacier_stac import StacServer  # noqa: PLC0415

    gate = Gate()

    async def held(_request: BaseRequest, _whole: bytes) -> StreamResponse:
        await gate.enter()
        return plain(503, "whoever asked has gone")

    place = Place.around()
    scenes = [
        Scene(place, pattern(place, day), sensed=f"2024080{day}T143749") for day in range(1, 5)
    ]
    regions = write_regions(folder / REGION_FILE, [Row(REGION)])
    with StacServer() as stac:
        for scene in scenes:
            stac.publish(scene)
        stac.faults[scenes[2].asset_path] = [held] * 20
        variables = {
            "GLACIER_STAC_URL": stac.url,
            "GLACIER_REGION_FILE": str(regions),
            "GLACIER_RESERVE_SECONDS": str(_RESERVE_SECONDS),
        }
        with open_function(folder, variables) as function:
            partial = function.answer(event(), seconds=_DEADLINE_SECONDS)
            stac.faults.clear()
            gate.open()
            rest = function.answer(event())
            return partial, rest, function.record()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
