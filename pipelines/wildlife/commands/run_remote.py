"""`run --mode aws` and `--mode localstack`: the stack's machine is started and followed.

Interrupting the command leaves the execution running: whoever has closed a laptop does not want a
night's work ended.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial

from pipelines.wildlife.commands.call import say
from pipelines.wildlife.commands.onlooker import Onlooker
from pipelines.wildlife.commands.remote import begin, open_account
from pipelines.wildlife.commands.running import interruptible, told
from pipelines.wildlife.document.checks import Request
from pipelines.wildlife.errors import WildlifeStatus
from pipelines.wildlife.machine.endings import Ending
from pipelines.wildlife.settings import RunSettings
from shared.errors import ExitStatus
from shared.lifecycle import run as run_loop


def run_remotely(
    document: Mapping[str, object],
    request: Request,
    settings: RunSettings,
    arguments: argparse.Namespace,
) -> int:
    """Start an execution, and follow it unless that is not wanted."""
    begun: list[str] = []

    async def start() -> ExitStatus:
        async with open_account(settings, arguments) as account:
            begun.extend(await begin(account, document, request.session_id))
        return ExitStatus.DONE

    run_loop(start)
    name, arn = begun
    if arguments.no_wait:
        sys.stdout.write(json.dumps({"execution": name, "execution_arn": arn}, indent=2) + "\n")
        return WildlifeStatus.DONE
    onlooker = Onlooker(name)
    ending = interruptible(partial(_follow, settings, arguments, arn, onlooker), onlooker)
    if ending is None:
        say("run", f"execution {name} goes on; see towpath wildlife status {name} --follow")
        say("run", f"to end it: aws stepfunctions stop-execution --execution-arn {arn}")
        return ExitStatus.INTERRUPTED
    return told(ending)


def is_without_batch(settings: RunSettings, arguments: argparse.Namespace) -> bool:
    """Tell whether LocalStack takes no jobs, as it does with a plan that has no Batch."""
    found: list[bool] = []

    async def look() -> ExitStatus:
        async with open_account(settings, arguments) as account:
            found.append(await account.has_batch())
        return ExitStatus.DONE

    run_loop(look)
    return not found[0]


async def _follow(
    settings: RunSettings, arguments: argparse.Namespace, arn: str, onlooker: Onlooker
) -> Ending:
    async with open_account(settings, arguments) as account:
        return await account.machine.follow(arn, onlooker.take)
