"""`towpath wildlife run`: one run from pictures to a table, here or on AWS.

Exit statuses: 0 done · 2 invalid input · 3 budget exceeded · 4 a stage failed · 5 configuration ·
130 interrupted. Standard output is the output document alone.
"""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from pipelines.wildlife.commands.call import add_input, read_document, say
from pipelines.wildlife.commands.modes import Misconfigured, Mode, add_mode, load_call, state_folder
from pipelines.wildlife.commands.onlooker import Onlooker
from pipelines.wildlife.commands.running import interruptible, told
from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.document.checks import Request, check_document
from pipelines.wildlife.machine.endings import Status
from pipelines.wildlife.machine.faults import Faults, parse_fault
from pipelines.wildlife.settings import SERVICE, RunSettings
from shared.log import configure_logging

# What one mode needs is imported there: a run on AWS needs no interpreter, and the other way round.
# ruff: noqa: PLC0415

SUMMARY = "run the pipeline: pictures to a table of sightings, within the budget"

_NAME = "run"
_DESCRIPTION = """
    Run the pipeline on the pictures of an input document. With --mode local everything is done on
    this machine, by the definition that AWS executes; folders (file://) and S3 are taken alike.

    With --mode aws the state machine of the stack is started and followed; interrupting the command
    leaves it running. --mode localstack is the same at http://localhost:4566; where no Batch is
    offered there, the definition is executed here, on LocalStack's S3.
"""


def main(argv: Sequence[str]) -> int:
    """Run one document."""
    call = load_call(_NAME, _DESCRIPTION, argv, _add_flags)
    arguments, settings = call.arguments, call.settings
    mode = Mode(arguments.mode)
    faults = [parse_fault(text) for text in arguments.fault]
    document = read_document(arguments.input)
    request = check_document(document, local=mode is Mode.LOCAL, books=BOOKS)
    for warning in request.warnings:
        say(_NAME, f"warning: {warning}")
    configure_logging(SERVICE, arguments.log_level)
    given = cast("Mapping[str, object]", document)
    if mode is not Mode.LOCAL:
        from pipelines.wildlife.commands import run_remote
        from pipelines.wildlife.commands.remote import settings_for

        settings = settings_for(mode, settings)
        if not (mode is Mode.LOCALSTACK and run_remote.is_without_batch(settings, arguments)):
            if faults:
                raise Misconfigured("--fault is for runs on this machine; leave it out")
            return run_remote.run_remotely(given, request, settings, arguments)
        say(_NAME, "LocalStack takes no jobs here: the definition is executed by this process")
    folder = state_folder(arguments)
    return _locally(given, request, settings, folder, Faults(faults))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_input(parser)
    add_mode(parser)
    parser.add_argument(
        "--no-wait", action="store_true", help="start it on AWS, print its name, and do not wait"
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="least severe event that is logged on stderr (default: warning)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="STATE=ERROR",
        help=(
            "let a state of a local run fail with this error, for drills; STATE=ERROR*3 three "
            "times, SubmitBatchStage1=spot takes the detection's machine away; may be repeated"
        ),
    )


def _locally(
    document: Mapping[str, object],
    request: Request,
    settings: RunSettings,
    folder: Path,
    faults: Faults,
) -> int:
    from pipelines.wildlife.commands.start_checks import check_apart, check_settings
    from pipelines.wildlife.machine.local_execution import LocalExecution
    from pipelines.wildlife.machine.local_runs import begin_run, execution_name

    check_settings(settings)
    check_apart(request)
    name = execution_name(request.session_id, datetime.now(UTC))
    with begin_run(folder, name) as (noted, keep):
        say(_NAME, f"execution {name}, noted in {str(noted.folder)!r}")
        onlooker = Onlooker(name)

        def sink(line: bytes) -> None:
            keep(line)
            onlooker.take_line(line)

        execution = LocalExecution(document, settings, noted, faults)
        ending = interruptible(lambda: execution.execute(sink), onlooker)
    if ending and ending.status == Status.SUCCEEDED:
        for warning in onlooker.view.warnings:
            if warning not in request.warnings:
                say(_NAME, f"warning: {warning}")
    return told(ending)
