"""The command `towpath glacier`: which part of it, and no decisions.

Exit statuses: 0 done · 1 something failed · 2 bad input, or nothing could be checked or sent.
"""

from collections.abc import Mapping

from shared.errors import ExitStatus
from shared.verbs import VerbCommand

SUMMARY = "run satellite, glacier regions and dates next to the imagery on AWS"

_VERBS = {
    "submit": "pipelines.glacier.submit.command",
    "status": "pipelines.glacier.status.command",
    "check": "pipelines.glacier.checking.command",
    "sync": "pipelines.glacier.transfer.sync_command",
    "verify": "pipelines.glacier.transfer.verify_command",
    "pull": "pipelines.glacier.transfer.pull_command",
    "deploy": "pipelines.glacier.deploy.deploy_command",
    "tasks": "pipelines.glacier.deploy.tasks_command",
    "validate": "pipelines.glacier.deploy.validate_command",
    "test-container": "pipelines.glacier.deploy.container_command",
    "iam": "pipelines.glacier.deploy.iam_command",
    "cleanup": "pipelines.glacier.deploy.cleanup_command",
}
_STATUSES: Mapping[int, int] = {
    ExitStatus.CREDENTIALS: 2,
    ExitStatus.PARTLY_DONE: 1,
    ExitStatus.LOCKED: 1,
    ExitStatus.UNREACHABLE: 2,
    ExitStatus.SAFETY_STOP: 1,
}
_PURPOSE = "Run satellite, glacier regions and dates next to the imagery on AWS."

main = VerbCommand("glacier", _PURPOSE, _VERBS, _STATUSES).run
