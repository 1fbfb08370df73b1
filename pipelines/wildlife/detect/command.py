"""The container's command: what the environment says is done once, and progress is told on stdout.

    export INPUT_URI=s3://bucket/out/stage0/ OUTPUT_URI=s3://bucket/out/stage1/
    python -m pipelines.wildlife.detect

| exit status | the job                                                                           |
|-------------|-----------------------------------------------------------------------------------|
| 0           | is done: every file of the stage is there                                         |
| 2           | cannot be done as it was asked for: manifest, model or settings are wrong         |
| 1           | failed, or was stopped by SIGTERM; what is finished is kept for the next attempt  |
"""

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import anyio
import structlog
from anyio.abc import TaskStatus
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.detect.chunks import PICTURE_FORM
from pipelines.wildlife.detect.job import MANIFEST, Job
from pipelines.wildlife.detect.looking import Looker
from pipelines.wildlife.detect.opening import named_uris, open_detector
from pipelines.wildlife.detect.records import Recorder
from pipelines.wildlife.detect.settings import DetectSettings
from pipelines.wildlife.document.places import Place, locate, parse_place
from pipelines.wildlife.models.detections import DetectionSummary
from pipelines.wildlife.settings import SERVICE
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.storage.opening import StorageAccount, open_storage
from pipelines.wildlife.storage.protocol import Missing, Unusable
from shared.errors import ExitStatus, UsageError
from shared.lifecycle import run
from shared.log import configure_logging
from shared.s3.limits import ByteBudget
from shared.settings import load_settings

log: FilteringBoundLogger = structlog.get_logger()

_HELD_BYTES = 512 * 1024 * 1024
_DECODERS_MAX = 4
"""A container sees all cores of its machine, and has the memory for a few pictures."""
_LINE_BYTES = 64 * 1024
_STDOUT = 1
Progress = Callable[[int, int], None]


def main(argv: Sequence[str]) -> int:
    """Do the job of the environment, and return the exit status."""
    if argv:
        raise UsageError(f"unknown argument {argv[0]!r}; the environment says what is to be done")
    settings = read_settings(os.environ)
    configure_logging(SERVICE)
    return run(lambda: _run(settings))


def exit_status(status: int) -> int:
    """Return what the container exits with; Batch tries anything but 2 again."""
    return status if status in {ExitStatus.DONE, ExitStatus.USAGE} else ExitStatus.UNEXPECTED


def read_settings(environ: Mapping[str, str]) -> DetectSettings:
    """Read the settings of the environment; UsageError names everything that is wrong."""
    return load_settings(DetectSettings, [], environ, service=SERVICE).settings


async def _run(settings: DetectSettings) -> ExitStatus:
    """Do the job until it is done or a signal ends it."""
    status = ExitStatus.UNEXPECTED
    async with anyio.create_task_group() as tasks:
        await tasks.start(_stop_on_signal, tasks.cancel_scope)
        summary = await do_job(settings, tell)
        log.info("job_done", images=summary.images, detections=summary.detections)
        status = ExitStatus.DONE
        tasks.cancel_scope.cancel()
    return status


async def do_job(settings: DetectSettings, progress: Progress) -> DetectionSummary:
    """Detect what the settings say; UsageError where they cannot be followed."""
    source, target = (
        _place("INPUT_URI", settings.input_uri),
        _place("OUTPUT_URI", settings.output_uri),
    )
    options = StorageAccount(
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        in_flight=settings.requests_in_flight,
    )
    decoders = anyio.CapacityLimiter(min(os.cpu_count() or 1, _DECODERS_MAX))
    uris = [str(source), str(target), *named_uris(settings)]
    if source.scheme == "file":
        uris += await first_picture(source.join(MANIFEST))
    async with (
        open_storage(uris, options) as storage,
        open_detector(settings, storage, decoders) as opened,
    ):
        looker = Looker(
            storage=storage,
            detector=opened.detector,
            recorder=Recorder(opened.stage, target),
            at_once=anyio.CapacityLimiter(settings.batch_size),
            held=ByteBudget(_HELD_BYTES),
            decoders=decoders,
        )
        job = Job(
            storage=storage,
            manifest_uri=source.join(MANIFEST),
            looker=looker,
            chunk_pictures=settings.chunk_pictures,
            held_lines=settings.max_images_per_job,
            progress=progress,
        )
        return await job.run()


async def first_picture(manifest: str) -> list[str]:
    """Return the URI of the first picture, which may lie in S3 while its manifest does not.

    A manifest that cannot be read has none; the job says so in its own words.
    """
    try:
        head = await FolderStorage().read(manifest, length=_LINE_BYTES)
        uri = PICTURE_FORM.validate_json(head.partition(b"\n")[0]).image_uri
        locate(uri)
    except (Missing, Unusable, ValueError):
        return []
    return [uri]


def _place(name: str, uri: str) -> Place:
    try:
        return parse_place(uri)
    except ValueError as error:
        raise UsageError(f"{name} is {uri[:200]!r}; allowed: {error}") from error


def tell(done: int, total: int) -> None:
    """Say on stdout how far the job is; whether somebody reads it changes nothing."""
    line = json.dumps({"event": "progress", "done": done, "total": total}) + "\n"
    with suppress(OSError):
        # Past Python's buffer: what cannot be written must not come up again at exit.
        os.write(_STDOUT, line.encode())


async def _stop_on_signal(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    """Cancel the job when the host takes its machine back; finished chunks are stored already."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            log.warning("job_stopped", signal=number.name)
            scope.cancel()
            return
