"""Waiting for jobs: passes over hours of virtual time, and what they do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import pytest

from pipelines.glacier.job_record import BadRecord, RunEntry
from pipelines.glacier.submit.plan import Job, Outcome, Plan
from pipelines.glacier.submit.platforms import Given
from pipelines.glacier.submit.progress import ROUNDS_MAX, RUNNING_QUIET_SECONDS, PlatformState
from pipelines.glacier.submit.result import Result
from pipelines.glacier.submit.waiting import Patience, Sent, Waiting
from shared.s3.errors import AccessDenied, Unreachable
from shared.s3.uri import S3Uri
from tests.support.glacier_plans import entry_of, plan_of
from tests.support.virtual_time import run_in_virtual_time

_AWAY = Unreachable(S3Uri("bucket"))
_AT_WORK = PlatformState("at work")
_OVER = PlatformState("over", "SUCCEEDED", "https://log")
_NAME = "aws-landsat-20240801-000_x"


@dataclass
class _World:
    """What each look at a record or service finds, the last one for ever."""

    records: Sequence[RunEntry | Exception | None] = (None,)
    states: Sequence[PlatformState | Exception | None] = (None,)
    starts: Sequence[Outcome] = (Outcome(accepted=True, id="again"),)
    looks: int = 0
    asked: list[list[Given]] = field(default_factory=list)
    started: list[tuple[str, int]] = field(default_factory=list)
    took: float = 0.0

    async def entry(self, job_name: str) -> RunEntry | None:
        found = self.records[min(self.looks, len(self.records) - 1)]
        self.looks += 1
        if isinstance(found, Exception):
            raise found
        return found

    def place(self, job_name: str) -> str:
        return f"s3://bucket/{job_name}.json"

    def _state(self) -> PlatformState | None:
        found = self.states[min(len(self.asked), len(self.states)) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    async def look(self, given: Sequence[Given]) -> Mapping[str, PlatformState]:
        self.asked.append(list(given))
        state = self._state()
        return {} if state is None else {each.id: state for each in given}

    async def execution(self, arn: str) -> PlatformState:
        self.asked.append([Given("lambda", arn)])
        return self._state() or _AT_WORK

    async def start(self, job: Job, repeat: int) -> Outcome:
        self.started.append((job.service, repeat))
        return self.starts[min(repeat, len(self.starts)) - 1]


def _wait(
    world: _World, plan: Plan, outcome: Outcome | None = None, limit_seconds: float = 86_400.0
) -> Sent:
    """Wait for all jobs of a plan, which were answered with this outcome."""
    told = outcome or Outcome(accepted=True, id="first")
    sent = Sent({job.name: told for job in plan.jobs}, {})

    async def main() -> None:
        began = anyio.current_time()
        patience = Patience(30.0, limit_seconds)
        await Waiting(
            plan, sent, start=world.start, records=world, services=world, patience=patience
        ).run()
        world.took = anyio.current_time() - began

    run_in_virtual_time(main)
    return sent


def test_a_function_s_record_is_waited_for() -> None:
    """Nobody holds a connection for a quarter of an hour."""
    world = _World([None, entry_of("running"), entry_of("running"), entry_of("success")])

    sent = _wait(world, plan_of())

    assert sent.results == {_NAME: Result("success")}
    assert world.started == []
    assert 119 < world.took < 122


def test_a_job_out_of_time_goes_on_five_times_and_no_more() -> None:
    """Each round does a part; one that never ends must not cost for ever."""
    rounds = [entry_of("partial", deliveries=count) for count in range(1, 10)]
    world = _World(rounds)

    sent = _wait(world, plan_of())

    assert world.started == [("lambda", count) for count in range(1, ROUNDS_MAX + 1)]
    assert sent.results[_NAME].status == "failed"
    assert sent.results[_NAME].rounds == ROUNDS_MAX


def test_the_record_of_the_round_before_is_no_news() -> None:
    """Else a job would be submitted again at every look until the next round has begun."""
    before = entry_of("partial", deliveries=1)
    after = entry_of("success", deliveries=2)
    world = _World([before, before, before, after])

    sent = _wait(world, plan_of())

    assert world.started == [("lambda", 1)]
    assert sent.results[_NAME] == Result("success", rounds=1)


def test_a_round_whose_outcome_is_unknown_is_not_sent_again() -> None:
    """It may be at work; its record tells."""
    world = _World(
        [entry_of("partial"), entry_of("partial"), entry_of("success", deliveries=2)],
        starts=[Outcome(accepted=False, unknown=True)],
    )

    sent = _wait(world, plan_of())

    assert world.started == [("lambda", 1)]
    assert sent.results[_NAME].succeeded


def test_a_round_that_is_refused_ends_the_job() -> None:
    """The function may have been removed meanwhile."""
    world = _World([entry_of("partial")], starts=[Outcome(accepted=False, error="no function")])

    sent = _wait(world, plan_of())

    result = sent.results[_NAME]
    assert (result.status, result.rounds) == ("failed", 1)
    assert result.reason == "it could not be submitted again: no function"


def test_a_batch_job_is_asked_for_by_its_id_and_repeated_with_a_new_one() -> None:
    """Batch knows the first one as over for ever."""
    world = _World(
        [entry_of("running"), entry_of("partial"), None, entry_of("success", deliveries=2)],
        [_AT_WORK, _OVER, _AT_WORK, _OVER],
    )

    sent = _wait(world, plan_of("batch"))

    assert [given[0].id for given in world.asked] == ["first", "first", "again", "again"]
    assert sent.results[_NAME] == Result("success", rounds=1, log="https://log")


def test_a_batch_job_without_a_record_has_failed() -> None:
    """Its container did not even begin."""
    world = _World([None], [_AT_WORK, PlatformState("over", "FAILED image not found", "log")])

    sent = _wait(world, plan_of("batch"))

    reason = "it ended without a result: FAILED image not found"
    assert sent.results == {_NAME: Result("failed", reason, log="log")}


def test_a_task_is_asked_for_in_its_cluster() -> None:
    """ECS knows a task nowhere else."""
    world = _World([entry_of("no_data")], [_OVER])

    _wait(world, plan_of("fargate"))

    assert world.asked == [[Given("fargate", "first", "c")]]


def test_a_function_that_crashed_is_given_up_when_nothing_changes() -> None:
    """Out of memory it can write nothing; its retries would change the record."""
    world = _World([entry_of("running"), entry_of("running", deliveries=2)])

    sent = _wait(world, plan_of())

    assert sent.results[_NAME].status == "failed"
    assert sent.results[_NAME].log.endswith("log-group/$252Faws$252Flambda$252Ff")
    assert RUNNING_QUIET_SECONDS + 60 <= world.took < RUNNING_QUIET_SECONDS + 122


def test_a_record_that_is_none_is_waited_for_no_longer_than_none() -> None:
    """Some other tool has written it; the job is over."""
    world = _World([BadRecord("no")], [_AT_WORK, _OVER])

    sent = _wait(world, plan_of("batch"))

    assert sent.results[_NAME].reason == "it ended without a result: SUCCEEDED"


def test_looks_that_fail_are_made_again() -> None:
    """A night has its hiccups."""
    world = _World([_AWAY, None, entry_of("success")], [_AWAY, _AT_WORK, _AT_WORK, _AT_WORK])

    sent = _wait(world, plan_of("batch"))

    assert sent.results[_NAME].succeeded
    assert len(world.asked) == 4


def test_records_that_may_not_be_read_end_the_waiting() -> None:
    """It would be the same all night."""
    world = _World([AccessDenied(S3Uri("bucket"))])

    with pytest.raises(ExceptionGroup) as raised:
        _wait(world, plan_of())

    assert raised.group_contains(AccessDenied)


def test_a_function_s_exception_is_not_the_end() -> None:
    """The platform calls it again, a minute later, and finds what the first call has stored."""
    crashed = entry_of("failed", error="KeyError: 'nir'")
    world = _World([crashed, crashed, crashed, entry_of("success", deliveries=2)])

    sent = _wait(world, plan_of())

    assert sent.results[_NAME].succeeded


def test_time_is_up_for_what_is_not_finished() -> None:
    """Whoever waits has a limit, and is told what was left."""
    world = _World([entry_of("running")], [_AT_WORK])

    sent = _wait(world, plan_of("batch"), limit_seconds=95.0)

    assert sent.results[_NAME].status == "unfinished"
    assert 94 < world.took < 97


def test_what_may_have_been_accepted_is_waited_for_as_well() -> None:
    """Its record tells that it was; what was refused is not waited for."""
    unknown = Outcome(accepted=False, error="lost", unknown=True)
    world = _World([None, entry_of("success")])

    sent = _wait(world, plan_of(), unknown)
    refused = _wait(_World(), plan_of(), Outcome(accepted=False, error="no"))

    assert sent.outcomes[_NAME] == Outcome(accepted=True, id=f"s3://bucket/{_NAME}.json")
    assert sent.results[_NAME].succeeded
    assert refused.results == {}


def test_a_batch_job_that_nobody_knows_is_never_repeated() -> None:
    """It may be at work with a retry of its own."""
    unknown = Outcome(accepted=False, unknown=True)
    world = _World([entry_of("partial"), entry_of("partial"), entry_of("success")])

    sent = _wait(world, plan_of("batch"), unknown)

    assert world.started == []
    assert sent.results[_NAME].succeeded


def test_a_state_machine_repeats_by_itself() -> None:
    """While it is at work, `partial` is nothing to act upon; afterwards nobody goes on."""
    world = _World([entry_of("partial")], [_AT_WORK, _AT_WORK, PlatformState("over", "SUCCEEDED")])

    sent = _wait(world, plan_of("stepfunctions"), Outcome(accepted=True, id="arn:x"))

    assert [given[0].id for given in world.asked] == ["arn:x"] * 3
    assert world.started == []
    assert sent.results[_NAME].reason.startswith("it is not finished")


def test_a_job_that_ends_badly_stops_no_other() -> None:
    """Each has its result."""
    failed = entry_of("failed", error="a", response={"statusCode": 500})
    world = _World([failed, entry_of("success"), entry_of("no_data")])

    sent = _wait(world, plan_of(regions=3))

    assert sorted(result.status for result in sent.results.values()) == [
        "failed",
        "no_data",
        "success",
    ]
