"""The command `towpath wildlife`: which part of it, and no decisions.

Exit statuses: 0 done · 2 invalid input · 3 budget exceeded · 4 a stage failed · 5 configuration.
"""

from collections.abc import Mapping

from pipelines.wildlife.errors import WildlifeStatus
from shared.errors import ExitStatus
from shared.verbs import VerbCommand

SUMMARY = "turn the pictures of trail cameras into a table of sightings, within a budget"

_VERBS = {
    "validate": "pipelines.wildlife.commands.validate",
    "estimate": "pipelines.wildlife.commands.estimate",
    "label-map": "pipelines.wildlife.commands.label_map",
    "run": "pipelines.wildlife.commands.run",
    "export": "pipelines.wildlife.commands.export",
    "status": "pipelines.wildlife.commands.status",
    "logs": "pipelines.wildlife.commands.logs",
}
_STATUSES: Mapping[int, int] = {
    ExitStatus.UNEXPECTED: WildlifeStatus.STAGE_FAILED,
    ExitStatus.CREDENTIALS: WildlifeStatus.CONFIGURATION,
    ExitStatus.PARTLY_DONE: WildlifeStatus.STAGE_FAILED,
    ExitStatus.LOCKED: WildlifeStatus.STAGE_FAILED,
    ExitStatus.UNREACHABLE: WildlifeStatus.CONFIGURATION,
    ExitStatus.SAFETY_STOP: WildlifeStatus.STAGE_FAILED,
}
_PURPOSE = "Turn the pictures of trail cameras into a table of sightings, within a budget."

main = VerbCommand("wildlife", _PURPOSE, _VERBS, _STATUSES).run
