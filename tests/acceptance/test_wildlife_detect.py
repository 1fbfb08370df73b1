"""The detection as Batch starts it, against S3 and a service: killed, stopped, and continued."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from aiohttp.web import BaseRequest, Response, json_response

from pipelines.wildlife.detect.chunks import PICTURE_FORM
from pipelines.wildlife.detect.command import exit_status, main
from shared.cli import run_command
from tests.support.gate import LIMIT_SECONDS, Gate
from tests.support.serving import ServerThread
from tests.support.strict_s3.server import StrictS3
from tests.support.wildlife_detecting import picture_line
from tests.support.wildlife_pictures import Animal, make_picture

_BUCKET = "cards"
_PICTURES = 6
_ANSWER = [{"label": "moose", "confidence": 0.9, "bbox": [20, 30, 60, 70]}]
_KEY = "a-key-of-the-service"


@dataclass(slots=True)
class _Service:
    """Answers for each picture, and holds some when it first sees them."""

    pictures: list[bytes]
    asked: "Counter[int]" = field(default_factory=Counter)
    held: dict[int, Gate] = field(default_factory=dict)
    on_arrival: dict[int, Callable[[], None]] = field(default_factory=dict)

    async def answer(self, request: BaseRequest) -> Response:
        """Answer one request; without the key there is nothing to be had."""
        number = self.pictures.index(await request.read())
        assert request.headers["Authorization"] == f"Bearer {_KEY}"
        assert request.headers["Content-Type"] == "image/jpeg"
        self.asked[number] += 1
        gate = self.held.get(number)
        if gate is not None and self.asked[number] == 1:
            self.on_arrival.get(number, lambda: None)()
            await gate.enter()
        return json_response(_ANSWER)


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    """Return an S3 with a card of pictures and their manifest."""
    pictures = [_picture(number) for number in range(_PICTURES)]
    lines = [
        picture_line(f"s3://{_BUCKET}/raw/cam01/{number}.jpg", body, number=number)
        for number, body in enumerate(pictures)
    ]
    manifest = b"".join(PICTURE_FORM.dump_json(line) + b"\n" for line in lines)
    with StrictS3([_BUCKET]) as opened:
        card = {f"raw/cam01/{number}.jpg": body for number, body in enumerate(pictures)}
        opened.seed(_BUCKET, {**card, "out/stage0/manifest.jsonl": manifest})
        yield opened


def _picture(number: int) -> bytes:
    return make_picture(animals=[Animal("moose", (20, 30, 60, 70 + number))])


def _variables(s3: StrictS3, service: ServerThread) -> Mapping[str, str]:
    return {
        **s3.environment(),
        "INPUT_URI": f"s3://{_BUCKET}/out/stage0/",
        "OUTPUT_URI": f"s3://{_BUCKET}/out/stage1/",
        "SPECIES_CFG": "",
        "DETECTOR": "http",
        "MODEL_URI": f"{service.url}/detect",
        "TOWPATH_WILDLIFE_DETECTOR_KEY": _KEY,
        "BATCH_SIZE": "1",
        "TOWPATH_WILDLIFE_CHUNK_PICTURES": "2",
    }


def _run() -> int:
    return exit_status(run_command("wildlife detect", main, []))


def test_a_job_that_was_killed_goes_on_behind_its_last_chunk(
    s3: StrictS3, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A spot machine is taken back with a signal, or without; each costs one chunk at most."""
    service = _Service([_picture(number) for number in range(_PICTURES)])
    service.held = {2: Gate(), 4: Gate()}
    service.on_arrival = {4: lambda: os.kill(os.getpid(), signal.SIGTERM)}
    with ServerThread(service.answer, name="detector") as server:
        variables = _variables(s3, server)
        with subprocess.Popen(
            [sys.executable, "-m", "pipelines.wildlife.detect"],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
        ) as child:
            try:
                service.held[2].reached_blocking(limit_seconds=LIMIT_SECONDS * 3)
            finally:
                child.kill()
            assert child.stdout is not None
            told = child.stdout.read().splitlines()
        service.held[2].open()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        stopped = _run()
        service.held[4].open()
        finished = _run()

    assert [json.loads(line) for line in told] == [{"event": "progress", "done": 2, "total": 6}]
    assert (stopped, finished) == (1, 0)
    said = [json.loads(line)["done"] for line in capfd.readouterr().out.splitlines()]
    assert said == [2, 4, 2, 4, 6]
    # What was in hand when the machine went is asked for again, and nothing else.
    assert service.asked == {0: 1, 1: 1, 2: 2, 3: 1, 4: 2, 5: 1}
    objects = s3.objects(_BUCKET)
    lines = [json.loads(line) for line in objects["out/stage1/manifest.jsonl"].splitlines()]
    assert [line["source_path"] for line in lines] == [
        f"s3://{_BUCKET}/raw/cam01/{number}.jpg" for number in range(_PICTURES)
    ]
    assert [line["crop_path"].removeprefix(f"s3://{_BUCKET}/") for line in lines] == [
        key for line in lines for key in objects if line["event_id"] in key
    ]
    summary = json.loads(objects["out/stage1/summary.json"])
    assert (summary["images"], summary["detections"], summary["stage1_model"]) == (
        6,
        6,
        "http:unknown",
    )
    assert not any(_KEY.encode() in body for body in objects.values())
