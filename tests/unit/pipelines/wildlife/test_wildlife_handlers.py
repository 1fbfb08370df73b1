"""The functions of AWS: whose error is seen by which name, what they print, what they work with."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from pipelines.wildlife.errors import BudgetExceeded, InvalidInput
from pipelines.wildlife.handlers import running
from pipelines.wildlife.handlers.guard_budget import handler
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states.index import FUNCTIONS
from pipelines.wildlife.states.world import Event, World
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.protocol import Storage
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri

_DOCUMENT = {
    "input_uri": "s3://forest/raw/",
    "output_uri": "s3://forest/out/",
    "budget_dkk": 25,
}


@dataclass(frozen=True, slots=True)
class _Context:
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 42_000


@pytest.fixture
def forest(monkeypatch: pytest.MonkeyPatch) -> MemoryBuckets:
    """A bucket with one picture, which is what functions find."""
    buckets = MemoryBuckets("forest")
    buckets.put(S3Uri("forest", "raw/cam01/IMG_0001.JPG"), b"picture")

    @asynccontextmanager
    async def opened(settings: RunSettings, event: Event) -> AsyncIterator[Storage]:
        yield BucketStorage(MemoryStore(buckets))

    monkeypatch.setattr(running, "open_run_storage", opened)
    return buckets


def _metrics(text: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text.splitlines()[-1])
    return found


@pytest.mark.parametrize("state", FUNCTIONS)
def test_every_state_has_a_function(state: str) -> None:
    """The package's way in finds it by the state's module."""
    module = import_module(f"pipelines.wildlife.handlers.{FUNCTIONS[state]}")

    assert callable(module.handler)
    assert state in (module.__doc__ or "")


def test_a_function_gives_back_the_event_with_its_own_keys(
    forest: MemoryBuckets, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Queues come from the environment, and the numbers go to the log."""
    monkeypatch.setenv("TOWPATH_WILDLIFE_JOB_QUEUE_EITHER", "dev-wildlife-queue-either")
    monkeypatch.setenv("TOWPATH_WILDLIFE_ENVIRONMENT_NAME", "prod")

    answer = handler(_DOCUMENT, _Context())

    assert _DOCUMENT.items() <= answer.items()
    assert answer["job_queue"] == "dev-wildlife-queue-either"
    assert answer["estimated_images"] == 1
    line = _metrics(capsys.readouterr().out)
    assert line["Environment"] == "prod"
    assert line["EstimatedCostDkk"] == answer["estimated_total_dkk"]


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"budget_dkk": -1}, InvalidInput),
        ({**_DOCUMENT, "budget_dkk": 0.01, "use_spot": False}, BudgetExceeded),
    ],
)
def test_an_error_is_known_by_the_name_of_its_class(
    document: Mapping[str, Any],
    kind: type[Exception],
    forest: MemoryBuckets,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The machine catches `BudgetExceeded` and `InvalidInput`, and nothing that is like it."""
    for number in range(100):
        forest.put(S3Uri("forest", f"raw/cam01/IMG_{number}.JPG"), b"picture")

    with pytest.raises(kind) as raised:
        handler(document, _Context())

    assert type(raised.value).__name__ in {"InvalidInput", "BudgetExceeded"}
    assert _metrics(capsys.readouterr().out)["RunFailed"] == 1


def test_folders_are_none_of_a_functions_business(forest: MemoryBuckets) -> None:
    """What lies in a function's own file system is nobody's input."""
    with pytest.raises(InvalidInput, match="with --mode local alone"):
        handler({**_DOCUMENT, "input_uri": "file:///etc/"}, _Context())


def test_an_error_in_a_group_keeps_its_own_name(
    forest: MemoryBuckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """States work with task groups; `ExceptionGroup` is caught by nobody."""

    async def run(event: Event, world: World) -> Event:
        assert world.seconds_left() == 42
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [BudgetExceeded("too dear")])])

    monkeypatch.setattr("pipelines.wildlife.states.guard_budget.run", run)

    with pytest.raises(BudgetExceeded, match="too dear"):
        handler(_DOCUMENT, _Context())
