"""The definition of the state machine: one file, which AWS, the stack and local runs execute.

What differs between them stands in it as `${Name}`: functions, the job definition, and the species'
limits. Rule: nothing else in it is ever replaced.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipelines.wildlife.machine.document import Machine, Task, parse_machine
from pipelines.wildlife.states.index import DETECTION, FUNCTIONS
from shared.errors import PermanentError

DEFINITION = Path(__file__).resolve().parents[1] / "state_machine.asl.json"
FUNCTION_PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {state: f"{state}Lambda" for state in FUNCTIONS}
)
"""What stands in the place of each state's function, by the state's name."""
JOB_DEFINITION = "JobDefinition"
SPECIES = "SpeciesConfiguration"
"""URI of the limits by species; may be empty."""
PLACEHOLDERS = frozenset({*FUNCTION_PLACEHOLDERS.values(), JOB_DEFINITION, SPECIES})

LAMBDA = "arn:aws:states:::lambda:invoke"
BATCH = "arn:aws:states:::batch:submitJob.sync"
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9]+)\}")
_UNFIT = re.compile(r'["\\\x00-\x1f]|\$\{')


class BadSubstitution(PermanentError):
    """What should be put into a definition does not fit it."""


def read_definition() -> str:
    """Return the definition as it is kept, with its placeholders."""
    return DEFINITION.read_text(encoding="utf-8")


def placeholders(text: str) -> frozenset[str]:
    """Return the names that stand for something else in a definition. Pure."""
    return frozenset(_PLACEHOLDER.findall(text))


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Return a definition with every placeholder filled, as CloudFormation does it. Pure.

    Raises:
        BadSubstitution: a value is missing, is for nothing, or would end the text it stands in.
    """
    wanted = placeholders(text)
    for name in sorted(wanted ^ values.keys()):
        what = "has no value" if name in wanted else "is not in the definition"
        raise BadSubstitution(f"placeholder {name!r} {what}; give values for {sorted(wanted)}")
    for name, value in values.items():
        if _UNFIT.search(value):
            raise BadSubstitution(f"value {value[:80]!r} of {name!r} cannot stand inside JSON text")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def check_definition(text: str) -> Machine:
    """Return the machine of a definition, whether filled or not. Pure.

    Raises:
        pipelines.wildlife.machine.document.BadDefinition: with a line for each mistake, those of
            form, and tasks that are done by neither a function nor a job.
    """
    machine = parse_machine(text, resources=(LAMBDA, BATCH))
    tasks = {name for name, state in machine.states.items() if isinstance(state, Task)}
    known = {*FUNCTIONS, DETECTION}
    if tasks != known:
        raise BadSubstitution(f"tasks {sorted(tasks ^ known)} are not those of the states' index")
    return machine
