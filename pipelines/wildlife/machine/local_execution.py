"""Executes a run on this machine: states in this process, the detection as a child."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.wildlife.machine.definition import (
    BATCH,
    FUNCTION_PLACEHOLDERS,
    JOB_DEFINITION,
    LAMBDA,
    SPECIES,
    check_definition,
    read_definition,
    substitute,
)
from pipelines.wildlife.machine.endings import Ending
from pipelines.wildlife.machine.environment import detection_variables
from pipelines.wildlife.machine.faults import Faults
from pipelines.wildlife.machine.history import History, Sink
from pipelines.wildlife.machine.interpreter import Interpreter
from pipelines.wildlife.machine.local_batch import DETECT, LocalBatch
from pipelines.wildlife.machine.local_functions import LocalFunctions
from pipelines.wildlife.machine.local_runs import LocalRun
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states.opening import open_run_storage
from pipelines.wildlife.states.world import World

_DETECTOR = "local-detector"


@dataclass(frozen=True, slots=True)
class LocalExecution:
    """One run, ready to be executed."""

    document: Mapping[str, Any]
    settings: RunSettings
    run: LocalRun
    faults: Faults = field(default_factory=Faults)
    detect: tuple[str, ...] = DETECT

    async def execute(self, sink: Sink) -> Ending:
        """Execute it; cancelled, the detection is stopped and the execution is aborted."""
        machine = check_definition(local_definition(self.settings))
        history = History(self.run.name, sink, lambda: datetime.now(UTC))
        async with open_run_storage(self.settings, self.document) as storage:
            functions = LocalFunctions(World(storage=storage, settings=self.settings, local=True))
            batch = LocalBatch(
                self.run.folder,
                variables=detection_variables(self.settings),
                is_reclaimed=self.faults.take_spot,
                command=self.detect,
            )
            resources = {
                LAMBDA: self.faults.around(functions),
                BATCH: self.faults.around(batch),
            }
            return await Interpreter(machine, resources).run(self.document, history)


def local_definition(settings: RunSettings) -> str:
    """Return the definition with each function named after its state."""
    names = {placeholder: state for state, placeholder in FUNCTION_PLACEHOLDERS.items()}
    values = {**names, JOB_DEFINITION: _DETECTOR, SPECIES: settings.species_uri}
    return substitute(read_definition(), values)
